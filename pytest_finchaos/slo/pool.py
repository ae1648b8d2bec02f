"""Pooling steady traffic of many drills on one build, so that together they prove what a short drill cannot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_finchaos.model.result import DrillResult, ObjectiveResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo import binomial
from pytest_finchaos.slo.objective import percent

DISPERSION_LIMIT = Fraction(3, 2)  # as for the seconds within one drill: more is no chance of independent events
STEADY = "in steady traffic"
_RATIOS = ("measured", "demonstrates")


@dataclass(frozen=True, slots=True)
class Sample:
    """The steady traffic of one drill under one objective.

    Args:
        drill: Node id.
        run: Run id.
        started_at: ISO 8601 UTC.
        environment: Name of the environment.
        fingerprint: Of the build that served.
        good: Good events.
        bad: Bad and unknown events: what nobody could clear up is not good.
        limit: The objective in words.
        effect: The sample counts this many times less, as its bad events came in bursts.
    """

    drill: str
    run: str
    started_at: str
    environment: str
    fingerprint: str
    good: int
    bad: int
    limit: str = ""
    effect: float = 1.0

    @property
    def total(self) -> int:
        """All events."""
        return self.good + self.bad


@dataclass(frozen=True, slots=True)
class Pooled:
    """What pooled traffic proves.

    Args:
        verdict: PASS, FAIL or INCONCLUSIVE.
        good, bad: Events.
        needed: Further events, all of them good, that would decide for the system; None when decided.
        drills: Number of drills pooled.
        upper: Highest bad share that is not excluded.
        effect: The sample was divided by this, as bad events came in bursts.
        text: One sentence.
    """

    verdict: Verdict
    good: int
    bad: int
    needed: int | None
    drills: int
    upper: float
    effect: float
    text: str


def sample(run: str, drill: DrillResult, slo: str) -> Sample | None:
    """The steady traffic of a drill under an objective; None when it has none, or when the run was unsound.

    Every sound run counts, also one that failed: leaving bad runs out would prove anything.
    """
    rows = [row for row in drill.objectives if row.name == slo and row.question in _RATIOS and STEADY in row.population]
    if not rows or drill.verdict is Verdict.INVALID or drill.environment is None:
        return None
    row = max(rows, key=lambda row: (_total(row), row.question))  # the same traffic may stand there twice
    if not _total(row):
        return None
    environment = drill.environment
    not_good = row.bad + row.unknown
    return Sample(
        drill=drill.id,
        run=run,
        started_at=drill.started_at,
        environment=environment.name,
        fingerprint=environment.fingerprint,
        good=row.good,
        bad=not_good,
        limit=row.limit,
        effect=row.effect,
    )


def _total(row: ObjectiveResult) -> int:
    return row.good + row.bad + row.unknown


def pool(samples: Sequence[Sample], target: Fraction, confidence: Fraction = binomial.CONFIDENCE) -> Pooled:
    """Whether the samples together prove that the share of good events reaches ``target``.

    PASS when the exact one-sided upper bound of the bad share is within the budget, FAIL when the lower bound is above
    it (Clopper and Pearson, 1934). Bad events that gather in a few drills, or in bursts within them, are not
    independent: when they vary between drills more than 1.5 times as much as independent ones would, the sample is
    divided by that ratio, or by that of their bursts within the drills when it is larger.
    """
    good, bad = sum(one.good for one in samples), sum(one.bad for one in samples)
    total, budget = good + bad, 1 - target
    effect = max(_between(samples), _within(samples))
    size, failures = math.floor(total / effect), math.ceil(bad / effect)
    needed = None
    if binomial.excludes_more(failures, size, budget, confidence):
        verdict = Verdict.PASS
    elif binomial.excludes_less(math.floor(bad / effect), size, budget, confidence):
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.INCONCLUSIVE
        needed = max(1, math.ceil(binomial.clean_needed(target, failures, confidence) * effect) - total)
    upper = binomial.upper_bound(failures, size, confidence)
    runs = f"{len(samples)} drill{'' if len(samples) == 1 else 's'}"
    parts = [f"{bad:,} bad of {total:,} in the steady traffic of {runs}"]
    if total:
        parts.append(f"bad share at most {upper * 100:.3g} % ({percent(confidence)} confidence)")
    parts.append(f"budget {percent(budget)}")
    if needed is not None:
        parts.append(f"{needed:,} more requests, all of them good, would decide")
    if effect != 1:
        parts.append(f"bad events gathered in a few drills or in bursts: sample divided by {float(effect):.2g}")
    return Pooled(verdict, good, bad, needed, len(samples), upper, float(effect), "; ".join(parts))


def _within(samples: Iterable[Sample]) -> Fraction:
    """The effect of bursts inside drills: their own effects, weighted by their bad events."""
    rows = [one for one in samples if one.bad]
    bad = sum(one.bad for one in rows)
    return sum((Fraction(max(one.effect, 1.0)) * one.bad for one in rows), Fraction(0)) / bad if bad else Fraction(1)


def _between(samples: Iterable[Sample]) -> Fraction:
    """Pearson's statistic over its degrees of freedom (McCullagh and Nelder, 1989, section 4.5); 1 within the limit."""
    rows = [one for one in samples if one.total]
    bad, total = sum(one.bad for one in rows), sum(one.total for one in rows)
    if bad < 2 or bad == total or len(rows) < 2:
        return Fraction(1)
    share = Fraction(bad, total)
    chi = sum(((one.bad - one.total * share) ** 2 / (one.total * share * (1 - share)) for one in rows), Fraction(0))
    effect = chi / (len(rows) - 1)
    return effect if effect > DISPERSION_LIMIT else Fraction(1)
