"""What each version served during a release, and when: from the whole load and the router's whole log. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_finchaos.drill.served import Served, failed_at_first
from pytest_finchaos.environments.router.log import Routed
from pytest_finchaos.model.history import Operation, Outcome, Purpose
from pytest_finchaos.model.release import Exposure, ReleaseTimes


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a load a release is.

    Args:
        version, before: The new version and the one before.
        loser: The one of them that serves no more.
        payments: Operations that are payments.
        since: Number of the release's first weights.
        decided_ns, taken_ns: t1 and t2.
    """

    version: str
    before: str
    loser: str
    payments: Collection[str]
    since: int
    decided_ns: int
    taken_ns: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a release; see `ReleaseResult`."""

    by_version: Mapping[str, Exposure] = field(default_factory=dict)
    times: ReleaseTimes = field(default_factory=ReleaseTimes)
    in_flight: int = 0
    in_flight_lost: int = 0


def figures(operations: Sequence[Operation], served: Served, window: Window, *, resolved: Collection[str]) -> Figures:
    """The figures of one release.

    Args:
        operations: The whole load.
        served: The router's log, read to its end.
        window: Which part of it.
        resolved: Keys of unknown outcome of which the ledger knows what became of them.
    """
    lines = [line for line in served.lines if line.number >= window.since and _on(line, window)]
    switched = [each for each in operations if _in_flight(each, served, window)]
    return Figures(
        by_version={
            version: _exposure(version, lines, operations, served, window)
            for version in (window.before, window.version)
        },
        times=_times(lines, operations, served, window),
        in_flight=len(switched),
        in_flight_lost=sum(_is_open(each) and each.arrival.key not in resolved for each in switched),
    )


def _on(line: Routed, window: Window) -> bool:
    """True while the release was on: the new version always, the old one as long as it shared."""
    return line.version == window.version or bool(line.share)


def _exposure(
    version: str, lines: Iterable[Routed], operations: Iterable[Operation], served: Served, window: Window
) -> Exposure:
    amounts: dict[str, int] = defaultdict(int)
    payments = failed = 0
    for operation in operations:
        first = served.first.get(operation.arrival.index)
        if operation.arrival.operation not in window.payments or first is None:
            continue
        if first.version != version or first.number < window.since or not _on(first, window):
            continue
        payments += 1
        failed += failed_at_first(operation)
        amount = operation.arrival.values.get("amount_minor")
        if isinstance(amount, int):
            amounts[str(operation.arrival.values.get("currency", ""))] += amount
    return Exposure(sum(line.version == version for line in lines), payments, failed, dict(amounts))


def _times(lines: Sequence[Routed], operations: Iterable[Operation], served: Served, window: Window) -> ReleaseTimes:
    on_canary = [line for line in lines if line.version == window.version]
    on_loser = [line for line in lines if line.version == window.loser]
    failures = [
        attempt.done_ns
        for operation in operations
        for attempt in operation.attempts
        if attempt.purpose is Purpose.OPERATION
        and attempt.outcome in (Outcome.UNKNOWN, Outcome.FAILED, Outcome.REFUSED)
        and (first := served.first.get(operation.arrival.index)) is not None
        and first.version == window.version
        and first.number >= window.since
    ]
    return ReleaseTimes(
        t0_ns=min((line.started_ns for line in on_canary), default=None),
        t1_ns=window.decided_ns,
        t2_ns=window.taken_ns,
        t3_ns=max((line.started_ns for line in on_loser), default=None),
        t4_ns=max((line.ended_ns for line in on_loser), default=None),
        t5_ns=max(failures, default=None),
    )


def _in_flight(operation: Operation, served: Served, window: Window) -> bool:
    """True for a payment that the losing version was working on when the last weights were taken."""
    if operation.arrival.operation not in window.payments:
        return False
    if window.loser not in served.versions.get(operation.arrival.index, ()):
        return False
    return any(
        attempt.purpose is Purpose.OPERATION
        and attempt.sent_ns <= window.taken_ns
        and not 0 < attempt.done_ns <= window.taken_ns
        for attempt in operation.attempts
    )


def _is_open(operation: Operation) -> bool:
    return operation.outcome in (Outcome.UNKNOWN, Outcome.CENSORED, None)


def unlogged(operations: Iterable[Operation], served: Served, wanted: Collection[str]) -> int:
    """How many answered requests to the component the router's log does not hold."""
    lines = Counter(served.arrival_of(line) for line in served.lines)
    lacking = 0
    for operation in operations:
        if operation.arrival.operation in wanted:
            answered = sum(attempt.status > 0 for attempt in operation.attempts)
            lacking += max(0, answered - lines[operation.arrival.index])
    return lacking
