"""What traffic proves about a ratio: three-way, with an exact bound, and how much more would decide."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from pytest_finchaos.model.result import ObjectiveResult
from pytest_finchaos.model.timeline import Span
from pytest_finchaos.model.verdict import Judged, Reason, Verdict
from pytest_finchaos.slo import binomial, catalogue
from pytest_finchaos.slo.events import Judgement, State, Tally, between, tally
from pytest_finchaos.slo.objective import Objective, percent

DISPERSION_LIMIT = Fraction(3, 2)  # variance between seconds over that of independent events
_NS_PER_S = 1_000_000_000


def demonstrates(
    objective: Objective,
    judgements: Iterable[Judgement],
    spans: Sequence[Span],
    *,
    at_least: Any = None,
    confidence: Fraction = binomial.CONFIDENCE,
    population: str = "steady traffic",
) -> tuple[Judged, ObjectiveResult]:
    """Whether the traffic in ``spans`` proves that the share of good events reaches the target.

    PASS when the exact one-sided upper bound of the bad share is within the error budget, FAIL when the lower bound is
    above it, else INCONCLUSIVE with the number of clean events that would decide (Clopper and Pearson, 1934).
    Bad events that come in bursts are not independent: when they vary between seconds more than 1.5 times as much as
    independent ones would, the sample is divided by that ratio, the design effect.

    Args:
        objective: The objective.
        judgements: From `events.judge`.
        spans: Undisturbed time: a bound says nothing about a fault phase.
        at_least: Another share to claim than the target, number or decimal string; printed.
        confidence: Of the bound.
        population: The traffic, in words.

    Raises:
        UserError: ``at_least`` is not a share.
    """
    claimed = objective if at_least is None else _claiming(objective, at_least)
    everything = tuple(judgements)
    inside = [one for span in spans for one in between(everything, span.start_ns, span.end_ns)]
    counts = tally(inside)
    effect = _design_effect(inside, spans)
    total = math.floor(counts.total / effect)
    verdict, needed = Verdict.INCONCLUSIVE, None
    if binomial.excludes_more(math.ceil(counts.not_good / effect), total, claimed.budget, confidence):
        verdict = Verdict.PASS
    elif binomial.excludes_less(math.floor(counts.not_good / effect), total, claimed.budget, confidence):
        verdict = Verdict.FAIL
    else:
        clean = binomial.clean_needed(claimed.target, math.ceil(counts.not_good / effect), confidence)
        needed = max(1, math.ceil(clean * effect) - counts.total)
    text = "; ".join(_sentences(objective, claimed, counts, effect=effect, needed=needed, confidence=confidence))
    reasons = (Reason("demonstrates", text, objective.name),)
    result = ObjectiveResult(
        name=objective.name,
        question="demonstrates",
        verdict=verdict,
        asserted=True,
        text=text,
        good=counts.good,
        bad=counts.bad,
        unknown=counts.unknown,
        limit=claimed.describe(),
        needed=needed,
        population=f"{objective.operation} in {population}",
        reasons=reasons,
        effect=float(effect),
    )
    return Judged(verdict, reasons, f"demonstrates({objective.name})"), result


def _claiming(objective: Objective, at_least: Any) -> Objective:
    share = catalogue.share(at_least, f"demonstrates({objective.name!r}, …)", "at_least")
    return replace(objective, target=share)


def measured(
    objective: Objective, judgements: Iterable[Judgement], spans: Sequence[Span], *, population: str = "steady traffic"
) -> ObjectiveResult:
    """The same as `demonstrates`, as a line of the report that nobody asserted and that is not merged."""
    _, result = demonstrates(objective, judgements, spans, population=population)
    return replace(result, question="measured", asserted=False)


def _sentences(
    objective: Objective,
    claimed: Objective,
    counts: Tally,
    *,
    effect: Fraction,
    needed: int | None,
    confidence: Fraction,
) -> list[str]:
    bad, total = counts.not_good, counts.total
    lines = [f"{bad} of {total} {objective.operation} were not {objective.good_means()}"]
    if needed is not None:
        lines.append(f"{needed} further requests, all of them good, would decide")
    if total:
        low = binomial.lower_bound(math.floor(bad / effect), math.floor(total / effect), confidence)
        high = binomial.upper_bound(math.ceil(bad / effect), math.floor(total / effect), confidence)
        bound = (
            f"bad share between {low * 100:.3g} % and {high * 100:.3g} % (each with {percent(confidence)} confidence)"
        )
        lines.append(f"{bound}, budget {percent(claimed.budget)}")
    if claimed.target != objective.target:
        kind = "weaker" if claimed.target < objective.target else "stronger"
        lines.append(f"claimed {percent(claimed.target)}, {kind} than the objective's {percent(objective.target)}")
    if effect != 1:
        lines.append(f"bad events came in bursts: sample divided by {float(effect):.2g}")
    return lines


def _design_effect(inside: Sequence[Judgement], spans: Sequence[Span]) -> Fraction:
    """How much more the bad events vary between seconds than independent ones would; 1 when within the limit.

    Pearson's statistic over its degrees of freedom, exact (McCullagh and Nelder, 1989, section 4.5): each second is
    compared with what its own number of requests lets expect, so that a part of a second is no burst.
    """
    total: Counter[tuple[int, int]] = Counter()
    bad_at: Counter[tuple[int, int]] = Counter()
    for one in inside:
        where = next(at for at, span in enumerate(spans) if span.start_ns <= one.intended_ns < span.end_ns)
        second = (where, (one.intended_ns - spans[where].start_ns) // _NS_PER_S)
        total[second] += 1
        bad_at[second] += one.state is not State.GOOD
    bad, requests = sum(bad_at.values()), len(inside)
    if bad < 2 or bad == requests or len(total) < 2:
        return Fraction(1)
    share = Fraction(bad, requests)
    squares = sum((bad_at[second] - share * count) ** 2 / count for second, count in total.items())
    index = squares / (share * (1 - share)) / (len(total) - 1)
    return index if index > DISPERSION_LIMIT else Fraction(1)
