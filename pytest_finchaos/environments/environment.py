"""An environment: what tests hold, and the room that keeps it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pytest_finchaos.environments import ending, janitor, proxies
from pytest_finchaos.environments.attached import AttachedBackend
from pytest_finchaos.environments.backend import Backend, Ground
from pytest_finchaos.environments.commanded import CommandBackend
from pytest_finchaos.environments.control import Control, owners
from pytest_finchaos.environments.folders import passable
from pytest_finchaos.environments.plan import SupervisorPlan
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.environments.processes import ProcessesBackend
from pytest_finchaos.environments.router.versions import Rollout
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.model.topology import Component, Edge, Instance
from pytest_finchaos.proxy.launcher import ServerChoice, find_server
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock
from pytest_finchaos.runtime.undo import UndoJournal

TTL_S = 4 * 3600.0
BACKENDS: Mapping[str, Callable[[Ground], Backend]] = {
    "processes": ProcessesBackend,
    "attach": AttachedBackend,
    "command": CommandBackend,
}


class Environment:
    """A running environment; made by `start_environment`.

    Attributes:
        id: Unique id, the tag of all its processes.
        name: Name in the configuration.
        spec: What was declared.
        backend: ``processes``, ``command`` or ``attach``.
        fingerprint: Digest over everything declared and built, as it was at the start; see `fingerprint_now`.
        directory: Folder of its logs and events.
        undo: Journal of what must be undone.
        toxiproxy_url: API of its fault proxy.
        time_to_ready_s: From the call to the last component's readiness.
        phases_s: The parts of that time, by name, seconds.
    """

    def __init__(self, spec: EnvironmentSpec, *, directory: Path, run_id: str, clock: Clock) -> None:
        self.spec, self.name, self.backend = spec, spec.name, spec.backend
        self.id = f"{spec.name}-{run_id[-4:]}-{secrets.token_hex(4)}"
        self.directory = directory / "environments" / self.id
        self.phases_s: dict[str, float] = {}
        self._clock = clock
        self._closed = False
        self._release: Callable[[], None] = lambda: None
        started_ns = clock.now_ns()
        choice = find_server(os.environ)
        proxies.refuse_foreign_host(choice, spec)
        if choice.kind == "attached":
            proxies.identity(choice)  # one that is unreachable: told before any start
        self.directory.mkdir(parents=True, exist_ok=True)
        self._events_file = self.directory / "events.jsonl"
        self._ports = Ports()
        self._data = janitor.environments_folder() / self.id
        try:
            self._control = self._spawn()
            try:
                self._prepare(choice, run_id)
                self._launch()
            except BaseException:
                self._end_quietly()
                raise
        except BaseException:
            self._ports.release()
            shutil.rmtree(self._data, ignore_errors=True)
            raise
        self.time_to_ready_s = (clock.now_ns() - started_ns) / NS_PER_S

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started_ns = self._clock.now_ns()
        yield
        self.phases_s[name] = round((self._clock.now_ns() - started_ns) / NS_PER_S, 3)

    def _spawn(self) -> Control:
        """The data directory with its lease, and a supervisor that holds it from now on."""
        passable(self._data)
        passable(self._data / "work")
        lease = janitor.take_lease(self._data)
        try:
            return Control(self.id, self._data, self.directory / "supervisor.log", lease)
        finally:
            os.close(lease)

    def _prepare(self, choice: ServerChoice, run_id: str) -> None:
        """Builds, ports, commands; then the plan goes to the supervisor, which has booted meanwhile."""
        with self._phase("prepare"):
            self.undo = UndoJournal(self._data / ending.JOURNAL)
            ground = Ground(
                spec=self.spec,
                id=self.id,
                run_id=run_id,
                directory=self._data,
                logs=self.directory,
                ports=self._ports,
                choice=choice,
                undo=self.undo,
                control=self._control,
                clock=self._clock,
            )
            self._backend = BACKENDS[self.spec.backend](ground)
            self._release = self._backend.release
            self.toxiproxy_url = self._backend.proxy_url
            self.fingerprint = self.fingerprint_now() if self._backend.built else ""
            self._first_fingerprint = self.fingerprint
            share = self._backend.share()
        plan = SupervisorPlan(
            id=self.id,
            parents=owners(),
            ttl_s=TTL_S,
            directory=str(self._data),
            events=str(self._events_file),
            proxy_argv=share.proxy_argv,
            proxy_port=share.proxy_port,
            proxy_log=str(self.directory / "toxiproxy.log"),
            components=share.components,
            system=share.system,
        )
        with self._phase("supervisor"):
            self._control.hand_over(plan)
        self._proxy_note = f"fault proxy: {choice.describe()}" if self.toxiproxy_url else "no fault proxy"

    def _launch(self) -> None:
        """Everything at once; a component whose dependency is not up yet tries again or is started again."""
        self._control.call("start")
        with self._phase("proxies"):
            self._control.call("proxy")
            self._backend.proxies.make()
        with self._phase("ready"):
            self._backend.start()
        self.fingerprint = self.fingerprint or self.fingerprint_now()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the report must know, e.g. ``fsync=off``."""
        return (*self._backend.notes, self._proxy_note)

    @property
    def cannot(self) -> Mapping[str, str]:
        """What cannot be done or proven in this environment, e.g. ``kill ledger``, with the reason."""
        return self._backend.cannot

    @property
    def unchecked(self) -> Mapping[str, str]:
        """The part of `cannot` that no drill here can prove: it is listed in each result."""
        return self._backend.unchecked

    @property
    def unproven(self) -> tuple[str, ...]:
        """Components of which nobody can say which build serves."""
        return self._backend.unproven

    def fingerprint_now(self) -> str:
        """The fingerprint of what stands on disk and answers now: builds, programs, templates are read again."""
        return self._backend.fingerprint()

    def edges(self) -> tuple[Edge, ...]:
        """All declared edges."""
        return self._backend.edges

    def edge(self, source: str, target: str) -> Edge:
        """The edge from ``source`` (a component or ``clients``) to ``target``.

        Raises:
            UserError: No such edge, with the nearest one.
        """
        for edge in self.edges():
            if (edge.source, edge.target) == (source, target):
                return edge
        raise UserError(
            f"environment {self.name}",
            f"no edge {source} → {target}",
            allowed=[str(edge) for edge in self.edges()],
            got=f"{source}→{target}",
            cure="declare it in [[environments." + self.name + ".edges]]",
        )

    def component(self, name: str) -> Component:
        """The component called ``name``.

        Raises:
            UserError: No such component, with the nearest name.
        """
        if name not in self.spec.components:
            raise UserError(
                f"environment {self.name}", f"no component {name!r}", allowed=self.spec.components, got=name
            )
        spec = self.spec.components[name]
        return Component(self.id, name, spec.kind, spec.restart, spec.ready.http)

    def instances(self) -> Mapping[str, Instance]:
        """What runs now, by component, as far as the processes are this environment's own."""
        return self._backend.instances()

    def instance(self, name: str) -> Instance:
        """The instance of one component.

        Raises:
            UserError: Unknown component, or it does not run now.
        """
        self.component(name)
        running = self.instances()
        if name not in running:
            raise self._backend.missing(name)
        return running[name]

    def processes(self, name: str) -> tuple[int, ...]:
        """Pids of the component's process tree, its root first; empty when it does not run.

        Raises:
            UserError: Unknown component, or its processes are not this environment's.
        """
        self.component(name)
        return self._backend.processes(name)

    def direct_address(self, component: str) -> str:
        """``host:port`` where the component itself listens."""
        self.component(component)
        return self._backend.address(component)

    def base_url(self, component: str) -> str:
        """How clients reach a component: through the edge ``clients`` → component where one is declared."""
        for edge in self.edges():
            if (edge.source, edge.target) == ("clients", component):
                return f"http://{edge.listen}"
        return f"http://{self.direct_address(component)}"

    def database_url(self, component: str) -> str:
        """The database itself, past every proxy, for the ledger adapter."""
        name = self.spec.components[component].database if component in self.spec.components else ""
        return f"postgresql://{name}@{self.direct_address(component)}/{name}"

    def workdir(self, component: str) -> Path:
        """The folder that a component runs in, for a ledger that is a file there; a reset empties it."""
        self.component(component)
        return self._data / "work" / component

    def events(self, since_ns: int = 0) -> tuple[Event, ...]:
        """What the supervisor recorded: components started, ready, ended."""
        if not self._events_file.exists():
            return ()
        lines = self._events_file.read_text().splitlines()
        found = (codec.loads(Event, line) for line in lines if line.endswith("}"))
        return tuple(event for event in found if event.at_ns >= since_ns)

    def heal(self, within_s: float) -> None:
        """Start what does not run, where that is possible, and wait until everything is ready.

        Raises:
            UserError: Something was not ready in time, with what was seen last.
        """
        self._backend.heal(within_s)

    def verify_served(self) -> tuple[str, ...]:
        """Why the declared builds are not what serves now, in sentences; empty when they are."""
        problems = [*self._backend.problems(), *self._backend.proxies.problems()]
        now = self.fingerprint_now()
        if now != self.fingerprint:
            problems.append(f"fingerprint {now[:12]} differs from {self.fingerprint[:12]} at the start")
        return tuple(problems)

    @property
    def routed(self) -> tuple[str, ...]:
        """Components that stand behind a router."""
        return self._backend.routed

    def rollout(self, component: str) -> Rollout:
        """The versions of one component and the router in front of them.

        Raises:
            UserError: Unknown component, or rollout is not available, with the reason.
        """
        self.component(component)
        return self._backend.rollout(component)

    def accept_fingerprint(self) -> str:
        """Take the fingerprint of now as the one that is due, until the next reset; for a version that was promoted."""
        self.fingerprint = self.fingerprint_now()
        return self.fingerprint

    def sweep_faults(self) -> None:
        """Remove every toxic from our own proxies and enable them; of others' proxies, our own faults only."""
        self._backend.proxies.sweep()

    def reset(self) -> None:
        """As new, on the same addresses: faults swept, everything stopped, databases cloned again, everything started.

        What is attached is swept only, and must be ready.

        Raises:
            UserError: Something did not come up, or what came up is not what was declared.
        """
        started_ns = self._clock.now_ns()
        self._backend.proxies.make()  # an attached server may have lost them
        self._backend.proxies.sweep()
        self._backend.renew()
        if self._backend.built:
            self.fingerprint = self._first_fingerprint  # a promoted version is taken back
        problems = self.verify_served()
        if problems:
            raise UserError(f"environment {self.name}", f"after the reset: {'; '.join(problems)}")
        took_s = (self._clock.now_ns() - started_ns) / NS_PER_S
        self._control.call(
            "note", kind="reset", subject=self.name, text=f"{self._backend.renewed} after {took_s:.2f} s"
        )

    def close(self) -> None:
        """Leave nothing: the supervisor undoes, kills and removes; idempotent.

        Raises:
            UserError: Something could not be undone, ended or removed.
        """
        if self._closed:
            return
        self._closed = True
        problems = self._end()
        if problems:
            raise UserError(
                f"environment {self.id}", "; ".join(problems), cure="the next run tries again; see supervisor.log"
            )

    def _end(self) -> list[str]:
        try:
            self._control.let_go(self.spec.stop_within_s if self.spec.stop else 0.0)
            # the supervisor was killed, or could not undo everything: its work is ours
            return janitor.clean_up(self._data) if self._data.exists() else []
        finally:
            self._ports.release()
            self._release()

    def _end_quietly(self) -> None:
        """After a failed start, whose error is the one to tell."""
        self._closed = True
        self._end()

    def __repr__(self) -> str:
        return f"<Environment {self.id} ({self.backend}), fingerprint {self.fingerprint[:12]}>"


def start_environment(
    spec: EnvironmentSpec, *, directory: Path, run_id: str, clock: Clock | None = None
) -> Environment:
    """Start everything that ``spec`` declares and wait until it is ready.

    Args:
        spec: The environment.
        directory: Folder of the run; logs and events go below it.
        run_id: Id of the run.
        clock: The clock.

    Raises:
        UserError: What could not be built, found, started or reached, with the component's last words.
    """
    if spec.backend not in BACKENDS:
        raise UserError(f"environment {spec.name}", f"backend {spec.backend!r}", allowed=BACKENDS, got=spec.backend)
    janitor.sweep()
    try:
        return Environment(spec, directory=directory, run_id=run_id, clock=clock or SystemClock())
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"environment {spec.name}", f"could not be started: {type(error).__name__}: {error}") from error
