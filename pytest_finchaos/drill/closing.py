"""The end of a drill: load off, faults proven gone, system healed and quiet, build verified, money checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_finchaos.drill import checks, host, loading
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.ledger.adapters import read_ledger
from pytest_finchaos.ledger.check import check_money
from pytest_finchaos.ledger.invariants import INVARIANTS
from pytest_finchaos.load.references import read_references
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import EVERY_INVARIANT, MoneyReport
from pytest_finchaos.model.timeline import Phase

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment

HEAL_WITHIN_S = 30.0
DRAIN_WITHIN_S = 5.0
NO_LEDGER = MoneyReport(not_checked={EVERY_INVARIANT: "the environment has no [ledger]"})


def note_ledger(state: DrillState) -> None:
    """Read the ledger once as the load begins, where it may hold payments that are not the drill's.

    Called before the load and again once its set-up is done: over HTTP a ledger may want the set-up's token. What goes
    wrong is recorded: without that reading nobody can tell old payments from new ones.
    """
    environment = state.environment
    if environment is None or environment.backend == "processes" or environment.spec.ledger is None:
        return
    ready = state.session is not None
    if ready is (environment.spec.ledger.adapter == "sql"):
        return
    values = state.session.setup_values if state.session is not None else {}
    _guarded(state, "ledger before the load", lambda: _note(state, environment, values))


def _note(state: DrillState, environment: Environment, values: Mapping[str, Any]) -> None:
    state.ledger_before = read_ledger(environment.spec, environment, state.context.clock, values)


def close(state: DrillState) -> None:
    """Close the drill once; what goes wrong here is recorded and makes the drill undecided, it never hides an error."""
    if state.closed:
        return
    state.phases.begin(Phase.SETTLE)
    for injection in state.injections:
        if injection.open:
            state.forgotten.append(f"{injection.fault.describe()} was still armed when the load block ended")
            injection.remove()
    _guarded(state, "load", lambda: _stop_load(state))
    host.give_back(state.lease)
    environment = state.environment
    if environment is not None:
        state.context.progress("settling: healing, waiting for quiet, checking the money")
        _guarded(state, "heal", lambda: environment.heal(HEAL_WITHIN_S))
        _guarded(state, "money", lambda: _check_money(state))
        for release in state.releases:
            _guarded(state, "release", release.complete)
        _guarded(state, "build served", lambda: _verify(state))
    state.phases.end()
    state.ended_ns = state.context.clock.now_ns()
    state.host = host.load_between(state.host_before, host.sample()) | host.lease_facts(state.lease)
    checks.run(state)
    state.closed = True


def abandon(state: DrillState) -> None:
    """Faults away, load off, nothing checked."""
    for injection in state.injections:
        injection.remove(hurry=True)
    if state.session is not None and state.history is None:
        _guarded(state, "load", lambda: _stop_load(state, drain_s=0.0))
    host.give_back(state.lease)
    if not state.closed:
        state.problems.append("the drill was interrupted")
        state.money = MoneyReport(problem="the drill was interrupted")
        state.phases.end()
        state.ended_ns = state.context.clock.now_ns()
        checks.run(state)
        state.closed = True


def _guarded(state: DrillState, what: str, step: Callable[[], None]) -> None:
    try:
        step()
    except (UserError, OSError) as error:  # Waited is an OSError (TimeoutError)
        state.problems.append(f"{what}: {error}")
    except Exception as error:  # noqa: BLE001 - a defect in a check makes the drill undecided and is told, never green
        state.problems.append(f"{what}: {type(error).__name__}: {error}")


def _stop_load(state: DrillState, drain_s: float = DRAIN_WITHIN_S) -> None:
    if state.session is None or state.history is not None:
        return
    state.history = state.session.stop(drain_s)
    state.record("load-stopped", "load", f"{state.history.counts.sent} of {state.history.counts.planned} sent")


def _check_money(state: DrillState) -> None:
    environment, history = state.environment, state.history
    if environment is None or history is None or state.session is None:
        return
    if environment.spec.ledger is None:
        state.money = NO_LEDGER
        return
    if why := state.session.unreadable_money(environment.spec.ledger.operation):
        state.money = MoneyReport(not_checked=dict.fromkeys(INVARIANTS, why))
        return
    kept = state.session.references
    quiet = state.session.reads_only and not state.expected  # what a drill looks for is never waved through
    try:
        state.money = check_money(
            history,
            spec=environment.spec,
            environment=environment,
            injections=tuple(injection.result() for injection in state.injections),
            setup_values=state.session.setup_values,
            clock=state.context.clock,
            before=state.ledger_before,
            references=read_references(kept),
            reads_only=f"the load profile {state.profile!r} declares reads_only" if quiet else "",
        )
        if state.session.closed_loop:
            state.money = loading.without_probes(state.money)
    except Exception as error:
        state.money = MoneyReport(problem=f"{type(error).__name__}: {error}")
        raise
    finally:
        kept.unlink(missing_ok=True)  # ids of the system are needed for this check only
    state.record("quiet", "ledger", f"after {state.money.quiet_after_s} s")


def _verify(state: DrillState) -> None:
    if state.environment is None:
        return
    state.served_problems = state.environment.verify_served()
    state.fingerprint_after = state.environment.fingerprint_now()
