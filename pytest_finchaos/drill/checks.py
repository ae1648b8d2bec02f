"""The automatic checks: made in every drill, whether or not the test asserts anything."""

from __future__ import annotations

from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.verdict import Claim, Defect, Judged, Reason, Verdict

LOAD_CLAIMS = frozenset({Claim.LATENCY, Claim.OUTCOMES, Claim.HISTORY})
EVERYTHING = frozenset({Claim.ALL})


def run(state: DrillState) -> None:
    """Fill ``state.checks`` and ``state.defects``."""
    state.checks = [
        ("traffic", _traffic(state)),
        ("load-generator", _generator(state)),
        ("faults-acted", _acted(state)),
        ("faults-gone", _gone(state)),
        ("build-served", _served(state)),
        ("closing", _closing(state)),
    ]


def _passed(name: str, text: str) -> Judged:
    return Judged(Verdict.PASS, (Reason(name, text),), name)


def _unsound(state: DrillState, name: str, reasons: list[Reason], voids: frozenset[Claim]) -> Judged:
    state.defects.extend(Defect(reason, voids) for reason in reasons)
    return Judged(Verdict.INVALID, tuple(reasons), name)


def _traffic(state: DrillState) -> Judged:
    history = state.history
    if history is None or history.counts.sent == 0:
        return Judged(Verdict.INCONCLUSIVE, (Reason("no-traffic", "no request was sent"),), "traffic")
    counts = history.counts
    answered = counts.ok + counts.declined + counts.failed
    if counts.ok + counts.declined == 0:
        text = f"{counts.sent} requests were sent and none got a good answer ({answered} refused or failed)"
        return Judged(Verdict.INCONCLUSIVE, (Reason("never-answered", text),), "traffic")
    return _passed("traffic", f"{counts.sent} of {counts.planned} planned requests were sent")


def _generator(state: DrillState) -> Judged:
    history = state.history
    if history is None:
        return Judged(Verdict.INCONCLUSIVE, (Reason("no-traffic", "there was no load"),), "load-generator")
    if state.session is not None and state.session.closed_loop:
        state.defects.append(Defect(Reason("closed-loop", state.session.closed_loop), frozenset({Claim.LATENCY})))
    if history.generator.complete and not history.generator.problems:
        lag_ms = history.generator.lag_p99_ns / 1e6
        return _passed(
            "load-generator", f"sound; lag p99 {lag_ms:.1f} ms, {history.generator.records} records complete"
        )
    reasons = [Reason("load-generator", problem) for problem in history.generator.problems]
    return _unsound(state, "load-generator", reasons or [Reason("load-generator", "records incomplete")], LOAD_CLAIMS)


def _acted(state: DrillState) -> Judged:
    if not state.injections:
        return _passed("faults-acted", "no fault was injected")
    reasons, unchecked = [], []
    for injection in state.injections:
        result = injection.result()
        why = "; ".join(result.evidence) or "no evidence"
        if result.acted is False:
            reasons.append(Reason("fault-did-not-act", f"{result.fault} did not act: {why}"[:400], injection.id))
        elif result.acted is None:
            unchecked.append(result.fault)
    if reasons:
        return _unsound(state, "faults-acted", reasons, frozenset({Claim.FAULT}))
    if unchecked:
        text = f"not checkable: {', '.join(unchecked)}"
        return Judged(Verdict.INCONCLUSIVE, (Reason("fault-unproven", text),), "faults-acted")
    return _passed("faults-acted", f"{len(state.injections)} of {len(state.injections)} faults acted")


def _gone(state: DrillState) -> Judged:
    reasons = []
    for injection in state.injections:
        result = injection.result()
        if injection.problem or result.gone is False:
            text = injection.problem or f"{result.fault} is still there: {'; '.join(result.evidence[-2:])}"
            reasons.append(Reason("fault-not-gone", text[:400], injection.id))
    reasons.extend(Reason("fault-not-removed", text) for text in state.forgotten)
    if reasons:
        return _unsound(state, "faults-gone", reasons, frozenset({Claim.FAULT}))
    return _passed("faults-gone", "no fault is left")


def _served(state: DrillState) -> Judged:
    problems = list(state.served_problems)
    due = state.fingerprint_due or state.fingerprint_before
    if state.fingerprint_after and due != state.fingerprint_after:
        problems.append(f"fingerprint changed from {due[:12]} to {state.fingerprint_after[:12]}")
    if problems:
        reasons = [Reason("wrong-build", problem) for problem in problems]
        return _unsound(state, "build-served", reasons, EVERYTHING)
    if not state.fingerprint_after:
        text = "which build served at the end was not verified"
        return Judged(Verdict.INCONCLUSIVE, (Reason("build-unverified", text),), "build-served")
    unproven = state.environment.unproven if state.environment is not None else ()
    if unproven:
        text = f"nothing changed that shows, fingerprint {state.fingerprint_after[:12]}; no build is proven of "
        return _passed("build-served", text + ", ".join(unproven))
    return _passed("build-served", f"the declared build served, fingerprint {state.fingerprint_after[:12]}")


def _closing(state: DrillState) -> Judged:
    if not state.problems:
        return _passed("closing", "the drill closed without trouble")
    reasons = tuple(Reason("closing", problem) for problem in state.problems)
    return Judged(Verdict.INCONCLUSIVE, reasons, "closing")


def refuse_open(state: DrillState, call: str) -> None:
    """Raise unless the drill has closed: a claim needs complete results."""
    if not state.closed:
        raise UserError(
            call, "the load is still running", cure="ask after the load block: its results are complete then"
        )
