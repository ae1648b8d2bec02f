"""One fault of a drill, from arming to the proof that it is gone."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.faults.injector import Armed, arm
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.model.timeline import Phase

if TYPE_CHECKING:
    from pytest_finchaos.faults import Fault

ACT_WITHIN_S = 3.0
GONE_WITHIN_S = 20.0  # a killed component must be started again and become ready
INTERRUPTED_WITHIN_S = 1.0


class Injection:
    """A fault while it is armed, and what is known of it afterwards.

    Use as a context manager: entering arms the fault and observes that it acts, leaving removes it
    and proves that it is gone.
    """

    def __init__(self, state: DrillState, fault: Fault) -> None:
        self._state = state
        self._armed: Armed | None = None
        self._removed = False
        self.fault = fault
        self.id = f"{len(state.injections) + 1}-{type(fault).__name__.lower()}"
        self.problem = ""

    def __enter__(self) -> Self:
        state = self._state
        environment = state.bound_environment("drill.inject(…)")
        if state.closed:
            raise UserError("drill.inject(…)", "the drill has closed", cure="inject inside the load block")
        state.injections.append(self)
        state.phases.begin(Phase.INJECT)
        text = self.fault.describe()
        state.context.progress(f"inject: {text}")
        self._armed = arm(self.fault, environment=environment, injection_id=self.id, clock=state.context.clock)
        state.record("armed", self.id, text)
        seen = self._armed.observe(ACT_WITHIN_S)
        state.record("acted" if seen.seen else "no-effect", self.id, "; ".join(seen.evidence)[:300])
        state.phases.begin(Phase.HOLD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove(hurry=isinstance(error, KeyboardInterrupt))

    def remove(self, *, hurry: bool = False) -> None:
        """Take the fault away and prove that it is gone; idempotent, never raises over an error of the test.

        Args:
            hurry: True when the user interrupted: the proof gets one second.
        """
        if self._armed is None or self._removed:
            return
        self._removed = True
        state = self._state
        state.phases.begin(Phase.REMOVE)
        try:
            self._armed.disarm()
            state.record("disarmed", self.id)
            seen = self._armed.prove_gone(INTERRUPTED_WITHIN_S if hurry else GONE_WITHIN_S)
        except (UserError, OSError) as error:
            self.problem = f"{self.fault.describe()} could not be removed: {error}"
            state.record("still-there", self.id, self.problem[:300])
            return
        kind = {True: "still-there", False: "gone", None: "removal-unproven"}[seen.seen]
        state.record(kind, self.id, "; ".join(seen.evidence)[:300])
        state.context.progress(f"removed: {self.fault.describe()}")

    @property
    def open(self) -> bool:
        """True while the fault is armed."""
        return self._armed is not None and not self._removed

    @property
    def acted(self) -> bool | None:
        """True when traffic crossed the edge and the effect was seen; None when it could not be checked."""
        return self.result().acted

    @property
    def gone(self) -> bool | None:
        """True when the same probe no longer sees the effect; None when it could not be checked."""
        return self.result().gone

    @property
    def armed_at_ns(self) -> int | None:
        """CLOCK_MONOTONIC of the act."""
        return self.result().armed_at_ns

    @property
    def disarmed_at_ns(self) -> int | None:
        """CLOCK_MONOTONIC of the removal."""
        return self.result().disarmed_at_ns

    def result(self) -> InjectionResult:
        """What is known of the fault, for the report."""
        if self._armed is not None:
            return self._armed.result()
        return InjectionResult(
            self.id,
            self.fault.describe(),
            str(self.fault.target),
            None,
            False,
            None,
            None,
            None,
            None,
            ("never armed",),
        )

    def __repr__(self) -> str:
        return f"<Injection {self.fault.describe()}: acted {self.acted}, gone {self.gone}>"
