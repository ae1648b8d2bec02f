"""Answers to what a test asks of its traffic, each voided by the soundness defects that hit it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finchaos.drill.checks import refuse_open
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.result import ObjectiveResult, RecoveryResult
from pytest_finchaos.model.timeline import Phase
from pytest_finchaos.model.verdict import Claim, Judged, Reason, Verdict, void
from pytest_finchaos.slo import catalogue, claims, events, soundness, spend
from pytest_finchaos.slo.baseline import baseline
from pytest_finchaos.slo.objective import Objective
from pytest_finchaos.slo.recovery import Observation, recovery

if TYPE_CHECKING:
    from pytest_finchaos.drill.injection import Injection


def judgements(state: DrillState, objective: Objective) -> tuple[events.Judgement, ...]:
    """Every arrival of the objective's operation, judged; empty without load."""
    if state.history is None:
        return ()
    return events.judge(
        objective,
        state.history.operations,
        resolutions=state.money.resolutions,
        observed_until_ns=state.history.stopped_ns,
    )


def spent(
    state: DrillState, slo: str, during: Injection, at_most_bad: int | None, at_most_bad_slices: int | None
) -> Judged:
    """See `Traffic.spent`."""
    refuse_open(state, f"traffic.spent({slo!r}, …)")
    objective = catalogue.objective(slo, state.objectives)
    judged, row = spend.spent(
        objective,
        judgements(state, objective),
        during=during.fault.describe(),
        armed_ns=during.armed_at_ns,
        disarmed_ns=during.disarmed_at_ns,
        at_most_bad=at_most_bad,
        at_most_bad_slices=at_most_bad_slices,
    )
    return _asked(state, objective, judged, row, about=during.id)


def demonstrates(state: DrillState, slo: str, at_least: float | str | None) -> Judged:
    """See `Traffic.demonstrates`."""
    refuse_open(state, f"traffic.demonstrates({slo!r}, …)")
    objective = catalogue.objective(slo, state.objectives)
    steady = state.phases.of(Phase.STEADY)
    judged, row = claims.demonstrates(objective, judgements(state, objective), steady, at_least=at_least)
    return _asked(state, objective, judged, row)


def _asked(state: DrillState, objective: Objective, judged: Judged, row: ObjectiveResult, about: str = "") -> Judged:
    """Void what a defect hits, and note that the test asked."""
    rests_on = objective.claims | ({Claim.FAULT} if about else frozenset())
    state.claims |= rests_on
    if objective.latency_limit_ms is not None:
        _note_late(state, objective.latency_limit_ms)
    answer = void(judged, state.defects, frozenset(rests_on), about)
    state.asked.append(replace(row, verdict=answer.verdict, asserted=True, reasons=answer.reasons))
    return answer


def observation(state: DrillState, history: History) -> Observation:
    """What recovery is judged from."""
    armed = [at_ns for injection in state.injections if (at_ns := injection.armed_at_ns) is not None]
    return Observation(
        operations=history.operations,
        steady=state.phases.of(Phase.STEADY),
        until_ns=history.stopped_ns,
        armed_ns=tuple(armed),
        latency_counts=not any(Claim.LATENCY in defect.voids for defect in state.defects),
    )


def recovered(state: DrillState, injection: Injection, within_s: float) -> Judged:
    """See `Traffic.recovered`."""
    call = f"traffic.recovered(…, within_s={within_s:g})"
    refuse_open(state, call)
    longer_recover_needed(state, within_s)
    if state.history is None:
        return Judged(Verdict.INCONCLUSIVE, (Reason("no-traffic", "there was no load"),), "recovered")
    found = injection.result()
    base = baseline(state.history.operations, state.phases.of(Phase.STEADY), before_ns=found.armed_at_ns or 0)
    _note_late(state, base.slow_ns / 1e6)
    judged, row = recovery(observation(state, state.history), found, within_s=within_s)
    rests_on = frozenset({Claim.OUTCOMES, Claim.FAULT})
    state.claims |= rests_on
    answer = void(judged, state.defects, rests_on, injection.id)
    state.recoveries.append(replace(row, verdict=answer.verdict, asserted=True, reasons=answer.reasons))
    return answer


def observed_recovery(state: DrillState, injection: Injection) -> RecoveryResult | None:
    """The recovery from a fault that the test did not ask about; listed, not merged."""
    if state.history is None:
        return None
    _, row = recovery(observation(state, state.history), injection.result())
    return row


def _note_late(state: DrillState, limit_ms: float) -> None:
    """A generator too late for ``limit_ms`` voids latency claims; recovery then counts errors only."""
    if state.history is None or any(Claim.LATENCY in defect.voids for defect in state.defects):
        return
    late = soundness.late_generator(state.history.generator, limit_ms)
    if late is not None:
        state.defects.append(late)


def longer_recover_needed(state: DrillState, within_s: float) -> None:
    """Raise unless the recover() phase was long enough for the question.

    Raises:
        UserError: There was none, or it was shorter.
    """
    call = f"traffic.recovered(…, within_s={within_s:g})"
    if state.recover_within_s is None:
        raise UserError(
            call, "the load block has no recover() phase", cure=f"call traffic.recover(within_s={within_s:g})"
        )
    if state.recover_within_s < within_s:
        raise UserError(
            call,
            f"the recover() phase watched for {state.recover_within_s:g} s only",
            cure=f"watch as long as you ask: traffic.recover(within_s={within_s:g})",
        )
