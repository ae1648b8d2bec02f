"""What a fault needs of an environment, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_finchaos.model.topology import Instance
from pytest_finchaos.runtime.undo import UndoJournal


class Environment(Protocol):
    """The part of `environments.environment.Environment` that faults use."""

    @property
    def undo(self) -> UndoJournal:
        """Where the undo of an act is written before the act."""
        ...

    def instance(self, name: str) -> Instance:
        """The process that is component ``name`` now."""
        ...

    def processes(self, name: str) -> Sequence[int]:
        """Process ids of everything that component ``name`` started, its root process among them."""
        ...

    def database_url(self, component: str) -> str:
        """``postgresql://user@host:port/database`` of a postgres component."""
        ...
