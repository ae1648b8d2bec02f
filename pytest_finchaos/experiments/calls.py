"""What an experiment may ask of its drill while it runs; answered in the test's thread, which owns the drill."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_finchaos import faults
from pytest_finchaos.drill import answers
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.experiments.server import Later
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Operation, Outcome
from pytest_finchaos.model.timeline import Phase
from pytest_finchaos.runtime.clock import NS_PER_MS, NS_PER_S
from pytest_finchaos.slo import catalogue, events
from pytest_finchaos.slo.objective import Objective
from pytest_finchaos.slo.recovery import observed_enough, window_s

if TYPE_CHECKING:
    from pytest_finchaos.drill.drill import Drill
    from pytest_finchaos.drill.injection import Injection
    from pytest_finchaos.load.session import LoadSession

MOST_WAIT_S = 3600.0
OVERDUE_S = 2.0
_ARROW = re.compile(r"\s*(?:→|->)\s*")
_COUNTS = ("planned", "sent", "late", "dropped", "in_flight", "ok", "declined", "unknown")


class Calls:
    """Answers calls.

    Args:
        drill: The drill.
        state: What it knows.
    """

    def __init__(self, drill: Drill, state: DrillState) -> None:
        self._drill, self._state = drill, state
        self.injections: dict[str, Injection] = {}
        self._known: Mapping[str, Callable[..., Any]] = {
            "inject": self._inject,
            "remove": self._remove,
            "steady": lambda duration_s: self._phase(Phase.STEADY, duration_s),
            "hold": lambda duration_s: self._phase(Phase.HOLD, duration_s),
            "wait": lambda duration_s: self._phase(None, duration_s),
            "recover": self._recover,
            "expect_violation": self._expect,
            "events": self._events,
            "component": self._component,
            "injections": self._injections,
            "load": self._load,
            "recovered": self._recovered,
        }

    def handle(self, call: str, arguments: Mapping[str, Any]) -> Any:
        """The answer.

        Raises:
            UserError: Unknown call, wrong arguments, or the drill cannot do it.
        """
        if call not in self._known:
            raise UserError("experiment", f"no call {call!r}", allowed=self._known, got=call)
        return self._known[call](**arguments)

    def remove_all(self) -> None:
        """Remove what the experiment left armed: its end removes it, as leaving a block does in Python."""
        for injection in self.injections.values():
            injection.remove()

    def _inject(
        self, fault: str, edge: Any, component: Any, name: str | None, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        injection = self._drill.inject(self._fault(fault, edge, component, arguments))
        known = name or injection.id
        if known in self.injections:
            raise UserError("inject", f"there is an injection called {known!r} already", cure="give it another name")
        self.injections[known] = injection
        injection.__enter__()
        return {"name": known, "fault": injection.fault.describe(), "acted": injection.acted}

    def _fault(self, name: str, edge: Any, component: Any, arguments: Mapping[str, Any]) -> faults.Fault:
        kind = fault_class(name)
        environment = self._state.bound_environment("inject")
        wanted = [field.name for field in dataclasses.fields(kind)]
        given = dict(arguments)
        if edge is not None:
            given["edge"] = environment.edge(*ends_of(edge))
        if component is not None:
            given["component"] = environment.component(str(component))
        for key in given:
            if key not in wanted:
                raise UserError(f"inject {name}", f"no argument {key!r}", allowed=wanted, got=key)
        missing = [
            field.name
            for field in dataclasses.fields(kind)
            if field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
            and field.name not in given
        ]
        if missing:
            raise UserError(f"inject {name}", f"missing: {', '.join(missing)}", allowed=wanted)
        fault: faults.Fault = kind(**given)
        return fault

    def _remove(self, name: str | None) -> list[str]:
        if name is not None and name not in self.injections:
            raise UserError("remove", f"no injection {name!r}", allowed=self.injections, got=name)
        wanted = self.injections if name is None else {name: self.injections[name]}
        armed = {known: injection for known, injection in wanted.items() if injection.open}
        for injection in armed.values():
            injection.remove()
        return list(armed)

    def _phase(self, phase: Phase | None, duration_s: Any) -> Later:
        seconds = _duration(duration_s)
        if phase is not None:
            self._state.phases.begin(phase)
        end_ns = self._now() + int(seconds * NS_PER_S)
        return Later(lambda: True if self._now() >= end_ns else self._over())

    def _over(self) -> bool | None:
        """False when the load has died: there is nothing left to wait for, and the automatic check tells it."""
        session = self._state.session
        return False if session is not None and not session.alive else None

    def _recover(self, duration_s: Any) -> Later:
        session, seconds = self._session("recover"), _duration(duration_s)
        self._state.recover_within_s = max(seconds, self._state.recover_within_s or 0.0)
        self._state.phases.begin(Phase.RECOVER)
        end_ns = self._now() + int((seconds + window_s(session.plan.rate_per_s)) * NS_PER_S)

        def done() -> bool | None:
            if self._recovered():
                return True
            return False if self._now() >= end_ns else self._over()

        return Later(done)

    def _recovered(self) -> bool:
        session = self._session("recovered")
        results = [injection.result() for injection in self._state.injections]
        return observed_enough(answers.observation(self._state, session.history()), results)

    def _expect(self, name: str) -> bool:
        self._drill.expect_violation(name)
        return True

    def _events(self, objective: str, during: str | None, last_s: float | None) -> dict[str, int]:
        session = self._session("events")
        wanted = catalogue.objective(objective, self._state.objectives)
        start_ns, end_ns = self._window(during, last_s)
        history = session.history()
        settled = [operation for operation in history.operations if not _awaited(operation, wanted, self._now())]
        judged = events.judge(wanted, settled, observed_until_ns=self._now())
        tally = events.tally(events.between(judged, start_ns, end_ns))
        return {"good": tally.good, "bad": tally.bad, "unknown": tally.unknown, "not_good": tally.not_good}

    def _window(self, during: str | None, last_s: float | None) -> tuple[int, int]:
        now_ns = self._now()
        start_ns = 0 if last_s is None else now_ns - int(_duration(last_s) * NS_PER_S)
        if during is None:
            return start_ns, now_ns
        if during not in self.injections:
            raise UserError("during", f"no injection {during!r}", allowed=self.injections, got=during)
        result = self.injections[during].result()
        return max(start_ns, result.armed_at_ns or now_ns), result.disarmed_at_ns or now_ns

    def _component(self, name: str) -> dict[str, Any]:
        environment = self._state.bound_environment("component")
        environment.component(name)
        running = environment.instances().get(name)
        if running is None:
            return {"running": False, "pid": 0, "instance": "", "address": environment.direct_address(name)}
        return {"running": True, "pid": running.pid, "instance": running.instance, "address": running.address}

    def _injections(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "fault": injection.fault.describe(),
                "armed": injection.open,
                "acted": injection.acted,
                "gone": injection.gone,
            }
            for name, injection in self.injections.items()
        ]

    def _load(self) -> dict[str, int]:
        seen = self._session("load").progress()
        return {name: int(getattr(seen, name)) for name in _COUNTS} | {"failed": seen.bad}

    def _session(self, call: str) -> LoadSession:
        if self._state.session is None:
            raise UserError(call, "the experiment runs without load", cure="add load: {profile: …} to the extension")
        return self._state.session

    def _now(self) -> int:
        return self._state.context.clock.now_ns()


def fault_class(name: str) -> Any:
    """The class of faults called ``name``.

    Raises:
        UserError: There is none, with the nearest.
    """
    known = [item for item in faults.__all__ if item != "Fault"]
    if name not in known:
        raise UserError("inject", f"no fault {name!r}", allowed=known, got=name)
    return getattr(faults, name)


def ends_of(edge: Any) -> tuple[str, str]:
    """Source and target of ``SOURCE→TARGET``.

    Raises:
        UserError: It is no such text.
    """
    ends = _ARROW.split(edge.strip()) if isinstance(edge, str) else []
    if len(ends) != 2 or not all(ends):
        raise UserError("inject", f"edge {edge!r} is none", cure='write edge: "SOURCE→TARGET" or "SOURCE->TARGET"')
    return ends[0], ends[1]


def _duration(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_WAIT_S:
        raise UserError("duration", f"is {value!r}", allowed=(f"seconds, more than 0, at most {MOST_WAIT_S:g}",))
    return float(value)


def _awaited(operation: Operation, objective: Objective, now_ns: int) -> bool:
    """True while an answer may still come in time, so that nothing can be said of the operation yet."""
    if operation.outcome not in (None, Outcome.CENSORED):
        return False
    limit_ns = int((objective.deadline_s or OVERDUE_S) * NS_PER_S)
    if objective.threshold_ms is not None:
        limit_ns = int(objective.threshold_ms * NS_PER_MS)
    return now_ns - operation.intended_ns <= limit_ns
