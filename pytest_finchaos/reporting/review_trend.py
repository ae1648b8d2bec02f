"""Objectives over time: the share of bad events of each run, and what all runs on the newest build prove together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_finchaos.model.result import RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo.objective import percent
from pytest_finchaos.slo.pool import Pooled, Sample, pool, sample


@dataclass(frozen=True, slots=True)
class Point:
    """The steady traffic of one run under one objective."""

    started_at: str
    run: str
    good: int
    bad: int
    fingerprint: str

    @property
    def share(self) -> float:
        """Share of bad events."""
        return self.bad / (self.good + self.bad)


@dataclass(frozen=True, slots=True)
class TrendLine:
    """One objective on one environment.

    Args:
        objective: Name.
        environment: Name.
        limit: In words, as the newest run tells it.
        budget: Share of events that may be bad, or None when the target is not known.
        points: One for each run, oldest first.
        proven: What all sound runs on the newest build prove, or None when the target is not known.
        fingerprint: That build.
    """

    objective: str
    environment: str
    limit: str
    budget: Fraction | None
    points: tuple[Point, ...]
    proven: Pooled | None
    fingerprint: str

    @property
    def standing(self) -> str:
        """``proven``, ``broken``, or what is still needed."""
        if self.proven is None:
            return "the target is not known"
        if self.proven.verdict is Verdict.PASS:
            return "proven"
        if self.proven.verdict is Verdict.FAIL:
            return "broken"
        return f"undecided: {self.proven.needed:,} more requests, all of them good"

    @property
    def totals(self) -> tuple[int, int]:
        """Bad and all events of all points."""
        bad = sum(point.bad for point in self.points)
        return bad, bad + sum(point.good for point in self.points)

    @property
    def claim(self) -> str:
        """The promise in words."""
        return self.limit or ("" if self.budget is None else f"≥ {percent(1 - self.budget)}")


def trend_lines(runs: Sequence[RunResult], targets: Mapping[tuple[str, str], Fraction]) -> tuple[TrendLine, ...]:
    """Every objective that was measured in steady traffic; broken ones first, then those that still need something.

    Args:
        runs: Oldest first, each once.
        targets: Shares of good events by environment and objective; "" stands for any environment.
    """
    names = sorted({row.name for run in runs for drill in run.drills for row in drill.objectives})
    lines = []
    for name in names:
        samples = [(run.run.started_at, sample(run.run.id, drill, name)) for run in runs for drill in run.drills]
        known = [(at, one) for at, one in samples if one is not None]
        for environment in sorted({one.environment for _, one in known}):
            here = [(at, one) for at, one in known if one.environment == environment]
            target = targets.get((environment, name), targets.get(("", name)))
            lines.append(_line(name, environment, here, target))
    order = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, None: 2, Verdict.PASS: 3}
    return tuple(sorted(lines, key=lambda line: (order[line.proven.verdict if line.proven else None], line.objective)))


def _line(name: str, environment: str, here: Sequence[tuple[str, Sample]], target: Fraction | None) -> TrendLine:
    newest = max((one for _, one in here), key=lambda one: (one.started_at, one.run, one.drill))
    runs: dict[str, list[tuple[str, Sample]]] = {}
    for at, one in here:
        runs.setdefault(one.run, []).append((at, one))
    points = [
        Point(
            rows[0][0],
            run,
            sum(one.good for _, one in rows),
            sum(one.bad for _, one in rows),
            rows[-1][1].fingerprint,
        )
        for run, rows in runs.items()
    ]
    build = [one for _, one in here if one.fingerprint == newest.fingerprint]
    return TrendLine(
        objective=name,
        environment=environment,
        limit=newest.limit,
        budget=None if target is None else 1 - target,
        points=tuple(sorted(points, key=lambda point: (point.started_at, point.run))),
        proven=None if target is None or not newest.fingerprint else pool(build, target),
        fingerprint=newest.fingerprint,
    )
