"""All results of one drill, over runs and shards, and the one that counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict

_STRENGTH = {Verdict.FAIL: 0, Verdict.INVALID: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 3}
_ELSEWHERE = ("attach", "command", "kubernetes")  # backends whose builds do not come from the drills' own commit
_EPOCH = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One result of a drill, or a result that never arrived.

    Args:
        id: Node id.
        run: The run.
        drill: The result; None when it was lost or the test was deselected.
        absent: ``lost`` or ``deselected`` when there is no result.
    """

    id: str
    run: RunResult
    drill: DrillResult | None
    absent: str = ""

    @property
    def started_at(self) -> str:
        """ISO 8601 UTC of the drill, or of its run."""
        return (self.drill.started_at if self.drill is not None else "") or self.run.run.started_at

    @property
    def when(self) -> datetime | None:
        """The same as a date; None when it is none."""
        return instant(self.started_at)

    @property
    def fingerprint(self) -> str:
        """Of the build that the drill ran on, or ""."""
        return self.drill.environment.fingerprint if self.drill is not None and self.drill.environment else ""

    @property
    def order(self) -> tuple[datetime, int, str, str]:
        """Key that sorts by age; of two at the same instant the stronger verdict comes last, so that it counts."""
        strength = -_STRENGTH[self.drill.verdict] if self.drill is not None else -1
        return (self.when or _EPOCH, strength, self.run.run.id, self.absent)


def instant(text: str) -> datetime | None:
    """An ISO 8601 instant in UTC; None for what is none. Without a zone it is taken as UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError:
        return None


def distinct(runs: Iterable[RunResult]) -> tuple[RunResult, ...]:
    """Each run once, in order of time: a report that is named twice, or copied, counts once."""
    given = list(runs)
    often = Counter(run.run.id for run in given)
    found: list[RunResult] = []
    for run in sorted(
        given, key=lambda run: (run.run.started_at, run.run.id, repr(run) if often[run.run.id] > 1 else "")
    ):
        if not any(run == other for other in found if other.run.id == run.run.id):
            found.append(run)
    return tuple(found)


def by_drill(runs: Iterable[RunResult]) -> dict[str, tuple[Attempt, ...]]:
    """Attempts by node id, oldest first."""
    found: dict[str, list[Attempt]] = {}
    for run in runs:
        for drill in run.drills:
            found.setdefault(drill.id, []).append(Attempt(drill.id, run, drill))
        for node_id in run.lost:
            found.setdefault(node_id, []).append(Attempt(node_id, run, None, "lost"))
        for node_id in getattr(run, "deselected", ()):  # reports of older versions do not have it
            found.setdefault(node_id, []).append(Attempt(node_id, run, None, "deselected"))
    return {node_id: tuple(sorted(found[node_id], key=lambda one: one.order)) for node_id in sorted(found)}


def counts(attempts: Sequence[Attempt]) -> tuple[Attempt, tuple[Attempt, ...]]:
    """The attempt that counts, and all on the same change, oldest first.

    The newest counts. But a failure on the same change is not undone by trying again: of a drill that failed and then
    passed while nothing changed, the failure counts. A deselected test is an attempt only when nothing else is known.
    """
    real = [one for one in attempts if one.absent != "deselected"] or list(attempts)
    newest = real[-1]
    same = tuple(one for one in real if one is newest or same_change(one, newest))
    failed = [one for one in same if one.drill is not None and one.drill.verdict is Verdict.FAIL]
    return (failed[-1] if failed else newest), same


def same_change(one: Attempt, other: Attempt) -> bool:
    """True when both tried the same thing: one run, one clean commit, or one build where no commit tells.

    A modified tree is told apart by the fingerprint alone. Two legs of a CI matrix are one change, on whatever build.
    A system that is deployed elsewhere may change while the commit of its drills does not: there another build is
    another change, unless the two runs overlapped.
    """
    if one.run.run.id == other.run.run.id:
        return True
    commits = [attempt.run.run.git.get("commit", "") for attempt in (one, other)]
    if all(commits) and commits[0] != commits[1]:
        return False
    clean = all(attempt.run.run.git.get("tree") == "clean" for attempt in (one, other))
    if all(commits) and clean:
        return (
            not _deployed_elsewhere(one, other) or one.fingerprint == other.fingerprint or _overlap(one.run, other.run)
        )
    return bool(one.fingerprint) and one.fingerprint == other.fingerprint


def _deployed_elsewhere(one: Attempt, other: Attempt) -> bool:
    environments = [attempt.drill.environment if attempt.drill is not None else None for attempt in (one, other)]
    return all(found is not None and found.backend in _ELSEWHERE and found.fingerprint for found in environments)


def _overlap(one: RunResult, other: RunResult) -> bool:
    """True when two runs were on at the same time, or nobody can tell."""
    bounds = [instant(text) for run in (one, other) for text in (run.run.started_at, run.run.ended_at)]
    first, first_end, second, second_end = bounds
    if first is None or first_end is None or second is None or second_end is None:
        return True
    return first <= second_end and second <= first_end
