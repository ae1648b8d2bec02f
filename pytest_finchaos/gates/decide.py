"""The decision: from a policy and many runs to what passes, what blocks, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pytest_finchaos.gates import claims
from pytest_finchaos.gates.policy import WARN, GateSpec, matches
from pytest_finchaos.gates.result import ClaimRow, GateResult, Row, State, Status, plural
from pytest_finchaos.model.errors import suggest
from pytest_finchaos.model.money import EVERY_INVARIANT
from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo.attempts import Attempt, by_drill, counts, distinct, instant

CLOCK_TOLERANCE = timedelta(minutes=5)  # between the clock of a CI worker and ours
_ORDER = list(State)
_MAX_RUNS = 3


def not_concerned(spec: GateSpec, change_class: str, now: str) -> GateResult:
    """The result for a change that the gate does not concern."""
    text = f"the gate concerns changes of class {spec.change_class!r}, this one is {change_class!r}: nothing was asked"
    return GateResult(spec.name, Status.NOT_CONCERNED, text, decided_at=now, on_undecided=spec.on_undecided)


def decide(spec: GateSpec, runs: Iterable[RunResult], now: str, *, notes: Sequence[str] = ()) -> GateResult:
    """Whether a gate lets a change through.

    Args:
        spec: The policy.
        runs: All runs that were found, in any order; the same one twice counts once.
        now: ISO 8601 UTC.
        notes: What the caller knows beside it, e.g. which runs it left out.

    Returns:
        The decision. Its status is FAIL when a drill or claim failed, BLOCKED when anything else than undecided
        blocks, UNDECIDED when undecided is the only ground and the policy blocks on it, else PASS.

    Raises:
        ValueError: ``now`` is no date: a mistake of ours.
    """
    at = instant(now)
    if at is None:
        raise ValueError(f"{now!r} is no date")
    merged = distinct(runs)
    known = by_drill(merged)
    rows = _one_build(spec, _required(spec, merged, known, at))
    proven = claims.decide(spec, merged, at)
    rows = tuple(sorted(rows, key=lambda row: (_ORDER.index(row.state), row.id)))
    states = [row.state for row in rows] + [claim.state for claim in proven]
    status = _status(spec, states)
    return GateResult(
        name=spec.name,
        status=status,
        text=_sentence(rows, proven),
        rows=rows,
        claims=proven,
        notes=(*notes, *_notes(spec, merged, states)),
        runs=tuple(run.run.id for run in merged),
        decided_at=now,
        on_undecided=spec.on_undecided,
    )


def _status(spec: GateSpec, states: Sequence[State]) -> Status:
    if State.FAIL in states:
        return Status.FAIL
    if any(state not in (State.PASS, State.UNDECIDED) for state in states) or not states:
        return Status.BLOCKED
    return Status.UNDECIDED if State.UNDECIDED in states and spec.on_undecided != WARN else Status.PASS


def _required(
    spec: GateSpec, runs: Sequence[RunResult], known: Mapping[str, Sequence[Attempt]], at: datetime
) -> list[Row]:
    rows: dict[str, Row] = {}
    for pattern in spec.require:
        found = [node_id for node_id in known if matches(pattern, node_id)]
        for node_id in found:
            if node_id not in rows:
                rows[node_id] = _row(spec, known[node_id], at)
        if not found:
            rows[pattern] = _nothing(pattern, runs, known)
    return list(rows.values())


def _nothing(pattern: str, runs: Sequence[RunResult], known: Mapping[str, Sequence[Attempt]]) -> Row:
    if not runs:
        return Row(pattern, State.EMPTY, "no report was found, so nothing was shown")
    if not any(run.drills or run.lost for run in runs):
        amount = "the run holds no drill" if len(runs) == 1 else f"none of {len(runs)} runs holds a drill"
        return Row(pattern, State.EMPTY, f"{amount}, so nothing was shown")
    near = suggest(pattern, known)
    hint = f"; did you mean {near!r}?" if near else ""
    return Row(pattern, State.MISSING, f"no drill of this name in {_runs(runs)}{hint}")


def _runs(runs: Sequence[RunResult]) -> str:
    names = [run.run.id for run in runs]
    if len(names) <= _MAX_RUNS:
        return f"run{'' if len(names) == 1 else 's'} {', '.join(names)}"
    return f"{len(names)} runs, the newest {names[-1]}"


def _row(spec: GateSpec, attempts: Sequence[Attempt], at: datetime) -> Row:
    one, same = counts(attempts)
    when = one.when
    age = None if when is None else at - when
    state, text = _judge(spec, one, same, age)
    drill = one.drill
    return Row(
        id=one.id,
        state=state,
        text=text,
        run=one.run.run.id,
        started_at=one.started_at,
        age_h=None if age is None else round(age / timedelta(hours=1), 2),
        duration_s=0.0 if drill is None else drill.duration_s,
        environment=drill.environment.name if drill is not None and drill.environment is not None else "",
        fingerprint=one.fingerprint,
        replay="" if drill is None else drill.replay,
        attempts=len(same),
    )


def _judge(spec: GateSpec, one: Attempt, same: Sequence[Attempt], age: timedelta | None) -> tuple[State, str]:
    """The state of a drill: a failure first, whatever its age; then whether the result may count; then what it says."""
    drill = one.drill
    if drill is None:
        if one.absent == "lost":
            return State.LOST, f"it began in run {one.run.run.id} and its result never arrived"
        return State.DESELECTED, f"it was deselected in run {one.run.run.id} and ran nowhere else"
    why = drill.reasons[0].text if drill.reasons else "no reason recorded"
    if drill.verdict is Verdict.FAIL:
        return State.FAIL, why + _tried_again(one, same)
    if (old := _too_old(spec, age)) is not None:
        return State.STALE, old
    if drill.verdict is Verdict.INVALID:
        return State.INVALID, f"the run was unsound: {why}"
    if drill.verdict is Verdict.INCONCLUSIVE:
        return State.UNDECIDED, why + _needed(drill)
    missing = [name for name in spec.require_checked if not _checked(drill, name)]
    if missing:
        return State.UNCHECKED, f"passed, but did not check {', '.join(_why_not(drill, name) for name in missing)}"
    return State.PASS, why


def _tried_again(one: Attempt, same: Sequence[Attempt]) -> str:
    later = len(same) - 1 - same.index(one)
    if not later:
        return ""
    again = "a later attempt" if later == 1 else f"{later} later attempts"
    return f" (run {one.run.run.id}; {again} on the same change do{'es' if later == 1 else ''} not undo a failure)"


def _too_old(spec: GateSpec, age: timedelta | None) -> str | None:
    """Why a result is too old; a result without a date, or from the future, has no age that could be trusted."""
    if spec.max_age_h is None:
        return None
    if age is None:
        return f"it has no date, and the gate allows {spec.max_age_h:g} h"
    if -age > CLOCK_TOLERANCE:
        return f"it is dated {_hours(-age)} in the future: its age cannot be told"
    if age > timedelta(hours=spec.max_age_h):
        return f"it is {_hours(age)} old, and the gate allows {spec.max_age_h:g} h"
    return None


def _hours(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    return f"{hours:.1f} h" if hours < 96 else f"{hours / 24:.0f} days"


def _needed(drill: DrillResult) -> str:
    """What an undecided drill still needs, as its objectives tell it."""
    rows = [row for row in drill.objectives if row.asserted and row.needed and row.verdict is Verdict.INCONCLUSIVE]
    return "".join(f"; {row.name}: {row.needed:,} more good requests would decide" for row in rows)


def _checked(drill: DrillResult, name: str) -> bool:
    """True when the drill decided about an invariant, an automatic check or an objective that its test asserted."""
    decided = [found.invariant for found in drill.money.findings if found.verdict.decided]
    decided += [check for check, verdict, _ in drill.checks if verdict.decided]
    decided += [row.name for row in drill.objectives if row.asserted and row.verdict.decided]
    return name in decided


def _why_not(drill: DrillResult, name: str) -> str:
    """The name with the first reason that the report gives for it, from the particular to the general."""
    reasons = [
        drill.money.not_checked.get(name, ""),
        *(row.why for row in drill.not_checked if name in row.what),
        *(found.text for found in drill.money.findings if found.invariant == name),
        *(text for check, _, text in drill.checks if check == name),
        drill.money.problem,
        drill.money.not_checked.get(EVERY_INVARIANT, ""),
    ]
    why = next((reason for reason in reasons if reason), "")
    return f"{name} ({why})" if why else name


def _one_build(spec: GateSpec, rows: Sequence[Row]) -> Sequence[Row]:
    """With ``fingerprint = "same"``: drills on another build than the newest one of their environment are MIXED."""
    return rows if not spec.same_fingerprint else [_mixed(row, rows) for row in rows]


def _mixed(row: Row, rows: Sequence[Row]) -> Row:
    if row.state not in (State.PASS, State.UNDECIDED):
        return row
    if not row.fingerprint:
        return replace(row, state=State.MIXED, text="it names no build, and the gate requires one build for all")
    others = [other for other in rows if other.fingerprint and other.environment == row.environment]
    newest = max(others, key=lambda other: (other.started_at, other.id))
    if newest.fingerprint == row.fingerprint:
        return row
    text = f"it ran on build {row.fingerprint[:12]}, the newest drill on {newest.fingerprint[:12]}: run it again"
    return replace(row, state=State.MIXED, text=text)


def _sentence(rows: Sequence[Row], proven: Sequence[ClaimRow]) -> str:
    parts = []
    for kind, states in (("drill", [row.state for row in rows]), ("claim", [claim.state for claim in proven])):
        tally = [(state, states.count(state)) for state in _ORDER if states.count(state)]
        if tally:
            words = ", ".join(f"{number} {state.value}" for state, number in tally)
            parts.append(f"{plural(len(states), f'required {kind}')}: {words}")
    return "; ".join(parts)


def _notes(spec: GateSpec, runs: Sequence[RunResult], states: Sequence[State]) -> tuple[str, ...]:
    notes = [f"run {run.run.id}: {problem}" for run in runs for problem in run.problems]
    notes += [f"run {run.run.id} holds no drill" for run in runs if not run.drills]
    ids = [run.run.id for run in runs]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    notes += [f"run {one} was given with different contents; all of them count" for one in twice]
    if State.UNDECIDED in states and spec.on_undecided == WARN:
        notes.append('undecided does not block this gate (on_undecided = "warn"): it is no pass')
    return tuple(notes)
