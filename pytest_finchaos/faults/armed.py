"""A fault that has been armed: what is common to all kinds."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from pytest_finchaos.faults.probing import Observation
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.runtime.clock import Clock

if TYPE_CHECKING:
    from pytest_finchaos.faults import Fault


class Armed(abc.ABC):
    """One fault from its act to the proof that it is gone.

    Args:
        fault: What was armed.
        injection_id: Names it in the drill.
        clock: The clock.

    Attributes:
        armed_at_ns: CLOCK_MONOTONIC of the act.
    """

    def __init__(self, fault: Fault, injection_id: str, clock: Clock) -> None:
        self.id = injection_id
        self.fault = fault
        self.armed_at_ns = 0
        self.clock = clock
        self._acted = Observation(None, ("whether it acted was not looked at",))
        self._acted_at_ns: int | None = None
        self._disarmed_at_ns: int | None = None
        self._gone: Observation | None = None
        self._gone_at_ns: int | None = None

    @abc.abstractmethod
    def observe(self, within_s: float) -> Observation:
        """Look whether it acts: traffic that it can touch, and its effect.

        Args:
            within_s: How long to look, seconds; at least one probe is made.
        """

    @abc.abstractmethod
    def disarm(self) -> None:
        """Remove it; idempotent.

        Raises:
            UserError, OSError: It could not be removed; its undo record stays for the reaper.
        """

    @abc.abstractmethod
    def prove_gone(self, within_s: float) -> Observation:
        """Look until the same probe no longer sees it; ``seen`` False is the proof that it is gone."""

    def result(self) -> InjectionResult:
        """What is known by now."""
        gone = self._gone
        return InjectionResult(
            id=self.id,
            fault=self.fault.describe(),
            target=self.fault.target,
            armed_at_ns=self.armed_at_ns,
            acted=self._acted.seen,
            acted_at_ns=self._acted_at_ns,
            disarmed_at_ns=self._disarmed_at_ns,
            gone=None if gone is None or gone.seen is None else not gone.seen,
            gone_at_ns=self._gone_at_ns,
            evidence=(*self._acted.evidence, *(gone.evidence if gone is not None else ())),
            bytes_crossed=self.bytes_crossed,
        )

    @property
    def bytes_crossed(self) -> int | None:
        """Bytes of others that crossed the edge while it was armed; None when it is no matter of an edge."""
        return None

    def conclude(self, seen: Observation) -> Observation:
        """Keep what is known of its acting, with the instant at which that was first certain."""
        self._acted = seen
        if seen.seen and self._acted_at_ns is None:
            self._acted_at_ns = self.clock.now_ns()
        return seen

    def conclude_gone(self, seen: Observation) -> Observation:
        """Keep what is known of its going."""
        self._gone = seen
        if seen.seen is False and self._gone_at_ns is None:
            self._gone_at_ns = self.clock.now_ns()
        return seen


def both(*parts: Observation) -> Observation:
    """All must be seen: one that was not refutes, else one that could not be checked leaves it open."""
    states = [part.seen for part in parts]
    seen = False if False in states else None if None in states else True
    return Observation(seen, tuple(line for part in parts for line in part.evidence))
