"""The load of a drill: phases while it runs, questions when it is over."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from pytest_finchaos.drill import answers, closing, host
from pytest_finchaos.drill.loading import MAX_DURATION_S, Script, plan_of
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.session import start_load
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Counts
from pytest_finchaos.model.timeline import Phase
from pytest_finchaos.runtime import leases
from pytest_finchaos.runtime.clock import NS_PER_S
from pytest_finchaos.slo.catalogue import load_objectives
from pytest_finchaos.slo.recovery import observed_enough, window_s

if TYPE_CHECKING:
    from pytest_finchaos.drill.injection import Injection
    from pytest_finchaos.model.verdict import Judged

WARM_S = 1.0
TICK_S = 0.1
REPORT_EVERY_S = 5.0


class Traffic:
    """Load while the block runs; counts and claims afterwards.

    ``steady``, ``hold`` and ``recover`` only mark phases and wait: the load runs through all of them.
    """

    def __init__(self, state: DrillState, *, max_in_flight: int, script: Script | None = None) -> None:
        self._state = state
        self._max_in_flight = max_in_flight
        self._script = script

    def __enter__(self) -> Self:
        state = self._state
        environment = state.bound_environment("drill.load(…)")
        state.fingerprint_before = environment.fingerprint
        state.objectives = load_objectives(environment.spec.slos, environment.spec.source)
        plan = plan_of(state, environment, script=self._script, max_in_flight=self._max_in_flight)
        state.profile = plan.title
        pace = f"{state.profile} at {state.rate_per_s:g}/s" if self._script is None else state.profile
        state.context.records.mkdir(parents=True, exist_ok=True)
        self._take_slot()
        state.context.progress(f"load: {pace}")
        try:
            closing.note_ledger(state)
            state.session = start_load(plan, state.context.records)
            closing.note_ledger(state)
        except BaseException:
            host.give_back(state.lease)
            raise
        state.record("load-started", "load", pace)
        state.phases.begin(Phase.WARM)
        self._wait(WARM_S + (plan.users / plan.spawn_per_s if isinstance(plan, LocustPlan) else 0.0))
        return self

    def _take_slot(self) -> None:
        """Wait until this drill may be measured; it starts when it has its slot, so that no chart shows the wait."""
        state = self._state
        state.lease = leases.take(state.context.node_id, tell=state.context.progress)
        if not state.events and not state.injections:
            state.started_ns, state.host_before = state.context.clock.now_ns(), host.sample()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            closing.abandon(self._state)
        else:
            closing.close(self._state)
        if self._script is not None:
            self._state.rate_per_s = self._sent_per_s()

    def _sent_per_s(self) -> float:
        """The rate of a load: as planned, or what the users of a locustfile have made so far."""
        state = self._state
        if self._script is None or state.session is None or not state.session.started_ns:
            return state.rate_per_s
        until_ns = state.context.clock.now_ns() if state.history is None else state.history.stopped_ns
        return round(self.counts.sent / max((until_ns - state.session.started_ns) / NS_PER_S, 0.001), 1)

    def steady(self, *, duration_s: float) -> None:
        """The baseline: nothing is disturbed for ``duration_s`` seconds."""
        self._phase(Phase.STEADY, "steady", duration_s)

    def hold(self, *, duration_s: float) -> None:
        """Keep the armed fault for ``duration_s`` seconds."""
        self._phase(Phase.HOLD, "hold", duration_s)

    def recover(self, *, within_s: float) -> None:
        """Watch until the system has recovered, at most ``within_s`` seconds plus the window that proves it.

        Returns, never raises: ask `recovered` after the block.
        """
        state = self._state
        _positive("recover", "within_s", within_s)
        state.recover_within_s = within_s
        state.context.progress(f"recover: at most {within_s:g} s")
        state.phases.begin(Phase.RECOVER)
        if not state.injections:
            self._wait(within_s)
            return
        watch_s = within_s + window_s(self._sent_per_s())
        deadline_ns = state.context.clock.now_ns() + int(watch_s * NS_PER_S)
        while state.context.clock.now_ns() < deadline_ns and self._alive():
            self._wait(0.25)
            if self._recovered_from_all():
                return

    def _recovered_from_all(self) -> bool:
        state = self._state
        if state.session is None:
            return True
        observation = answers.observation(state, state.session.history())
        return observed_enough(observation, [injection.result() for injection in state.injections])

    def _phase(self, phase: Phase, name: str, duration_s: float) -> None:
        _positive(name, "duration_s", duration_s)
        self._state.context.progress(f"{name}: {duration_s:g} s")
        self._state.phases.begin(phase)
        self._wait(duration_s)

    def _alive(self) -> bool:
        return self._state.session is not None and self._state.session.alive

    def _wait(self, duration_s: float) -> None:
        """Wait while the load runs; a dead generator ends the wait, the automatic check tells it."""
        clock = self._state.context.clock
        end_ns = clock.now_ns() + int(duration_s * NS_PER_S)
        told_ns = clock.now_ns()
        while self._alive() and (left_ns := end_ns - clock.now_ns()) > 0:
            clock.sleep_s(min(TICK_S, left_ns / NS_PER_S))
            if clock.now_ns() - told_ns > REPORT_EVERY_S * NS_PER_S and self._state.session is not None:
                told_ns = clock.now_ns()
                seen = self._state.session.progress()
                self._state.context.progress(
                    f"{seen.sent} sent, {seen.ok} ok, {seen.declined} declined, {seen.bad} failed, "
                    f"{seen.unknown} unknown, {seen.in_flight} in flight"
                )

    def spent(
        self, slo: str, *, during: Injection, at_most_bad: int | None = None, at_most_bad_slices: int | None = None
    ) -> Judged:
        """Whether at most so many bad events (or bad slices) had their intended time while a fault was armed.

        Args:
            slo: Objective of the catalogue or of ``[environments.X.slos]``.
            during: The injection; events with intended time in [armed, disarmed) count.
            at_most_bad: Limit on bad events; unknowns that the ledger does not resolve are bad.
            at_most_bad_slices: Limit on bad slices of 100 ms, instead.

        Raises:
            UserError: Unknown objective, no or two limits, asked inside the load block.
        """
        return answers.spent(self._state, slo, during, at_most_bad, at_most_bad_slices)

    def demonstrates(self, slo: str, *, at_least: float | str | None = None) -> Judged:
        """Whether the steady traffic proves the objective's ratio with an exact 95 % bound.

        Args:
            slo: Objective.
            at_least: A weaker ratio to claim instead of the objective's own, e.g. ``"0.99"``.
        """
        return answers.demonstrates(self._state, slo, at_least)

    def recovered(self, injection: Injection, *, within_s: float) -> Judged:
        """Whether the system was well again at most ``within_s`` seconds after the removal of ``injection``.

        Raises:
            UserError: The ``recover()`` phase was shorter than the question asks, or asked inside the load block.
        """
        return answers.recovered(self._state, injection, within_s)

    @property
    def counts(self) -> Counts:
        """Exact accounting, complete after the block."""
        state = self._state
        if state.history is not None:
            return state.history.counts
        return state.session.history().counts if state.session is not None else Counts()

    @property
    def planned(self) -> int:
        """Arrivals whose intended time lay in the load."""
        return self.counts.planned

    @property
    def sent(self) -> int:
        """Operations of which at least one attempt left."""
        return self.counts.sent

    @property
    def late(self) -> int:
        """Operations that left later than the limit after their intended time."""
        return self.counts.late

    @property
    def dropped(self) -> int:
        """Arrivals that the cap on requests in flight kept back for good."""
        return self.counts.dropped

    @property
    def censored(self) -> int:
        """Operations still in flight when the load ended."""
        return self.counts.censored

    @property
    def ok(self) -> int:
        """Operations that succeeded."""
        return self.counts.ok

    @property
    def declined(self) -> int:
        """Operations that ended in a business decline."""
        return self.counts.declined

    @property
    def failed(self) -> int:
        """Operations that certainly had no effect: refused, or never connected."""
        return self.counts.failed

    @property
    def unknown(self) -> int:
        """Operations of which the client does not know whether they had an effect."""
        return self.counts.unknown

    def __repr__(self) -> str:
        return f"<Traffic {self._state.profile} at {self._state.rate_per_s:g}/s: {self.counts}>"


def _positive(call: str, name: str, value: float) -> None:
    if not 0 < value <= MAX_DURATION_S:
        raise UserError(
            f"traffic.{call}(…)", f"{name} = {value}", allowed=(f"more than 0, at most {MAX_DURATION_S:g}",)
        )
