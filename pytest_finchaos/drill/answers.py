"""Answers to what a test asks of its traffic, each voided by the soundness defects that hit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finchaos.drill.checks import refuse_open
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.result import ObjectiveResult
from pytest_finchaos.model.timeline import Phase
from pytest_finchaos.model.verdict import Claim, Judged, Reason, Verdict, void
from pytest_finchaos.slo import catalogue, claims, events, soundness, spend
from pytest_finchaos.slo.objective import Objective

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
    defects = list(state.defects)
    if objective.latency_limit_ms is not None and state.history is not None:
        late = soundness.late_generator(state.history.generator, objective.latency_limit_ms)
        if late is not None:
            defects.append(late)
            state.defects.append(late)
    answer = void(judged, defects, frozenset(rests_on), about)
    state.asked.append(
        ObjectiveResult(
            row.name,
            row.question,
            answer.verdict,
            asserted=True,
            text=row.text,
            good=row.good,
            bad=row.bad,
            unknown=row.unknown,
            limit=row.limit,
            needed=row.needed,
            population=row.population,
            reasons=answer.reasons,
        )
    )
    return answer


def not_injected(call: str, injection: Injection) -> Judged:
    """The answer about a fault that was never armed."""
    reason = Reason("never-armed", f"{injection.fault.describe()} was never armed", injection.id)
    return Judged(Verdict.INVALID, (reason,), call)


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


def history_of(state: DrillState) -> History | None:
    """The final history, or the one so far."""
    if state.history is not None:
        return state.history
    return state.session.history() if state.session is not None else None
