"""The supervisor: one process an environment, in a session of its own, which outlives nothing and leaves nothing.

Its lease is the control socket: end of file, the end of a parent, or the time limit mean that every fault is undone,
every process killed, every file removed. Run as ``python -m pytest_finchaos.environments.supervisor FD ID DIRECTORY``;
the plan follows on the socket.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import tagged
from pytest_finchaos.environments.fault_proxy import FaultProxy, ProxyProblem
from pytest_finchaos.environments.plan import ComponentPlan, SupervisorPlan
from pytest_finchaos.environments.router import beside
from pytest_finchaos.environments.running import Running
from pytest_finchaos.environments.system import System
from pytest_finchaos.environments.tail import bound, tail
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock
from pytest_finchaos.runtime.files import append_line

_PR_SET_CHILD_SUBREAPER = 36
TICK_S = 0.02  # while something is awaited
REST_S = 0.5  # otherwise; the end of a process wakes us by its pidfd
BOUND_EVERY_S = 2.0
DRAIN_WITHIN_S = 2.0
BOOT_DEATHS = 4  # of one component in a row before a start is given up: a dependency may not be up yet
LINE_LIMIT = 4_000_000


class LeaseLost(Exception):
    """The environment has no owner any more."""


class Refused(Exception):
    """A command that could not be carried out: told to the client."""


class Supervisor:
    """Keeps one environment.

    Args:
        control: The control socket.
        environment: Environment id.
    """

    def __init__(self, control: socket.socket, environment: str) -> None:
        self._control = control
        self._id = environment
        self._buffer = b""
        self._clock = SystemClock()
        self._parents: list[int] = []
        self._proxy: FaultProxy | None = None
        self._system: System | None = None
        self._booting: set[str] = set()  # started on demand and not ready since: a death is no reason to give up yet
        self._deadline_ns = 0
        self._bound_at_ns = 0
        self.plan: SupervisorPlan | None = None
        self.components: dict[str, Running] = {}

    def run(self) -> None:
        """Serve until the lease ends."""
        try:
            self._take_plan()
            while True:
                self._answer(json.loads(self._next_line()))
        except LeaseLost:
            return

    def _take_plan(self) -> None:
        plan: SupervisorPlan = codec.loads(SupervisorPlan, self._next_line().decode())
        self.plan = plan
        self._deadline_ns = self._clock.now_ns() + int(plan.ttl_s * NS_PER_S)
        for pid in plan.parents:
            try:
                self._parents.append(os.pidfd_open(pid))
            except ProcessLookupError:
                raise LeaseLost from None
        for part in plan.components:
            self.keep(part)
        if plan.system is not None:
            self._system = System(plan.system, self._id, Path(plan.directory))
        if plan.proxy_argv:
            self._proxy = FaultProxy(plan.proxy_argv, plan.proxy_port, plan.proxy_log, self._id)
        self._answer_with({"ok": True})

    def keep(self, plan: ComponentPlan) -> Running:
        """Look after one component from now on; it is not started."""
        self.components[plan.name] = Running(plan, {**os.environ, tagged.TAG: self._id}, self._clock)
        return self.components[plan.name]

    def launch(self, running: Running) -> None:
        """Start a component on demand: a death while it boots is no reason to give up yet."""
        running.forgive()
        self._booting.add(running.name)
        self._start(running)

    def _next_line(self) -> bytes:
        """The next command; components are looked after while waiting."""
        while b"\n" not in self._buffer:
            restless = not all(running.settled for running in self.components.values())
            self.tick(TICK_S if restless else REST_S)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def tick(self, wait_s: float) -> None:
        """Look after everything once: lease, input, ended components.

        Raises:
            LeaseLost: End of file, a dead parent, or the time limit.
        """
        control = self._control.fileno()
        ends = [running.handle for running in self.components.values() if running.handle is not None]
        readable, _, _ = select.select([control, *self._parents, *ends], [], [], wait_s)
        if any(handle in self._parents for handle in readable):
            raise LeaseLost
        if control in readable:
            data = self._control.recv(65_536)
            if not data or len(self._buffer) > LINE_LIMIT:
                raise LeaseLost
            self._buffer += data
        now_ns = self._clock.now_ns()
        if self._deadline_ns and now_ns > self._deadline_ns:
            raise LeaseLost
        if now_ns - self._bound_at_ns > BOUND_EVERY_S * NS_PER_S:
            self._bound_at_ns = now_ns
            for running in self.components.values():
                bound(running.plan.log)
        for running in self.components.values():
            self._look_after(running)
        if self._system is not None and (text := self._system.look(self._proxy_pid())):
            self.event("start-command-ended", "system", text)
        if self._proxy is not None and (text := self._proxy.ended()):
            self.event("proxy-exited", "fault proxy", text)

    def _look_after(self, running: Running) -> None:
        code = running.ended()
        if code is not None:
            self._died(running, code)
        made = running.data_is_made()
        if made is False:
            self.event("component-exited", running.name, running.exit_text, instance="", code=1)
            running.deaths = BOOT_DEATHS
        now_ns = self._clock.now_ns()
        due = running.restart_at_ns and now_ns >= running.restart_at_ns
        waited_out = due and now_ns - running.restart_at_ns > DRAIN_WITHIN_S * NS_PER_S
        if made or (due and (running.port_is_drained() or waited_out)):
            self._start(running)
        if running.alive and not running.ready and running.check_ready():
            assert running.process is not None
            self._booting.discard(running.name)
            took_s = (running.ready_at_ns - running.started_ns) / NS_PER_S
            text = f"ready after {took_s:.2f} s"
            self.event("component-ready", running.name, text, instance=running.instance, pid=running.process.pid)

    def _died(self, running: Running, code: int) -> None:
        name = running.name
        self.event("component-exited", name, running.exit_text, instance=running.instance, code=code)
        tagged.reap({other.process.pid for other in self.components.values() if other.process} | self._proxy_pid())
        again = running.plan.restart == "always" or (name in self._booting and running.deaths < BOOT_DEATHS)
        if again and not running.plan_restart():
            self.event("component-given-up", name, "it has used up its restarts", instance=running.instance)

    def _proxy_pid(self) -> set[int]:
        return set() if self._proxy is None or self._proxy.pid is None else {self._proxy.pid}

    def _start(self, running: Running) -> None:
        try:
            started = running.start()
        except OSError as error:  # who waits for it is told; nothing else may end the supervisor
            running.exit_text = f"cannot be started: {error}"
            running.deaths = BOOT_DEATHS
            self.event("component-exited", running.name, running.exit_text, instance="", code=1)
            return
        if started:
            assert running.process is not None
            pid = running.process.pid
            self.event("component-started", running.name, f"process {pid}", instance=running.instance, pid=pid)

    def event(self, kind: str, subject: str, text: str = "", **data: Any) -> None:
        """Append to the environment's events."""
        assert self.plan is not None
        append_line(Path(self.plan.events), codec.dumps(Event(self._clock.now_ns(), kind, subject, text, data)))

    def _answer(self, command: Mapping[str, Any]) -> None:
        calls: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "start": self._start_all,
            "proxy": self._await_proxy,
            "ready": self._await_ready,
            "instances": self._instances,
            "processes": self._processes,
            "heal": self._heal,
            "verify": self._verify,
            "stop": self._stop_all,
            "note": self._note,
            "add": partial(beside.add, self),
            "retire": partial(beside.retire, self),
            "arrange": partial(beside.arrange, self),
            "system-start": self._system_start,
            "system-state": self._system_state,
            "system-stop": self._system_stop,
        }
        try:
            result = calls[command["call"]](command)
        except (Refused, ProxyProblem) as error:
            self._answer_with({"ok": False, "error": str(error)})
        except OSError as error:
            self._answer_with({"ok": False, "error": f"{type(error).__name__}: {error}"})
        else:
            self._answer_with({"ok": True, "result": result})

    def _answer_with(self, answer: Mapping[str, Any]) -> None:
        try:
            self._control.sendall(codec.dumps(answer).encode() + b"\n")
        except OSError:
            raise LeaseLost from None

    def _start_all(self, _command: Mapping[str, Any]) -> None:
        """Start the fault proxy and every component, all at once; nothing is awaited."""
        if self._proxy is not None and self._proxy.pid is None:
            self._proxy.start()
        for running in self.components.values():
            if not running.alive and running.preparing is None:
                self.launch(running)
        # while they boot there is time, and at the end it must be in memory: the checkout may be gone by then
        import pytest_finchaos.environments.ending  # noqa: F401

    def _await_proxy(self, _command: Mapping[str, Any]) -> None:
        while self._proxy is not None and not self._proxy.listens():
            self.tick(TICK_S)

    def _await_ready(self, command: Mapping[str, Any]) -> None:
        self._wait_ready(command.get("limit_s"))

    def _wait_ready(self, within_s: float | None) -> None:
        started_ns = self._clock.now_ns()
        while waiting := [running for running in self.components.values() if not running.ready]:
            waited_s = (self._clock.now_ns() - started_ns) / NS_PER_S
            for running in waiting:
                limit_s = within_s if within_s is not None else running.plan.ready_within_s
                hopeless = running.name in self._booting and running.deaths >= BOOT_DEATHS and not running.alive
                if hopeless or waited_s > limit_s:
                    raise Refused(self._why_not_ready(running, waited_s))
            self.tick(TICK_S)

    def _why_not_ready(self, running: Running, waited_s: float) -> str:
        running.check_ready()
        told = tail(running.plan.log)
        more = f"\n  its log ends: {told}" if told else ""
        ended = f"; it {running.exit_text}" if running.exit_text and running.exit_text != running.last_seen else ""
        return f"component {running.name} is not ready after {waited_s:.1f} s: {running.last_seen}{ended}{more}"

    def _instances(self, _command: Mapping[str, Any]) -> Any:
        return {name: running.to_instance() for name, running in self.components.items() if running.alive}

    def _processes(self, command: Mapping[str, Any]) -> Sequence[int]:
        running = self.components[command["name"]]
        return running.members() if running.alive else ()

    def _heal(self, command: Mapping[str, Any]) -> None:
        for running in self.components.values():
            self._look_after(running)
            if running.alive:
                if not running.check_ready():
                    running.ready_at_ns = 0  # was ready once; must be seen ready again
            elif running.preparing is None and not running.restart_at_ns:
                self.launch(running)
        self._wait_ready(float(command["limit_s"]))

    def _verify(self, _command: Mapping[str, Any]) -> list[str]:
        problems = []
        for name, running in self.components.items():
            if not running.check_ready():
                problems.append(f"component {name}: {running.last_seen}")
        if self._proxy is not None and not self._proxy.listens_now():
            problems.append("the fault proxy does not run any more: faults on edges cannot act, traffic cannot pass")
        return problems

    def _note(self, command: Mapping[str, Any]) -> None:
        """Write an event for the client, so that one process writes the file."""
        self.event(command["kind"], command["subject"], command["text"], **command.get("data", {}))

    def _system_start(self, _command: Mapping[str, Any]) -> None:
        assert self._system is not None
        self._system.start()
        self.event("start-command", "system", "started")

    def _system_state(self, _command: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self._system is not None
        return self._system.state()

    def _system_stop(self, _command: Mapping[str, Any]) -> list[str]:
        assert self._system is not None
        problems = self._system.stop(self._proxy_pid())
        self.event("system-stopped", "system", "; ".join(problems) or "stopped")
        return problems

    def _stop_all(self, _command: Mapping[str, Any]) -> None:
        """Stop every component and renew its data; proxies stay. For a reset."""
        for running in self.components.values():
            running.kill()
        for running in self.components.values():
            left = running.stop()
            if left:
                raise Refused(f"component {running.name}: processes {list(left)} could not be ended")
            running.forgive()
            running.renew_data()
            self.event("component-stopped", running.name, "reset", instance=running.instance)
        tagged.reap(self._proxy_pid())


def main() -> None:
    """Entry point: descriptor of the control socket, environment id, data directory."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _nothing)  # not SIG_IGN, which components would inherit
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    descriptor, environment, directory = sys.argv[1:]
    supervisor = Supervisor(socket.socket(fileno=int(descriptor)), environment)
    try:
        supervisor.run()
    finally:
        from pytest_finchaos.environments.ending import end

        own_proxy = "" if supervisor.plan is None else f"http://127.0.0.1:{supervisor.plan.proxy_port}"
        end(environment, Path(directory), own_proxy=own_proxy, kill=tagged.kill_descendants)


def _nothing(_number: int, _frame: object) -> None:
    """A supervisor ends when its lease does."""


if __name__ == "__main__":
    main()
