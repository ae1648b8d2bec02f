"""Killing a component, and pausing it."""

from __future__ import annotations

import contextlib
import os
import signal

from pytest_finchaos.faults.armed import Armed, both
from pytest_finchaos.faults.probing import Observation, said, speaker_of
from pytest_finchaos.faults.process import Kill, Pause
from pytest_finchaos.faults.processes import STOPPED, Process, exited, open_pidfd, signal_process, tree
from pytest_finchaos.faults.target import Environment
from pytest_finchaos.faults.wire import Exchange, How, connect
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Component, Instance
from pytest_finchaos.proxy.undo import carry_out
from pytest_finchaos.runtime.clock import NS_PER_S, Clock
from pytest_finchaos.runtime.undo import UndoRecord

POLL_S = 0.05
ANSWER_WITHIN_S = 1.0
UNANSWERED_WITHIN_S = 0.5
SWEEPS = 20  # rounds of looking for children that were born meanwhile


class OnComponent(Armed):
    """What killing and pausing share: the instance that runs now, and a direct probe of it."""

    def __init__(self, fault: Kill | Pause, environment: Environment, injection_id: str, clock: Clock) -> None:
        super().__init__(fault, injection_id, clock)
        self.component: Component = fault.component
        self.environment = environment
        self.before: Instance = environment.instance(self.component.name)

    def members(self) -> tuple[Process, ...]:
        """Every process of the component now, its root first."""
        more = self.environment.processes(self.component.name)
        found = tree(self.before.pid, more)
        return tuple(process for process in found if process.alive)

    def require_root(self) -> None:
        """The instance must still be the process that it was.

        Raises:
            UserError: It ended, and its number may be somebody else's.
        """
        if not Process(self.before.pid, self.before.started_ticks).alive:
            what = f"process {self.before.pid} has ended already"
            raise UserError(f"component {self.component.name}", what, cure="see its log and the timeline")

    def ask(self, address: str, within_s: float) -> Exchange | None:
        """One exchange with the component itself, past every proxy; None when nobody can speak to it."""
        protocol = "postgres" if self.component.kind == "postgres" else "http" if self.component.probe_path else "tcp"
        name = self.component.name
        path = self.component.probe_path or "/"
        speaker = speaker_of(protocol, address, path, lambda: self.environment.database_url(name))
        wire = connect(address, within_s, self.clock)
        if isinstance(wire, Exchange):
            return wire
        try:
            return None if speaker is None else wire.exchange(speaker.greet, within_s)
        finally:
            wire.close()


class Killed(OnComponent):
    """SIGKILL to the whole tree. There is nothing to undo: what starts it again is the environment."""

    def __init__(self, fault: Kill, environment: Environment, injection_id: str, clock: Clock) -> None:
        super().__init__(fault, environment, injection_id, clock)
        self._handles: dict[Process, int] = {}

    def arm(self) -> None:
        """Kill.

        Raises:
            UserError: It does not run.
        """
        self.require_root()
        members = self.members()
        for process in members:
            handle = open_pidfd(process)
            if handle is not None:
                self._handles[process] = handle
        for handle in self._handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        self.armed_at_ns = self.clock.now_ns()

    def observe(self, within_s: float) -> Observation:
        """Every process must have exited, by its pidfd."""
        until_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        left = []
        for process, handle in self._handles.items():
            if not exited(handle, max(0.0, (until_ns - self.clock.now_ns()) / NS_PER_S)):
                left.append(process.pid)
        many = len(self._handles)
        if left:
            return self.conclude(Observation(False, (f"processes {left} of {many} still run after SIGKILL",)))
        others = f" and {many - 1} more" if many > 1 else ""
        text = f"pidfd: process {self.before.pid}{others} exited"
        return self.conclude(Observation(True, (text,)))

    def disarm(self) -> None:
        """Nothing to take away."""
        if self._disarmed_at_ns is None:
            self._disarmed_at_ns = self.clock.now_ns()
            for handle in self._handles.values():
                os.close(handle)
            self._handles.clear()

    def prove_gone(self, within_s: float) -> Observation:
        """Another process must be the component, and answer."""
        if self.component.restart != "always":
            text = f"absence not checked: restart = {self.component.restart!r}, nobody starts it again before the heal"
            return self.conclude_gone(Observation(None, (text,)))
        until_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        while True:
            back, text = self._back()
            if back:
                return self.conclude_gone(Observation(False, (text,)))
            if self.clock.now_ns() >= until_ns:
                return self.conclude_gone(Observation(True, (f"not back after {within_s:g} s: {text}",)))
            self.clock.sleep_s(POLL_S)

    def _back(self) -> tuple[bool, str]:
        try:
            now = self.environment.instance(self.component.name)
        except UserError as error:
            return False, error.what
        if (now.pid, now.started_ticks) == (self.before.pid, self.before.started_ticks):
            return False, f"the environment still names process {now.pid}"
        answer = self.ask(now.address, ANSWER_WITHIN_S)
        if answer is None:
            return True, f"process {now.pid} took the place of {self.before.pid} and accepts connections"
        text = f"process {now.pid} took the place of {self.before.pid}: {said(answer)}"
        return answer.how is How.ANSWERED, text


