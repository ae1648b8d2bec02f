"""When a system was well again after a fault: impact, recovery, relapse, over slices of 100 ms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_finchaos.model.history import Operation
from pytest_finchaos.model.result import InjectionResult, RecoveryResult
from pytest_finchaos.model.timeline import Span
from pytest_finchaos.model.verdict import Judged
from pytest_finchaos.slo import recovery_text
from pytest_finchaos.slo.baseline import MIN_REQUESTS, Baseline, baseline
from pytest_finchaos.slo.slices import Slice, cut

_NS_PER_S = 1_000_000_000
UNHEALTHY = 0.1  # a steady phase with more bad requests than this is no baseline


@dataclass(frozen=True, slots=True)
class Rules:
    """The figures of the rule; the defaults come from the simulation in ``tests/unit/test_slo_recovery_rates.py``.

    Args:
        impact_slices, impact_among, impact_s: An impact starts at the first bad slice of so many bad ones among so
            many, which last together so long: 4 of 6 slices of 100 ms, 3 of 6 longer ones.
        window_s, window_requests: A window is at least this long and holds at least so many requests.
        bad_allowed: Bad slices within a good window; its first slice is good.
    """

    impact_slices: int = 3
    impact_among: int = 6
    impact_s: float = 0.4
    window_s: float = 2.0
    window_requests: int = 100
    bad_allowed: int = 1


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Observation:
    """All that recovery is judged from; built again at each look while the load runs.

    Args:
        operations: What the load did so far, by arrival index.
        steady: The steady phases.
        until_ns: CLOCK_MONOTONIC: end of planning, or now.
        armed_ns: When each fault of the drill was armed: another fault ends the observation of one that is removed.
        latency_counts: False when the generator was too late: then errors only.
    """

    operations: Sequence[Operation]
    steady: Sequence[Span]
    until_ns: int
    armed_ns: Sequence[int] = ()
    latency_counts: bool = True


@dataclass(frozen=True, slots=True)
class Course:
    """What the slices after arming show.

    Args:
        base: The steady phase.
        slices: From arming to the end of the observation; no slice reaches across the removal.
        armed_ns, disarmed_ns: The fault.
        end_ns: End of what could be observed.
        impact_ns: Start of the first impact, or None.
        recovered_ns: Start of the window after the last impact, or None.
        relapses: Impacts after a recovery.
        proven_after: True when a whole window was observed after the removal.
        rules: The figures used.
    """

    base: Baseline
    slices: tuple[Slice, ...]
    armed_ns: int
    disarmed_ns: int
    end_ns: int
    impact_ns: int | None
    recovered_ns: int | None
    relapses: int
    proven_after: bool
    rules: Rules

    @property
    def outcome(self) -> str:
        """``absorbed``, ``self_healed``, ``recovered_after_removal``, ``not_recovered`` or ``undecided``."""
        if self.impact_ns is None:
            return "absorbed" if self.proven_after else "undecided"
        if self.recovered_ns is None:
            return "not_recovered"
        if not self.proven_after:
            return "undecided"
        return "self_healed" if self.recovered_ns < self.disarmed_ns else "recovered_after_removal"

    def outlasts(self, within_s: float) -> bool:
        """True when a window that begins at the limit was observed to its end."""
        limit_ns = self.disarmed_ns + round(within_s * _NS_PER_S)
        late = next((at for at, piece in enumerate(self.slices) if piece.start_ns >= limit_ns), None)
        return late is not None and _window_end(self.slices, late, self.rules) is not None


def recovery(
    observation: Observation, injection: InjectionResult, *, within_s: float | None = None, rules: Rules = RULES
) -> tuple[Judged, RecoveryResult]:
    """Whether and when the system recovered from one fault.

    A slice is bad when it has more bad requests than the 99.9 % binomial bound of the steady phase's rate. Impact: the
    first bad slice after arming of at least 3 among 6 that last 0.4 s together. Recovery: the start of the first window
    of 2 s and 100 requests that begins with a good slice and has at most one bad one. A later impact is a relapse;
    the final recovery counts.

    Args:
        observation: The load, complete.
        injection: The fault.
        within_s: Seconds from the removal to the start of the window that are allowed; None asks for nothing.
        rules: Other figures than the simulated ones.

    Returns:
        PASS when recovered in time or never hurt; FAIL when later, or never although the observation outlasted the
        limit by the window; else INCONCLUSIVE.
    """
    problem = _no_window(injection)
    if problem:
        return recovery_text.undecided(injection, within_s, "no-window", problem)
    base = _baseline(observation, injection)
    problem = _no_baseline(base)
    if problem:
        return recovery_text.undecided(injection, within_s, "no-baseline", problem)
    return recovery_text.answer(_course(observation, injection, base, rules), injection, within_s)


def recovered_yet(observation: Observation, injection: InjectionResult, *, rules: Rules = RULES) -> int | None:
    """While the load runs: when the system recovered, once the window that proves it is complete; else None.

    Returns:
        CLOCK_MONOTONIC ns of the final recovery, or of the removal when the fault was absorbed.
    """
    if _no_window(injection):
        return None
    base = _baseline(observation, injection)
    if _no_baseline(base):
        return None
    course = _course(observation, injection, base, rules)
    if course.outcome in ("undecided", "not_recovered"):
        return None
    return course.disarmed_ns if course.recovered_ns is None else course.recovered_ns


def observed_enough(observation: Observation, injections: Sequence[InjectionResult], *, rules: Rules = RULES) -> bool:
    """True when every armed fault's recovery is proven: a ``recover()`` phase may end.

    A fault that another one followed is not waited for: its observation ended then.
    """
    last_ns = max(observation.armed_ns, default=0)
    return all(
        recovered_yet(observation, injection, rules=rules) is not None
        for injection in injections
        if injection.armed_at_ns is not None
        and (injection.disarmed_at_ns is None or injection.disarmed_at_ns > last_ns)
    )


def window_s(rate_per_s: float, *, rules: Rules = RULES) -> float:
    """How long a window takes at ``rate_per_s``: 2 s, or until it holds its requests; half a second to spare.

    Poisson arrivals: three standard deviations more than the requests needed.

    A ``recover(within_s=…)`` phase must watch for ``within_s`` plus this.
    """
    requests = rules.window_requests + 3 * math.sqrt(rules.window_requests)
    return max(rules.window_s, requests / rate_per_s) + 0.5


def _no_window(injection: InjectionResult) -> str:
    if injection.armed_at_ns is None:
        return f"{injection.fault} was never armed"
    if injection.disarmed_at_ns is None:
        return f"{injection.fault} was never removed"
    return ""


def _baseline(observation: Observation, injection: InjectionResult) -> Baseline:
    armed = [at_ns for at_ns in (*observation.armed_ns, injection.armed_at_ns) if at_ns is not None]
    return baseline(
        observation.operations,
        observation.steady,
        before_ns=min(armed),
        latency_counts=observation.latency_counts,
    )


def _no_baseline(base: Baseline) -> str:
    if base.requests < MIN_REQUESTS:
        return f"only {base.requests} steady requests before the fault, {MIN_REQUESTS} are needed to compare with"
    if base.bad > UNHEALTHY * base.requests:
        return f"{base.bad} of {base.requests} steady requests were bad already: nothing to recover to"
    return ""


def _course(observation: Observation, injection: InjectionResult, base: Baseline, rules: Rules) -> Course:
    armed_ns = injection.armed_at_ns or 0
    disarmed_ns = max(injection.disarmed_at_ns or 0, armed_ns)
    end_ns = _end_ns(observation, base, armed_ns, disarmed_ns)
    events = sorted(
        (operation.intended_ns, base.is_bad(operation))
        for operation in observation.operations
        if armed_ns <= operation.intended_ns < end_ns
    )
    bounds = sorted({armed_ns, min(disarmed_ns, end_ns), end_ns})
    slices = cut(events, bounds) if len(bounds) > 1 else ()
    flags = [piece.bad > base.allowed(piece.total) for piece in slices]
    impact = _impact(slices, flags, 0, rules)
    first, recovered, relapses = impact, None, 0
    while impact is not None:
        recovered = _good_window(slices, flags, impact, rules)
        impact = None if recovered is None else _impact(slices, flags, recovered, rules)
        relapses += impact is not None
    after = next((at for at, piece in enumerate(slices) if piece.start_ns >= disarmed_ns), None)
    return Course(
        base=base,
        slices=slices,
        armed_ns=armed_ns,
        disarmed_ns=disarmed_ns,
        end_ns=end_ns,
        impact_ns=None if first is None else slices[first].start_ns,
        recovered_ns=None if recovered is None else slices[recovered].start_ns,
        relapses=relapses,
        proven_after=after is not None and _window_end(slices, after, rules) is not None,
        rules=rules,
    )


def _end_ns(observation: Observation, base: Baseline, armed_ns: int, disarmed_ns: int) -> int:
    """The end of what is known: the next fault, or the first request that may still turn out well."""
    later = [at_ns for at_ns in observation.armed_ns if at_ns > disarmed_ns]
    still_open = (
        operation.intended_ns
        for operation in observation.operations
        if operation.intended_ns >= armed_ns and base.is_open(operation, observation.until_ns)
    )
    return max(armed_ns, min([observation.until_ns, *later, *still_open]))


def _impact(slices: Sequence[Slice], flags: Sequence[bool], start: int, rules: Rules) -> int | None:
    for at in range(start, len(flags)):
        if not flags[at]:
            continue
        bad = [
            piece
            for piece, flag in zip(
                slices[at : at + rules.impact_among], flags[at : at + rules.impact_among], strict=False
            )
            if flag
        ]
        lasted_ns = sum(piece.end_ns - piece.start_ns for piece in bad)
        if len(bad) >= rules.impact_slices and lasted_ns >= rules.impact_s * _NS_PER_S:
            return at
    return None


def _good_window(slices: Sequence[Slice], flags: Sequence[bool], start: int, rules: Rules) -> int | None:
    for at in range(start, len(slices)):
        end = _window_end(slices, at, rules)
        if end is None:
            return None
        if not flags[at] and sum(flags[at:end]) <= rules.bad_allowed:
            return at
    return None


def _window_end(slices: Sequence[Slice], start: int, rules: Rules) -> int | None:
    """Index after the last slice of the shortest window from ``start``; None when it was not observed to its end."""
    requests = 0
    for at in range(start, len(slices)):
        requests += slices[at].total
        if (
            requests >= rules.window_requests
            and slices[at].end_ns - slices[start].start_ns >= rules.window_s * _NS_PER_S
        ):
            return at + 1
    return None
