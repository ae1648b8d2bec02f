"""The reliability review: what many runs say together, as plain data; from it HTML and Markdown are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting import facts
from pytest_finchaos.reporting.review_recovery import RecoveryLine, recovery_lines
from pytest_finchaos.reporting.review_releases import ExposureLine, exposure_lines
from pytest_finchaos.reporting.review_trend import TrendLine, trend_lines
from pytest_finchaos.slo.attempts import Attempt, by_drill, counts, distinct

_ORDER = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class GateLine:
    """What a gate requires against what is there.

    Args:
        name: Of the gate.
        status: What it says now.
        text: One sentence.
        required: Drills that it requires.
        fresh: Those with a result that may count: not stale, not missing, not lost.
        passed: Those that passed.
        open: What does not pass: state, name, why.
    """

    name: str
    status: str
    text: str
    required: int
    fresh: int
    passed: int
    open: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """One result of a drill; the verdict is None when it was lost."""

    started_at: str
    verdict: Verdict | None
    run: str


@dataclass(frozen=True, slots=True)
class DrillLine:
    """A drill over time.

    Args:
        id: Node id.
        verdict: Where it stands, or None when its newest result was lost.
        marks: All results, oldest first.
        why: Why it stands there.
        since: When the stretch of results that did not pass began, or "".
        last_passed: When it passed last, or "".
        needs: What would decide it, when undecided.
        run: Run of the result that counts.
        commit: Commit of that run, or "".
        replay: Command that repeats it.
        retried: Later results on the same change, which do not undo a failure.
    """

    id: str
    verdict: Verdict | None
    marks: tuple[Mark, ...]
    why: str = ""
    since: str = ""
    last_passed: str = ""
    needs: tuple[str, ...] = ()
    run: str = ""
    commit: str = ""
    replay: str = ""
    retried: int = 0

    @property
    def passes(self) -> int:
        """How many of its results passed."""
        return sum(mark.verdict is Verdict.PASS for mark in self.marks)


@dataclass(frozen=True, slots=True)
class UncheckedLine:
    """Something that the newest results did not check, why, and in which drills."""

    what: str
    why: str
    drills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the list."""

    id: str
    started_at: str
    verdict: Verdict
    drills: int
    commit: str
    seed: int


@dataclass(frozen=True, slots=True)
class Review:
    """The review.

    Args:
        since, until: The stretch of time, ISO 8601 UTC.
        gates: Required against fresh drills.
        drills: Every drill that ran, those that stand worst first.
        unchecked: What was not checked.
        recoveries: Recovery times against their limits.
        trends: Objectives over time.
        exposures: What releases cost while they were tried.
        runs: All runs, newest first.
        notes: What a reader must know: unreadable files, lost results, changed reports.
    """

    since: str
    until: str
    gates: tuple[GateLine, ...]
    drills: tuple[DrillLine, ...]
    unchecked: tuple[UncheckedLine, ...]
    recoveries: tuple[RecoveryLine, ...]
    trends: tuple[TrendLine, ...]
    exposures: tuple[ExposureLine, ...]
    runs: tuple[RunLine, ...]
    notes: tuple[str, ...] = ()

    def standing(self, *verdicts: Verdict | None) -> tuple[DrillLine, ...]:
        """The drills that stand at one of these verdicts."""
        return tuple(line for line in self.drills if line.verdict in verdicts)

    @property
    def failures(self) -> tuple[DrillLine, ...]:
        """Open failures."""
        return self.standing(Verdict.FAIL)

    @property
    def undecided(self) -> tuple[DrillLine, ...]:
        """Drills that decided nothing: inconclusive, unsound, or lost."""
        return self.standing(Verdict.INVALID, Verdict.INCONCLUSIVE, None)

    @property
    def sentence(self) -> str:
        """The review in one sentence."""
        if not self.runs:
            return "No run in this time, so nothing was shown."
        parts = [f"{len(self.runs)} runs of {len(self.drills)} drills" if len(self.runs) != 1 else "One run"]
        parts.append(_number(len(self.failures), "open failure"))
        parts.append(f"{len(self.undecided)} undecided")
        missing = sum(gate.required - gate.fresh for gate in self.gates)
        if self.gates:
            parts.append(f"{missing} required without a fresh result" if missing else "all required drills are fresh")
        return "; ".join(parts) + "."


