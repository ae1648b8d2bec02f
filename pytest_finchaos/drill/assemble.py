"""From what a drill knows to its result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_finchaos.drill import answers
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.model.history import Counts, Outcome
from pytest_finchaos.model.result import (
    DrillResult,
    EnvironmentResult,
    NotChecked,
    ObjectiveResult,
    RecoveryResult,
    Series,
)
from pytest_finchaos.model.timeline import Event, Phase
from pytest_finchaos.model.verdict import Reason, Verdict
from pytest_finchaos.slo import claims, events
from pytest_finchaos.slo.merge import judge_drill
from pytest_finchaos.slo.objective import Objective
from pytest_finchaos.slo.series import series

MAX_EVENTS = 500


def result(state: DrillState, test_outcome: str, text: str) -> DrillResult:
    """The drill, judged and ready for the report."""
    verdict, reasons = judge_drill(
        test_outcome,
        [judged for _, judged in state.checks],
        state.defects,
        tuple(state.expected),
        state.money,
        test_text=text,
        relied_on=frozenset(state.claims),
    )
    history = state.history
    clock = state.context
    return DrillResult(
        id=clock.node_id,
        verdict=verdict,
        reasons=reasons,
        test_outcome=test_outcome,
        seed=clock.seed,
        started_ns=state.started_ns,
        ended_ns=state.ended_ns,
        started_at=clock.anchor.date(state.started_ns),
        environment=_environment(state),
        profile=state.profile,
        rate_per_s=state.rate_per_s,
        traffic=history.counts if history is not None else Counts(),
        generator=history.generator if history is not None else None,
        phases=state.phases.spans(),
        events=_events(state),
        objectives=(*state.asked, *_measured(state)),
        injections=tuple(injection.result() for injection in state.injections),
        recoveries=_recoveries(state),
        money=state.money,
        releases=tuple(release.result() for release in state.releases),
        expected=tuple(state.expected),
        checks=tuple((name, judged.verdict, _texts(judged.reasons)) for name, judged in state.checks),
        not_checked=_not_checked(state),
        series=_series(state),
        replay=clock.replay,
        directory=str(clock.records) if history is not None else "",
        host=dict(state.host),
        impact=_impact(state),
        duration_s=round((state.ended_ns - state.started_ns) / 1e9, 3),
    )


def _texts(reasons: Iterable[object]) -> str:
    return "; ".join(getattr(reason, "text", "") for reason in reasons)


def _environment(state: DrillState) -> EnvironmentResult | None:
    environment = state.environment
    if environment is None:
        return None
    ran: dict[str, list[str]] = {}
    for event in environment.events():
        if event.kind == "component-ready":
            ran.setdefault(event.subject, []).append(str(event.data.get("instance", "")))
    return EnvironmentResult(
        id=environment.id,
        name=environment.name,
        backend=environment.backend,
        fingerprint=state.fingerprint_before,
        fingerprint_after=state.fingerprint_after,
        components={name: " → ".join(dict.fromkeys(instances)) for name, instances in ran.items()},
        notes=environment.notes,
    )


def _events(state: DrillState) -> tuple[Event, ...]:
    events_of_system = state.environment.events(state.started_ns) if state.environment is not None else ()
    merged = sorted((*state.events, *events_of_system), key=lambda event: event.at_ns)
    return tuple(event for event in merged if event.at_ns <= state.ended_ns)[:MAX_EVENTS]


def _measured(state: DrillState) -> tuple[ObjectiveResult, ...]:
    """Every objective that the traffic exercised, on steady traffic and under each fault; listed, not merged."""
    if state.history is None:
        return ()
    steady = state.phases.of(Phase.STEADY)
    rows = []
    for objective in state.objectives.values():
        judged = answers.judgements(state, objective)
        if not judged:
            continue
        if steady:
            rows.append(claims.measured(objective, judged, steady))
        for injection in state.injections:
            armed, disarmed = injection.armed_at_ns, injection.disarmed_at_ns
            if armed is not None and disarmed is not None:
                rows.append(_counted(objective, events.between(judged, armed, disarmed), injection.fault.describe()))
    return tuple(rows)


def _counted(objective: Objective, judged: Sequence[events.Judgement], fault: str) -> ObjectiveResult:
    """What happened under a fault, counted: a fault phase is no sample of anything, so it proves no ratio."""
    counts = events.tally(judged)
    text = f"{counts.not_good} of {counts.total} {objective.operation} were not {objective.good_means()}"
    return ObjectiveResult(
        name=objective.name,
        question="measured",
        verdict=Verdict.INCONCLUSIVE,
        asserted=False,
        text=text,
        good=counts.good,
        bad=counts.bad,
        unknown=counts.unknown,
        limit="counted only, no limit was asked",
        population=f"{objective.operation} under {fault}",
        reasons=(Reason("counted", text, objective.name),),
    )


def _recoveries(state: DrillState) -> tuple[RecoveryResult, ...]:
    asked = {recovery.injection for recovery in state.recoveries}
    rest = [
        answers.observed_recovery(state, injection)
        for injection in state.injections
        if injection.id not in asked and injection.armed_at_ns is not None and state.history is not None
    ]
    return (*state.recoveries, *(recovery for recovery in rest if recovery is not None))


def _not_checked(state: DrillState) -> tuple[NotChecked, ...]:
    rows = [NotChecked(f"money: {name}", why) for name, why in state.money.not_checked.items()]
    if state.environment is not None:
        rows.extend(NotChecked(what, why) for what, why in state.environment.unchecked.items())
    if state.history is not None:
        rows.extend(events.not_exercised(state.objectives, state.history.operations))
    if state.session is not None:
        rows.extend(state.session.not_checked)
    for injection in state.injections:
        found = injection.result()
        if found.gone is None:
            rows.append(NotChecked(f"removal of {found.fault}", "; ".join(found.evidence[-1:])))
    return tuple(rows)


def _series(state: DrillState) -> Series | None:
    if state.history is None or not state.history.operations:
        return None
    return series(state.history.operations, origin_ns=state.started_ns, end_ns=state.history.stopped_ns)


def _impact(state: DrillState) -> dict[str, int]:
    """Payments without success and their amounts, and what the violated invariants hold, in minor units."""
    spec = state.environment.spec.ledger if state.environment is not None else None
    if state.history is None or spec is None:
        return {}
    absent = {found.key for found in state.money.resolutions if found.state != "applied"}
    totals: dict[str, int] = {"payments": 0, "unsuccessful_payments": 0}
    for operation in state.history.operations:
        arrival = operation.arrival
        if arrival.operation != spec.operation:
            continue
        totals["payments"] += 1
        good = operation.outcome in (Outcome.OK, Outcome.DECLINED)
        resolved = operation.outcome in (Outcome.UNKNOWN, Outcome.CENSORED) and arrival.key not in absent
        if good or resolved:
            continue
        totals["unsuccessful_payments"] += 1
        key = f"unsuccessful_minor_{arrival.values.get('currency', '')}"
        totals[key] = totals.get(key, 0) + int(arrival.values.get("amount_minor", 0))
    for finding in state.money.findings:
        if finding.violations:
            totals["violations"] = totals.get("violations", 0) + finding.violations
            for currency, amount in finding.amount_minor.items():
                totals[f"violated_minor_{currency}"] = totals.get(f"violated_minor_{currency}", 0) + amount
    return totals
