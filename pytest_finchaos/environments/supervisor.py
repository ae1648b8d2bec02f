"""The supervisor: one process an environment, in a session of its own, which outlives nothing and leaves nothing.

Its lease is the control socket: end of file, the end of a parent, or the time limit mean that every fault is undone,
every process killed, every file removed. Run as ``python -m pytest_finchaos.environments.supervisor FD``.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import listeners, tagged
from pytest_finchaos.environments.plan import SupervisorPlan
from pytest_finchaos.environments.running import MAX_RESTARTS, Running, empty
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.proxy.undo import UndoFailed, carry_out
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock
from pytest_finchaos.runtime.files import append_line
from pytest_finchaos.runtime.undo import UndoJournal

_PR_SET_CHILD_SUBREAPER = 36
TICK_S = 0.02
RESTART_AFTER_S = 0.05
LINE_LIMIT = 4_000_000
PROXY_WITHIN_S = 15.0


class LeaseLost(Exception):
    """The environment has no owner any more."""


class Refused(Exception):
    """A command that could not be carried out: told to the client."""


class Supervisor:
    """Keeps one environment.

    Args:
        control: The control socket.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._buffer = b""
        self._clock = SystemClock()
        self._parents: list[int] = []
        self._proxy: subprocess.Popen[bytes] | None = None
        self._restart_at_ns: dict[str, int] = {}
        self._deadline_ns = 0
        self.plan: SupervisorPlan | None = None
        self.components: dict[str, Running] = {}

    def run(self) -> None:
        """Serve until the lease ends, then leave nothing."""
        try:
            self._take_plan()
            while True:
                line = self._next_line()
                self._answer(json.loads(line))
        except LeaseLost:
            return
        finally:
            self.clean_up()

    def _take_plan(self) -> None:
        plan: SupervisorPlan = codec.loads(SupervisorPlan, self._next_line().decode())
        self.plan = plan
        self._deadline_ns = self._clock.now_ns() + int(plan.ttl_s * NS_PER_S)
        for pid in plan.parents:
            try:
                self._parents.append(os.pidfd_open(pid))
            except ProcessLookupError:
                raise LeaseLost from None
        self.components = {component.name: Running(component, self._clock) for component in plan.components}
        self._answer_with({"ok": True})

    def _next_line(self) -> bytes:
        """The next command; components are looked after while waiting."""
        while b"\n" not in self._buffer:
            self.tick(TICK_S if self.components else 1.0)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def tick(self, wait_s: float) -> None:
        """Look after everything once: lease, input, ended components.

        Raises:
            LeaseLost: End of file, a dead parent, or the time limit.
        """
        control = self._control.fileno()
        readable, _, _ = select.select([control, *self._parents], [], [], wait_s)
        if any(handle in self._parents for handle in readable):
            raise LeaseLost
        if control in readable:
            data = self._control.recv(65_536)
            if not data or len(self._buffer) > LINE_LIMIT:
                raise LeaseLost
            self._buffer += data
        if self._deadline_ns and self._clock.now_ns() > self._deadline_ns:
            raise LeaseLost
        for running in self.components.values():
            self._look_after(running)

    def _look_after(self, running: Running) -> None:
        name = running.plan.name
        if running.process is not None and (code := running.process.poll()) is not None:
            running.exit_text = _exit_text(code)
            self.event("component-exited", name, running.exit_text, instance=running.instance, code=code)
            running.stop()
            if running.plan.restart == "always" and running.starts <= MAX_RESTARTS:
                self._restart_at_ns[name] = self._clock.now_ns() + int(RESTART_AFTER_S * NS_PER_S)
        due_ns = self._restart_at_ns.get(name)
        if due_ns is not None and self._clock.now_ns() >= due_ns:
            del self._restart_at_ns[name]
            self._start(running)
        if running.alive and not running.ready and running.check_ready():
            took_s = (running.ready_at_ns - running.started_ns) / NS_PER_S
            self.event("component-ready", name, f"ready after {took_s:.2f} s", instance=running.instance)

    def _start(self, running: Running) -> None:
        running.start()
        assert running.process is not None
        self.event("component-started", running.plan.name, "", instance=running.instance, pid=running.process.pid)

    def event(self, kind: str, subject: str, text: str = "", **data: Any) -> None:
        """Append to the environment's events."""
        assert self.plan is not None
        append_line(Path(self.plan.events), codec.dumps(Event(self._clock.now_ns(), kind, subject, text, data)))

    def _answer(self, command: Mapping[str, Any]) -> None:
        calls: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "proxy": self._launch_proxy,
            "start": self._start_all,
            "instances": self._instances,
            "processes": self._processes,
            "heal": self._heal,
            "verify": self._verify,
            "stop": self._stop_all,
        }
        try:
            result = calls[command["call"]](command)
        except Refused as error:
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

    def _launch_proxy(self, _command: Mapping[str, Any]) -> None:
        assert self.plan is not None
        if not self.plan.proxy_argv:
            return
        with Path(self.plan.proxy_log).open("wb") as log:
            self._proxy = subprocess.Popen(
                self.plan.proxy_argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, tagged.TAG: self.plan.id},
                start_new_session=True,
                preexec_fn=_die_with_me,  # noqa: PLW1509 - no threads here
            )
        limit_ns = self._clock.now_ns() + int(PROXY_WITHIN_S * NS_PER_S)
        while not listeners.owned_by(self.plan.proxy_port, tagged.tree_of(self._proxy.pid)):
            if self._proxy.poll() is not None:
                raise Refused(f"the fault proxy ended at once: {_tail(self.plan.proxy_log)}")
            if self._clock.now_ns() > limit_ns:
                owner = listeners.describe_owner(self.plan.proxy_port)
                raise Refused(f"the fault proxy did not listen on port {self.plan.proxy_port}; {owner} does")
            self.tick(TICK_S)

    def _start_all(self, command: Mapping[str, Any]) -> None:
        names: Sequence[str] = command.get("names") or list(self.components)
        for name in names:
            running = self.components[name]
            if not running.alive:
                running.starts = 0
                self._start(running)
        if command.get("wait", True):
            self._wait_ready(list(self.components))

    def _wait_ready(self, names: Sequence[str], within_s: float | None = None) -> None:
        started_ns = self._clock.now_ns()
        while True:
            waiting = [self.components[name] for name in names if not self.components[name].ready]
            if not waiting:
                return
            now_ns = self._clock.now_ns()
            for running in waiting:
                limit_s = within_s if within_s is not None else running.plan.ready_within_s
                gave_up = running.plan.restart == "never" and not running.alive
                if gave_up or now_ns - started_ns > limit_s * NS_PER_S:
                    raise Refused(self._why_not_ready(running, (now_ns - started_ns) / NS_PER_S))
                if running.exit_text and running.starts > 3 and within_s is None:
                    raise Refused(self._why_not_ready(running, (now_ns - started_ns) / NS_PER_S))
            self.tick(TICK_S)

    def _why_not_ready(self, running: Running, waited_s: float) -> str:
        running.check_ready()
        told = _tail(running.plan.log)
        more = f"\n  its log ends: {told}" if told else ""
        ended = f"; it {running.exit_text}" if running.exit_text else ""
        return f"component {running.plan.name} is not ready after {waited_s:.1f} s: {running.last_seen}{ended}{more}"

    def _instances(self, _command: Mapping[str, Any]) -> Any:
        return {name: running.to_instance() for name, running in self.components.items() if running.alive}

    def _processes(self, command: Mapping[str, Any]) -> list[int]:
        running = self.components[command["name"]]
        return list(tagged.tree_of(running.process.pid)) if running.process is not None else []

    def _heal(self, command: Mapping[str, Any]) -> None:
        for running in self.components.values():
            if not running.alive and running.plan.name not in self._restart_at_ns:
                self._start(running)
            elif running.alive and not running.check_ready():
                running.ready_at_ns = 0  # was ready once; must be seen ready again
        self._wait_ready(list(self.components), float(command["limit_s"]))

    def _verify(self, _command: Mapping[str, Any]) -> list[str]:
        problems = []
        for name, running in self.components.items():
            if not running.check_ready():
                problems.append(f"component {name}: {running.last_seen}")
        return problems

    def _stop_all(self, _command: Mapping[str, Any]) -> None:
        """Stop every component and empty its folder; proxies stay. For a reset."""
        self._restart_at_ns.clear()
        for running in self.components.values():
            running.stop()
            running.exit_text = ""
            if running.plan.template is not None:
                shutil.rmtree(running.plan.workdir, ignore_errors=True)
            else:
                empty(Path(running.plan.workdir))
            self.event("component-stopped", running.plan.name, "reset", instance=running.instance)

    def clean_up(self) -> None:
        """Undo every fault, kill everything, remove everything; tries all of it even when parts fail."""
        if self.plan is None:
            return
        journal = UndoJournal(Path(self.plan.directory) / "undo.jsonl")
        for record in journal.pending():
            try:
                carry_out(record)
                journal.done(record)
            except (UndoFailed, OSError) as error:
                sys.stderr.write(f"undo failed: {error}\n")
        tagged.kill_all(self.plan.id)
        shutil.rmtree(self.plan.directory, ignore_errors=True)


def _exit_text(code: int) -> str:
    return f"ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exited with status {code}"


def _tail(path: str) -> str:
    try:
        text = Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""
    return " | ".join(text.splitlines()[-4:])[-600:]


def _die_with_me() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    """Entry point: the argument is the number of the control socket's descriptor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    control = socket.socket(fileno=int(sys.argv[1]))
    Supervisor(control).run()


if __name__ == "__main__":
    main()
