"""Which version served which arrival: every request of the load is named, and the router's log names it again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_finchaos.environments.router.configuration import ARRIVAL_HEADER
from pytest_finchaos.environments.router.log import Routed, RouterLog
from pytest_finchaos.model.history import Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.rollout.judge import Evidence
from pytest_finchaos.runtime.clock import NS_PER_S

LOGGED_WITHIN_NS = NS_PER_S  # after the client's end of a request; later means that it never reached the router
SENT_WITHIN_NS = 8 * NS_PER_S  # after the intended time; later means that it was dropped
BAD = (Outcome.UNKNOWN, Outcome.FAILED, Outcome.REFUSED)


def tag_of(seed: str) -> str:
    """Start of every arrival's name; two loads with different seeds send different arrivals to a new version."""
    return hashlib.blake2b(seed.encode(), digest_size=5).hexdigest()


def named(operations: Mapping[str, OperationSpec], routed: Collection[str], tag: str) -> dict[str, OperationSpec]:
    """The operations, with the arrival's name in a header where a router reads it and takes it off again.

    Args:
        operations: As declared.
        routed: Components that stand behind a router.
        tag: See `tag_of`.
    """
    header = {ARRIVAL_HEADER: f"{tag}-{{index}}"}
    return {
        name: replace(operation, headers={**operation.headers, **header})
        if operation.component in routed and not operation.setup
        else operation
        for name, operation in operations.items()
    }


def first_attempt(operation: Operation) -> Attempt | None:
    """The first try of an operation, or None when it was never sent."""
    return next((attempt for attempt in operation.attempts if attempt.purpose is Purpose.OPERATION), None)


def failed_at_first(operation: Operation) -> bool:
    """True when the first try did not end well, as a client without retries would see it."""
    first = first_attempt(operation)
    return first is not None and first.outcome in BAD


class Served:
    """The router's log by arrival, while it grows.

    Args:
        log: Its reader.
        tag: See `tag_of`.
    """

    def __init__(self, log: RouterLog, tag: str) -> None:
        self._log, self._prefix = log, f"{tag}-"
        self.lines: list[Routed] = []
        self.first: dict[int, Routed] = {}
        self.versions: dict[int, set[str]] = {}

    def read(self) -> None:
        """Take in what was appended."""
        for line in self._log.read():
            self.lines.append(line)
            index = self.arrival_of(line)
            if index is None or not line.version:
                continue
            known = self.first.get(index)
            if known is None or line.started_ns < known.started_ns:
                self.first[index] = line
            self.versions.setdefault(index, set()).add(line.version)

    def arrival_of(self, line: Routed) -> int | None:
        """Index of the arrival that a line is about, or None when it is none of this load."""
        number = line.arrival.removeprefix(self._prefix)
        return int(number) if line.arrival.startswith(self._prefix) and number.isdigit() else None

    @property
    def damaged(self) -> int:
        """Lines that could not be read."""
        return self._log.damaged


@dataclass(slots=True)
class Count:
    """Arrivals of one step, by where they were routed first."""

    requests: int = 0
    on_canary: int = 0


class Following:
    """Goes through the arrivals in their order and counts what each tells of the new version.

    An arrival is taken when its first try has ended and the router has logged it, and never before the arrivals ahead
    of it: else a version whose errors are quick would look worse than one whose errors are slow.

    Args:
        canary: The new version.
        operations: Operations that go to the component.
        payments: Those of them that are payments.
        evidence: Before the first error.
        since: Number of the first weights of the release; requests that went by earlier ones are of no interest.
    """

    def __init__(
        self, canary: str, *, operations: Collection[str], payments: Collection[str], evidence: Evidence, since: int
    ) -> None:
        self._canary, self._operations, self._payments, self._since = canary, operations, payments, since
        self._next = 0
        self.evidence = evidence
        self.steps: dict[str, Count] = {}
        self.on_canary: dict[int, str] = {}  # payments of the new version: arrival to the label of its weights
        self.failed = 0  # of those, at the first try
        self.unrouted = 0  # ended, and never seen by the router

    def follow(self, operations: Sequence[Operation], served: Served, now_ns: int) -> None:
        """Take in what has ended since the last call.

        Args:
            operations: By arrival index, everything planned until now.
            served: The router's log, read before.
            now_ns: CLOCK_MONOTONIC.
        """
        while self._next < len(operations):
            operation = operations[self._next]
            if operation.arrival.operation in self._operations and not self._take(operation, served, now_ns):
                return
            self._next += 1

    def _take(self, operation: Operation, served: Served, now_ns: int) -> bool:
        first = first_attempt(operation)
        if first is None:
            return now_ns - operation.intended_ns > SENT_WITHIN_NS
        if not first.done_ns:
            return False
        routed = served.first.get(operation.arrival.index)
        if routed is None:
            if now_ns - first.done_ns <= LOGGED_WITHIN_NS:
                return False
            self.unrouted += 1
            return True
        self._count(operation, routed, bad=first.outcome in BAD)
        return True

    def _count(self, operation: Operation, routed: Routed, *, bad: bool) -> None:
        if not routed.share or routed.number < self._since:  # before the release, or after it
            return
        here = routed.version == self._canary
        count = self.steps.setdefault(routed.weights, Count())
        count.requests += 1
        count.on_canary += here
        if bad:
            self.evidence = self.evidence.after(on_canary=here, share=routed.share)
        if here and operation.arrival.operation in self._payments:
            self.on_canary[operation.arrival.index] = routed.weights
            self.failed += bad