class Paused(OnComponent):
    """SIGSTOP to the whole tree; each process has its undo on disk before it is stopped."""

    def __init__(self, fault: Pause, environment: Environment, injection_id: str, clock: Clock) -> None:
        super().__init__(fault, environment, injection_id, clock)
        self._stopped: dict[Process, UndoRecord] = {}
        self._lost = ""

    def arm(self) -> None:
        """Stop the root, then its children, until no new one is found: what is stopped has no more children.

        Raises:
            UserError: It does not run.
        """
        self.require_root()
        try:
            for _ in range(SWEEPS):
                new = [process for process in self.members() if process not in self._stopped]
                if not new:
                    break
                for process in new:
                    self._stop(process)
        except BaseException:
            self._continue()
            raise
        self.armed_at_ns = self.clock.now_ns()

    def _stop(self, process: Process) -> None:
        arguments = {"pid": process.pid, "started_ticks": process.ticks}
        self._stopped[process] = self.environment.undo.intend("continue-process", arguments)
        signal_process(process, signal.SIGSTOP)

    def observe(self, within_s: float) -> Observation:
        """State T of every process, and a probe that nobody answers."""
        until_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        while True:
            states = self._states()
            if states.seen or self.clock.now_ns() >= until_ns:
                break
            self.clock.sleep_s(POLL_S)
        answer = self.ask(self.before.address, UNANSWERED_WITHIN_S)
        if answer is None:
            probe = Observation(None, ("probe not possible: nobody speaks this component's protocol",))
        elif answer.how is How.SILENT:
            probe = Observation(True, (f"direct probe: {said(answer)}",))
        else:
            probe = Observation(False if answer.how is How.ANSWERED else None, (f"direct probe: {said(answer)}",))
        return self.conclude(both(states, probe))

    def _states(self) -> Observation:
        states = {process.pid: process.state for process in self._stopped}
        running = {pid: state for pid, state in states.items() if state and state not in STOPPED}
        if running:
            return Observation(False, (f"not stopped: {running}",))
        if not states.get(self.before.pid):
            return Observation(False, (f"process {self.before.pid} has ended",))
        return Observation(True, ("all in state T: " + ", ".join(f"process {pid}" for pid in states),))

    def disarm(self) -> None:
        """SIGCONT, children first; remembers when somebody else had continued it."""
        if self._disarmed_at_ns is not None:
            return
        states = self._states()
        if states.seen is False:
            self._lost = f"before its time {states.evidence[0]}"
        self._continue()
        self._disarmed_at_ns = self.clock.now_ns()
        if self._lost:
            self.conclude(both(self._acted, Observation(False, (self._lost,))))

    def _continue(self) -> None:
        for record in reversed(self._stopped.values()):
            carry_out(record)

    def prove_gone(self, within_s: float) -> Observation:
        """No process in state T, and the probe answered."""
        until_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        while True:
            seen = self._still_paused()
            if seen.seen is False or self.clock.now_ns() >= until_ns:
                break
            self.clock.sleep_s(POLL_S)
        if not any(process.state in STOPPED for process in self._stopped):
            for record in self._stopped.values():
                self.environment.undo.done(record)
        return self.conclude_gone(seen)

    def _still_paused(self) -> Observation:
        stopped = [process.pid for process in self._stopped if process.state in STOPPED]
        if stopped:
            return Observation(True, (f"processes {stopped} are still stopped",))
        try:
            address = self.environment.instance(self.component.name).address
        except UserError as error:
            return Observation(None, (f"absence not proven: {error.what}",))
        answer = self.ask(address, ANSWER_WITHIN_S)
        if answer is None:
            return Observation(False, ("no process is stopped, and it accepts connections",))
        text = f"no process is stopped, direct probe: {said(answer)}"
        return Observation(False if answer.how is How.ANSWERED else None, (text,))
