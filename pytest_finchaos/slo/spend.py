"""How many bad events a fault cost: a count with a limit, decidable whenever the run was sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import ObjectiveResult
from pytest_finchaos.model.verdict import Judged, Reason, Verdict
from pytest_finchaos.slo.events import Judgement, State, Tally, between, tally
from pytest_finchaos.slo.objective import Objective
from pytest_finchaos.slo.slices import Slice, cut

QUESTION = "spent"


def spent(
    objective: Objective,
    judgements: Iterable[Judgement],
    *,
    during: str,
    armed_ns: int | None,
    disarmed_ns: int | None,
    at_most_bad: int | None = None,
    at_most_bad_slices: int | None = None,
) -> tuple[Judged, ObjectiveResult]:
    """Whether at most so many events (or slices of 100 ms) with intended time in [armed, disarmed) were bad.

    Args:
        objective: The objective.
        judgements: From `events.judge`, over the whole load.
        during: The fault, in words.
        armed_ns, disarmed_ns: CLOCK_MONOTONIC; None when it never was.
        at_most_bad: Limit on bad events; unknown ones are bad.
        at_most_bad_slices: Limit on bad slices instead; a bad one has a share of good events below the target.

    Returns:
        The verdict, and the line for the report. INCONCLUSIVE when no event fell into the window.

    Raises:
        UserError: Not exactly one limit, or one that is no count.
    """
    limit = _limit(objective, at_most_bad, at_most_bad_slices)
    population = f"{objective.operation} while {during} was armed"
    words = f"at most {limit} bad" + (" slices" if at_most_bad is None else "")
    if armed_ns is None or disarmed_ns is None:
        text = f"{during} was never {'armed' if armed_ns is None else 'removed'}: there is no window to count in"
        return _answer(
            objective, Verdict.INCONCLUSIVE, ("no-window", text), Tally(0, 0, 0), limit=words, population=population
        )
    inside = between(judgements, armed_ns, disarmed_ns)
    counts = tally(inside)
    if not inside:
        text = f"no {objective.operation} was due in the {_seconds(armed_ns, disarmed_ns)} while {during} was armed"
        return _answer(objective, Verdict.INCONCLUSIVE, ("no-events", text), counts, limit=words, population=population)
    pieces = cut(((one.intended_ns, one.state is not State.GOOD) for one in inside), (armed_ns, disarmed_ns))
    bad_slices = sum(1 for piece in pieces if _is_bad(piece, objective.target))
    measured = counts.not_good if at_most_bad is not None else bad_slices
    verdict = Verdict.PASS if measured <= limit else Verdict.FAIL
    parts = [f"{counts.not_good} of {counts.total} {objective.operation} were not {objective.good_means()}"]
    if at_most_bad is None:
        parts = [f"{bad_slices} of {len(pieces)} slices were bad", *parts]
    parts.append(f"limit {words}, in {_seconds(armed_ns, disarmed_ns)} of {during}{_burn(objective, counts)}")
    text = "; ".join((*parts, *_why(inside)))
    return _answer(objective, verdict, ("spent", text), counts, limit=words, population=population)


def _limit(objective: Objective, at_most_bad: int | None, at_most_bad_slices: int | None) -> int:
    call = f"spent({objective.name!r}, …)"
    given = [value for value in (at_most_bad, at_most_bad_slices) if value is not None]
    if len(given) != 1:
        what = "no limit was given" if not given else "two limits were given"
        raise UserError(call, what, allowed=("at_most_bad=N", "at_most_bad_slices=N"), cure="give exactly one")
    limit = given[0]
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        name = "at_most_bad" if at_most_bad is not None else "at_most_bad_slices"
        raise UserError(call, f"{name} = {limit!r}", allowed=("0, 1, 2, …",))
    return limit


def _is_bad(piece: Slice, target: Fraction) -> bool:
    return piece.total > 0 and Fraction(piece.total - piece.bad, piece.total) < target


def _seconds(start_ns: int, end_ns: int) -> str:
    return f"{(end_ns - start_ns) / 1e9:.1f} s"


def _burn(objective: Objective, counts: Tally) -> str:
    if not counts.not_good:
        return ""
    rate = Fraction(counts.not_good, counts.total) / objective.budget
    alert = "" if objective.alert_burn_rate is None else f", alert at {float(objective.alert_burn_rate):g}"
    return f" (burn rate {float(rate):.3g}{alert})"


def _why(inside: Iterable[Judgement]) -> list[str]:
    causes = Counter(one.why for one in inside if one.state is not State.GOOD and not one.why.endswith(("ms", " s")))
    return [", ".join(f"{count} {why}" for why, count in causes.most_common(3))] if causes else []


def _answer(
    objective: Objective, verdict: Verdict, reason: tuple[str, str], counts: Tally, *, limit: str, population: str
) -> tuple[Judged, ObjectiveResult]:
    code, text = reason
    reasons = (Reason(code, text, objective.name),)
    result = ObjectiveResult(
        name=objective.name,
        question=QUESTION,
        verdict=verdict,
        asserted=True,
        text=text,
        good=counts.good,
        bad=counts.bad,
        unknown=counts.unknown,
        limit=limit,
        population=population,
        reasons=reasons,
    )
    return Judged(verdict, reasons, f"spent({objective.name})"), result
