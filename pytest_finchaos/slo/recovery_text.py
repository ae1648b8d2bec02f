"""The answer about a recovery: verdict, figures, and one sentence that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finchaos.model.result import InjectionResult, RecoveryResult
from pytest_finchaos.model.verdict import Judged, Reason, Verdict

if TYPE_CHECKING:
    from pytest_finchaos.slo.recovery import Course

_NS_PER_S = 1_000_000_000


def undecided(
    injection: InjectionResult, within_s: float | None, code: str, text: str
) -> tuple[Judged, RecoveryResult]:
    """The answer when there is nothing to judge from."""
    reasons = (Reason(code, text, injection.id),)
    result = RecoveryResult(
        injection=injection.id,
        verdict=Verdict.INCONCLUSIVE,
        outcome="undecided",
        impact_at_ns=None,
        recovered_at_ns=None,
        during_s=None,
        after_s=None,
        censored_at_s=None,
        within_s=within_s,
        asserted=within_s is not None,
        text=text,
        reasons=reasons,
    )
    return Judged(Verdict.INCONCLUSIVE, reasons, f"recovered({injection.id})"), result


def answer(course: Course, injection: InjectionResult, within_s: float | None) -> tuple[Judged, RecoveryResult]:
    """The answer from a course of slices."""
    outcome = course.outcome
    after_s = _after_s(course)
    verdict = _verdict(course, after_s, within_s)
    text = "; ".join(part for part in (_what(course, after_s, within_s), _impact(course), _seen(course)) if part)
    reasons = (Reason(outcome.replace("_", "-"), text, injection.id),)
    result = RecoveryResult(
        injection=injection.id,
        verdict=verdict,
        outcome=outcome,
        impact_at_ns=course.impact_ns,
        recovered_at_ns=course.recovered_ns,
        during_s=_during_s(course),
        after_s=after_s,
        censored_at_s=round((course.end_ns - course.disarmed_ns) / _NS_PER_S, 3)
        if outcome == "not_recovered"
        else None,
        within_s=within_s,
        asserted=within_s is not None,
        text=text,
        reasons=reasons,
    )
    return Judged(verdict, reasons, f"recovered({injection.id})"), result


def _verdict(course: Course, after_s: float | None, within_s: float | None) -> Verdict:
    if course.outcome == "undecided":
        return Verdict.INCONCLUSIVE
    if course.outcome == "not_recovered":
        late = within_s is not None and course.outlasts(within_s)
        return Verdict.FAIL if late else Verdict.INCONCLUSIVE
    in_time = within_s is None or after_s is None or after_s <= within_s
    return Verdict.PASS if in_time else Verdict.FAIL


def _after_s(course: Course) -> float | None:
    if course.outcome == "absorbed":
        return 0.0
    if course.recovered_ns is None:
        return None
    return round(max(0, course.recovered_ns - course.disarmed_ns) / _NS_PER_S, 3)


def _during_s(course: Course) -> float | None:
    """Seconds of impact while the fault was armed."""
    if course.impact_ns is None or course.impact_ns >= course.disarmed_ns:
        return None
    end_ns = course.disarmed_ns if course.recovered_ns is None else min(course.recovered_ns, course.disarmed_ns)
    return round((end_ns - course.impact_ns) / _NS_PER_S, 3)


def _what(course: Course, after_s: float | None, within_s: float | None) -> str:
    limit = "" if within_s is None else f" (limit {within_s:g} s)"
    armed_s = (course.disarmed_ns - course.armed_ns) / _NS_PER_S
    watched_s = max(0, course.end_ns - course.disarmed_ns) / _NS_PER_S
    if course.outcome == "absorbed":
        return f"absorbed: no impact in {armed_s:.1f} s of the fault and {watched_s:.1f} s after it{limit}"
    if course.outcome == "self_healed":
        return f"healed while the fault persisted, {_during_s(course):.1f} s after the impact began{limit}"
    if course.outcome == "recovered_after_removal":
        return f"recovered {after_s:.1f} s after the removal{limit}"
    if course.outcome == "not_recovered":
        return f"not recovered in {watched_s:.1f} s after the removal{limit}{_needs(course, within_s)}"
    seen = sum(piece.total for piece in course.slices if piece.start_ns >= course.disarmed_ns)
    rules = course.rules
    return (
        f"undecided{limit}: {seen} requests in {watched_s:.1f} s after the removal, "
        f"{rules.window_requests} in {rules.window_s:g} s are needed"
    )


def _needs(course: Course, within_s: float | None) -> str:
    if within_s is None or course.outlasts(within_s):
        return ""
    rules = course.rules
    window = f"{rules.window_s:g} s and {rules.window_requests} requests"
    return f", too short to decide: a window of {window} must fit after the limit"


def _impact(course: Course) -> str:
    if course.impact_ns is None:
        return ""
    began_s = (course.impact_ns - course.armed_ns) / _NS_PER_S
    again = f", {course.relapses} relapse{'s' if course.relapses > 1 else ''}" if course.relapses else ""
    return f"impact began {began_s:.1f} s after arming{again}"


def _seen(course: Course) -> str:
    base = course.base
    if not base.latency_counts:
        return f"errors only, compared with {base.requests} steady requests (latency is void)"
    slow_ms, p99_ms = base.slow_ns / 1e6, base.p99_ns / 1e6
    return f"slow above {slow_ms:.0f} ms (steady p99 {p99_ms:.1f} ms of {base.requests})"
