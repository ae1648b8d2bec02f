"""Waits until the ledger is at rest: nothing to do, and two equal extracts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from pytest_finchaos.ledger.adapter_sql import UnreachableError
from pytest_finchaos.ledger.invariants import QUIESCENCE
from pytest_finchaos.model.history import History, Outcome
from pytest_finchaos.model.money import Extract, Finding
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.runtime.clock import NS_PER_S, Clock
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

POLL_EVERY_S = 0.1
LINGER = 2  # a request may be carried out until this many client deadlines after it was sent


class Ledger(Protocol):
    """A connection to a ledger, see `adapter_sql.SqlLedger`."""

    def busy(self) -> int | Decimal:
        """How much there is to do, 0 when quiet."""
        ...

    def extract(self) -> Extract:
        """The ledger at one instant."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Rest:
    """What waiting gave.

    Args:
        finding: Of the invariant ``quiescence``.
        extract: The ledger at rest; when it did not come to rest, its last snapshot, or None.
        after_s: How long it took, None when it did not come to rest.
        problem: Why the ledger could not be read, or "".
    """

    finding: Finding
    extract: Extract | None
    after_s: float | None
    problem: str = ""


def last_effect_ns(history: History, operation: OperationSpec) -> int:
    """Until when a request without an answer may still be carried out, CLOCK_MONOTONIC; 0 when all were answered."""
    linger_ns = int(LINGER * operation.timeout_s * NS_PER_S)
    return max(
        (
            attempt.sent_ns + linger_ns
            for each in history.operations
            if each.arrival.operation == operation.name
            for attempt in each.attempts
            if attempt.outcome in (Outcome.UNKNOWN, Outcome.CENSORED)
        ),
        default=0,
    )


def wait_for_rest(connect: Callable[[], Ledger], *, within_s: float, not_before_ns: int, clock: Clock) -> Rest:
    """Poll until nothing is to do and two extracts in a row are equal.

    Args:
        connect: Opens a connection; called again after one was lost.
        within_s: Deadline in seconds.
        not_before_ns: Requests may still be carried out until then, CLOCK_MONOTONIC.
        clock: The clock.

    Returns:
        The ledger at rest; or why not.

    Raises:
        UserError: A query of the configuration is wrong.
    """
    poll = _Poll(connect, not_before_ns, clock)
    start_ns = clock.now_ns()
    try:
        extract = wait_for(
            poll.probe, what="the ledger to come to rest", within_s=within_s, every_s=POLL_EVERY_S, clock=clock
        )
        after_s = (clock.now_ns() - start_ns) / NS_PER_S
        return Rest(Finding(QUIESCENCE, Verdict.PASS, f"quiet after {after_s:.1f} s", 1, 0), extract, after_s)
    except Waited as late:
        if poll.unreachable:
            finding = Finding(QUIESCENCE, Verdict.INCONCLUSIVE, f"the ledger was not read: {late}", 0, 0)
            return Rest(finding, None, None, poll.unreachable)
        text = f"not quiet within {within_s:g} s: {late}; busy was {poll.busy} at last"
        return Rest(Finding(QUIESCENCE, Verdict.FAIL, text, 1, 1), poll.snapshot(), None)
    finally:
        poll.close()


class _Poll:
    def __init__(self, connect: Callable[[], Ledger], not_before_ns: int, clock: Clock) -> None:
        self._connect = connect
        self._not_before_ns = not_before_ns
        self._clock = clock
        self._ledger: Ledger | None = None
        self._last: Extract | None = None
        self.busy: int | Decimal | None = None
        self.unreachable = ""

    def probe(self) -> Extract | Not:
        try:
            seen = self._look(self._ledger or self._connect())
        except UnreachableError as error:
            self.close()
            self._last = None
            self.unreachable = error.render()
            return Not("the ledger does not answer")
        self.unreachable = ""
        return seen

    def _look(self, ledger: Ledger) -> Extract | Not:
        self._ledger = ledger
        self.busy = ledger.busy()
        if self.busy != 0:
            self._last = None
            return Not(f"busy = {self.busy}")
        if self._clock.now_ns() < self._not_before_ns:
            return Not("requests without an answer may still be carried out")
        extract, before = ledger.extract(), self._last
        self._last = extract
        if before is None:
            return Not("one extract read, the next must equal it")
        if replace(before, taken_at_ns=0) != replace(extract, taken_at_ns=0):
            return Not("two extracts differ")
        return extract

    def snapshot(self) -> Extract | None:
        try:
            return self._ledger.extract() if self._ledger is not None else None
        except UnreachableError:
            return None

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
