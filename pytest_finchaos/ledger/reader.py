"""How any ledger is read: an adapter gives looks, each from one point in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pytest_finchaos.model.money import Extract


class LedgerUnreachable(Exception):
    """The ledger did not answer; it may, later."""


@dataclass(frozen=True, slots=True)
class Look:
    """The ledger at one point in time.

    Args:
        busy: How much is still under way: waiting events, running transactions; 0 when nothing is.
        extract: The rows, or None when they were not read because of ``busy``.
        whole: True when all rows are from one instant; else they were read one after another, and what one look
            shows proves nothing until another one shows the same.
    """

    busy: int
    extract: Extract | None
    whole: bool = True


class LedgerReader(Protocol):
    """An adapter."""

    def look(self, *, though_busy: bool = False) -> Look:
        """Read once.

        Args:
            though_busy: Read the rows also while something is under way.

        Raises:
            LedgerUnreachable: No answer in time.
            UserError: The configured queries do not fit.
        """
        ...