def _number(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def build(
    runs: Sequence[RunResult],
    *,
    since: str,
    until: str,
    gates: Sequence[GateLine] = (),
    targets: Mapping[tuple[str, str], Fraction] | None = None,
    notes: Sequence[str] = (),
) -> Review:
    """The review of some runs.

    Args:
        runs: In any order; the same one twice counts once.
        since, until: The stretch of time that they are of.
        gates: What the gates say of them.
        targets: Shares of good events by environment and objective; "" stands for any environment.
        notes: What the caller knows beside it.
    """
    merged = distinct(runs)
    known = by_drill(merged)
    lines = sorted((_drill_line(attempts) for attempts in known.values()), key=_worst_first)
    return Review(
        since=since,
        until=until,
        gates=tuple(gates),
        drills=tuple(lines),
        unchecked=_unchecked(known),
        recoveries=recovery_lines(merged),
        trends=trend_lines(merged, targets or {}),
        exposures=exposure_lines(merged),
        runs=tuple(
            RunLine(
                run.run.id,
                run.run.started_at,
                run.verdict,
                len(run.drills),
                run.run.git.get("commit", "")[:12],
                run.run.seed,
            )
            for run in reversed(merged)
        ),
        notes=(*notes, *(f"run {run.run.id}: {problem}" for run in merged for problem in run.problems)),
    )


def _worst_first(line: DrillLine) -> tuple[int, str]:
    order = _ORDER.index(line.verdict) if line.verdict is not None else _ORDER.index(Verdict.INVALID)
    return (order, line.id)


def _drill_line(attempts: Sequence[Attempt]) -> DrillLine:
    tried = [one for one in attempts if one.absent != "deselected"] or list(attempts)
    one, same = counts(attempts)
    drill = one.drill
    marks = tuple(Mark(at.started_at, at.drill.verdict if at.drill else None, at.run.run.id) for at in tried)
    passed = [at for at, mark in enumerate(marks) if mark.verdict is Verdict.PASS]
    stands = None if drill is None else drill.verdict
    first_bad = 0 if not passed else passed[-1] + 1
    since = one.started_at if first_bad >= len(marks) else marks[first_bad].started_at
    return DrillLine(
        id=one.id,
        verdict=stands,
        marks=marks,
        why=f"it was {one.absent}: no result arrived" if drill is None else facts.headline(drill),
        since="" if stands is Verdict.PASS else min(since, one.started_at),
        last_passed=marks[passed[-1]].started_at if passed else "",
        needs=() if drill is None else _needs(drill),
        run=one.run.run.id,
        commit=one.run.run.git.get("commit", "")[:12],
        replay="" if drill is None else drill.replay,
        retried=len(same) - 1 - same.index(one) if stands is Verdict.FAIL else 0,
    )


def _needs(drill: DrillResult) -> tuple[str, ...]:
    """What would decide a drill that decided nothing."""
    if drill.verdict.decided:
        return ()
    found = [
        f"{row.name}: {row.needed:,} more requests, all of them good"
        for row in drill.objectives
        if row.asserted and row.needed and row.verdict is Verdict.INCONCLUSIVE
    ]
    found += [row.text for row in drill.recoveries if row.asserted and not row.verdict.decided]
    found += [f"{name}: {text}" for name, verdict, text in drill.checks if not verdict.decided]
    told = facts.headline(drill)
    return tuple(dict.fromkeys(text for text in found if text not in told)) or ("a new run",)


def _unchecked(known: Mapping[str, Sequence[Attempt]]) -> tuple[UncheckedLine, ...]:
    """Over the newest result of each drill; what many drills left out comes first."""
    found: dict[tuple[str, str], list[str]] = {}
    for node_id, attempts in known.items():
        results = [one.drill for one in attempts if one.drill is not None]
        if not results:
            continue
        for what, why in facts.unchecked(results[-1]):
            found.setdefault((what, why), []).append(node_id)
    rows = [UncheckedLine(what, why, tuple(ids)) for (what, why), ids in found.items()]
    return tuple(sorted(rows, key=lambda row: (-len(row.drills), row.what, row.why)))


def tally(line: DrillLine) -> str:
    """``9 passed, 1 failed of 10`` in words."""
    count = Counter(mark.verdict for mark in line.marks)
    names = {
        Verdict.PASS: "passed",
        Verdict.FAIL: "failed",
        Verdict.INCONCLUSIVE: "inconclusive",
        Verdict.INVALID: "invalid",
    }
    parts = [f"{count[verdict]} {name}" for verdict, name in names.items() if count[verdict]]
    return ", ".join([*parts, *([f"{count[None]} lost"] if count[None] else [])])
