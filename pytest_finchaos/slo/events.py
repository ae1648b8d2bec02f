"""From what the load did to good and bad events of one objective, by intended time."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_finchaos.model.history import Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.money import Resolution
from pytest_finchaos.model.result import NotChecked
from pytest_finchaos.slo.objective import Indicator, Objective

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_FINAL = (Outcome.OK, Outcome.DECLINED)


class State(enum.Enum):
    """What one event is for an objective. UNKNOWN counts as bad where events are counted, and is shown apart."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One arrival, judged.

    Args:
        intended_ns: CLOCK_MONOTONIC of the intended time.
        state: Good, bad or unknown.
        latency_ns: From the intended time to the final answer, or None.
        index: Arrival index.
        why: For an event that is not good, in few words.
    """

    intended_ns: int
    state: State
    latency_ns: int | None
    index: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over judgements; ``total = good + bad + unknown``."""

    good: int
    bad: int
    unknown: int

    @property
    def total(self) -> int:
        """All events."""
        return self.good + self.bad + self.unknown

    @property
    def not_good(self) -> int:
        """Bad events, with those whose state stays unknown: doubt never helps the system."""
        return self.bad + self.unknown


def judge(
    objective: Objective,
    operations: Iterable[Operation],
    *,
    resolutions: Iterable[Resolution] = (),
    observed_until_ns: int,
) -> tuple[Judgement, ...]:
    """Every arrival of the objective's operation, judged, in order of intended time.

    Args:
        objective: The objective.
        operations: What the load did.
        resolutions: What reading the ledger said of operations of unknown outcome.
        observed_until_ns: CLOCK_MONOTONIC until which answers were awaited: what is still in flight waited until then.

    Returns:
        Outcome: ok or declined within the deadline is good, later is bad; failed, refused (a refused answer to a
        correct request) and never sent are bad; unknown and censored follow the ledger: applied is good, absent is bad,
        else unknown. Latency: a final answer below the threshold is good; errors count as slow; censored is bad once it
        has waited longer than the threshold, else unknown. Value: below the threshold is good, without one unknown.
    """
    states = {resolution.key: resolution.state for resolution in resolutions}
    judged = [
        _judge_one(objective, operation, states, observed_until_ns)
        for operation in operations
        if operation.arrival.operation == objective.operation
    ]
    return tuple(sorted(judged, key=lambda judgement: (judgement.intended_ns, judgement.index)))


def between(judgements: Iterable[Judgement], start_ns: int, end_ns: int) -> tuple[Judgement, ...]:
    """The judgements whose intended time is in [start, end)."""
    return tuple(judgement for judgement in judgements if start_ns <= judgement.intended_ns < end_ns)


def tally(judgements: Iterable[Judgement]) -> Tally:
    """Counts of each state."""
    counts = dict.fromkeys(State, 0)
    for judgement in judgements:
        counts[judgement.state] += 1
    return Tally(counts[State.GOOD], counts[State.BAD], counts[State.UNKNOWN])


def not_exercised(objectives: Mapping[str, Objective], operations: Iterable[Operation]) -> tuple[NotChecked, ...]:
    """The objectives of which the load sent no operation: listed as not checked, never as fine."""
    seen = {operation.arrival.operation for operation in operations if operation.sent}
    return tuple(
        NotChecked(f"objective {objective.name}", f"no {objective.operation!r} operation was sent in this drill")
        for objective in objectives.values()
        if objective.operation not in seen
    )


def answered_ns(operation: Operation) -> int | None:
    """From the intended time to the answer that settled the operation; None when none did.

    The latency of the last attempt, save when a try is still open beside one that was already answered.
    """
    if operation.latency_ns is not None or operation.outcome is None or not operation.outcome.terminal:
        return operation.latency_ns
    done = [
        attempt.done_ns
        for attempt in operation.attempts
        if attempt.purpose is Purpose.OPERATION and attempt.outcome is operation.outcome and attempt.done_ns
    ]
    return min(done) - operation.intended_ns if done else None


def _judge_one(
    objective: Objective, operation: Operation, states: Mapping[str, str], observed_until_ns: int
) -> Judgement:
    if objective.indicator is Indicator.OUTCOME:
        state, why = _by_outcome(objective, operation, states.get(operation.arrival.key, ""))
    elif objective.indicator is Indicator.LATENCY:
        state, why = _by_latency(objective, operation, observed_until_ns)
    else:
        state, why = _by_value(objective, operation)
    return Judgement(operation.intended_ns, state, answered_ns(operation), operation.arrival.index, why)


def _by_outcome(objective: Objective, operation: Operation, resolved: str) -> tuple[State, str]:
    outcome = operation.outcome
    if outcome is None:
        return State.BAD, "never sent"
    if outcome in _FINAL:
        latency_ns = answered_ns(operation)
        if objective.deadline_s is None or latency_ns is None or latency_ns <= objective.deadline_s * _NS_PER_S:
            return State.GOOD, ""
        return State.BAD, f"{outcome.value} after {latency_ns / _NS_PER_S:.1f} s"
    if outcome in (Outcome.FAILED, Outcome.REFUSED):
        return State.BAD, outcome.value
    if resolved == "applied":
        return State.GOOD, ""
    if resolved == "absent":
        return State.BAD, f"{outcome.value}, absent from the ledger"
    return State.UNKNOWN, outcome.value


def _by_latency(objective: Objective, operation: Operation, observed_until_ns: int) -> tuple[State, str]:
    limit_ns = (objective.threshold_ms or 0.0) * _NS_PER_MS
    outcome = operation.outcome
    if outcome is None:
        return State.BAD, "never sent"
    if outcome in _FINAL:
        latency_ns = answered_ns(operation)
        if latency_ns is None:
            return State.UNKNOWN, "latency not recorded"
        if latency_ns < limit_ns:
            return State.GOOD, ""
        return State.BAD, f"{latency_ns / _NS_PER_MS:.0f} ms"
    if outcome is Outcome.CENSORED and observed_until_ns - operation.intended_ns <= limit_ns:
        return State.UNKNOWN, "in flight when the load ended"
    return State.BAD, outcome.value


def _by_value(objective: Objective, operation: Operation) -> tuple[State, str]:
    limit = objective.limit_value
    value = _value(operation.attempts)
    if operation.outcome is None:
        return State.BAD, "never sent"
    if value is None or limit is None or operation.outcome is not Outcome.OK:
        return State.UNKNOWN, f"no value ({operation.outcome.value})"
    if value < limit:
        return State.GOOD, ""
    return State.BAD, f"{value:g} {objective.unit}".rstrip()


def _value(attempts: tuple[Attempt, ...]) -> float | None:
    for attempt in reversed(attempts):
        if attempt.purpose is Purpose.OPERATION and attempt.outcome is Outcome.OK:
            return attempt.value
    return None
