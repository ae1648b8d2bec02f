"""Recovery over many runs: how many of how many within the limit and the worst, never a mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_finchaos.model.result import RecoveryResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.formats import count, seconds
from pytest_finchaos.slo import binomial


@dataclass(frozen=True, slots=True)
class RecoveryLine:
    """Recovery of one drill from one fault.

    Args:
        drill: Node id.
        fault: The fault in words.
        limit_s: The limit that the newest run asked for, or None.
        limits: How many different limits the runs asked for.
        within: Runs that were within the limit that they asked for.
        decided: Runs that were decided against a limit.
        undecided: Runs whose recovery could not be decided.
        unsound: Runs that were unsound, and count for nothing.
        never: Runs that did not recover while they were watched.
        watched_s: How long the longest of these was watched.
        worst_s: The longest time from the removal of the fault to recovery, or None.
        absorbed: Runs without impact.
        times_s: Seconds of each run that recovered, in order of time.
    """

    drill: str
    fault: str
    limit_s: float | None
    limits: int
    within: int
    decided: int
    undecided: int
    unsound: int
    never: int
    watched_s: float
    worst_s: float | None
    absorbed: int
    times_s: tuple[float, ...]

    @property
    def met(self) -> bool:
        """True when every decided run was within its limit, and there is one."""
        return self.decided > 0 and self.within == self.decided

    @property
    def score(self) -> str:
        """``9 of 9 within 3 s``."""
        if self.limit_s is None:
            return "no limit was asked"
        if not self.decided:
            return f"none decided against {seconds(self.limit_s)}"
        limit = f"{self.limit_s:g} s" if self.limits == 1 else f"the limit of its run, the newest {self.limit_s:g} s"
        return f"{self.within} of {self.decided} within {limit}"

    @property
    def worst(self) -> str:
        """The worst in words; a run that never recovered is worse than any time."""
        if self.never:
            return f"not recovered after {seconds(self.watched_s)} ({count(self.never, 'run')})"
        return "–" if self.worst_s is None else seconds(self.worst_s)

    @property
    def proof(self) -> str:
        """What k of k proves about the share of such drills that stay within the limit."""
        if not self.met:
            return "–"
        share = 1 - binomial.upper_bound(0, self.decided)
        return f"at least {share * 100:.0f} % of such runs"

    @property
    def rest(self) -> str:
        """What does not count, in words."""
        parts = [(self.undecided, "undecided"), (self.unsound, "unsound"), (self.absorbed, "without impact")]
        return ", ".join(f"{number} {word}" for number, word in parts if number) or "–"


def recovery_lines(runs: Sequence[RunResult]) -> tuple[RecoveryLine, ...]:
    """Every drill and fault that a recovery was watched for; missed limits first."""
    found: dict[tuple[str, str], list[tuple[RecoveryResult, bool]]] = {}
    for run in runs:
        for drill in run.drills:
            faults = {injection.id: injection.fault for injection in drill.injections}
            for row in drill.recoveries:
                key = (drill.id, faults.get(row.injection, row.injection))
                found.setdefault(key, []).append((row, drill.verdict is Verdict.INVALID))
    lines = [_line(drill, fault, rows) for (drill, fault), rows in found.items()]
    return tuple(sorted(lines, key=lambda line: (line.within == line.decided, line.drill, line.fault)))


def _line(drill: str, fault: str, rows: Sequence[tuple[RecoveryResult, bool]]) -> RecoveryLine:
    sound = [row for row, unsound in rows if not unsound]
    asked = [row for row in sound if row.asserted and row.within_s is not None]
    decided = [row for row in asked if row.verdict.decided]
    times = [row.after_s for row in sound if row.after_s is not None and row.outcome != "absorbed"]
    censored = [row.censored_at_s or 0.0 for row in sound if row.outcome == "not_recovered"]
    return RecoveryLine(
        drill=drill,
        fault=fault,
        limit_s=asked[-1].within_s if asked else None,
        limits=len({row.within_s for row in asked}),
        within=sum(row.verdict is Verdict.PASS for row in decided),
        decided=len(decided),
        undecided=len(asked) - len(decided) + sum(row.outcome == "undecided" for row in sound if row not in asked),
        unsound=len(rows) - len(sound),
        never=len(censored),
        watched_s=max(censored, default=0.0),
        worst_s=max(times, default=None),
        absorbed=sum(row.outcome == "absorbed" for row in sound),
        times_s=tuple(times),
    )
