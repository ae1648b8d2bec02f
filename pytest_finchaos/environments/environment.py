"""An environment: what tests hold, and the room that keeps it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_finchaos.environments import builds, fingerprint, janitor, planning
from pytest_finchaos.environments.control import Control, owners
from pytest_finchaos.environments.plan import SupervisorPlan
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.environments.postgres import NAME
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.model.topology import Component, Edge, Instance
from pytest_finchaos.proxy.client import ToxiproxyClient
from pytest_finchaos.proxy.launcher import URL_VARIABLE, find_server
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock
from pytest_finchaos.runtime.undo import UndoJournal

TTL_S = 4 * 3600.0
START_WITHIN_S = 180.0


class Environment:
    """A running environment; made by `start_environment`.

    Attributes:
        id: Unique id, the tag of all its processes.
        name: Name in the configuration.
        spec: What was declared.
        backend: ``processes``.
        fingerprint: Digest over everything declared and built.
        directory: Folder of its logs and events.
        notes: What a reader of the report must know, e.g. ``fsync=off``.
        undo: Journal of what must be undone.
        toxiproxy_url: API of its fault proxy.
        time_to_ready_s: From the call to the last component's readiness.
    """

    def __init__(self, spec: EnvironmentSpec, *, directory: Path, run_id: str, clock: Clock) -> None:
        started_ns = clock.now_ns()
        self.spec, self.name, self.backend = spec, spec.name, spec.backend
        self.id = f"{spec.name}-{run_id[-4:]}-{secrets.token_hex(4)}"
        self.directory = directory / "environments" / self.id
        self.directory.mkdir(parents=True, exist_ok=True)
        self._events_file = self.directory / "events.jsonl"
        self._closed = False
        self._choice = find_server(os.environ)
        self._attached = self._choice.kind == "attached"
        if self._attached:
            _refuse_foreign(self._choice.url, spec)
            ToxiproxyClient(self._choice.url).version()  # unreachable: told before anything is started
        self._ports = Ports()
        self._data = janitor.environments_folder() / self.id
        self._data.mkdir(mode=0o711)
        self.undo = UndoJournal(self._data / "undo.jsonl")
        try:
            self._control = self._prepare(run_id)
        except BaseException:
            self._ports.release()
            shutil.rmtree(self._data, ignore_errors=True)
            raise
        try:
            self._launch()
        except BaseException:
            self.close()
            raise
        self.time_to_ready_s = (clock.now_ns() - started_ns) / NS_PER_S

    def _prepare(self, run_id: str) -> Control:
        """Build everything and start the supervisor, which holds the lease from then on."""
        lease = janitor.take_lease(self._data)
        try:
            layout = planning.lay_out(
                self.spec,
                environment_id=self.id,
                directory=self._data,
                logs=self.directory,
                ports=self._ports,
                choice=self._choice,
            )
            self.toxiproxy_url = layout.proxy_url
            self._edges = planning.edges_of(self.spec, layout)
            self._prepared = {
                name: planning.prepare(component, layout) for name, component in self.spec.components.items()
            }
            (self._data / "work").mkdir(exist_ok=True)
            for item in self._prepared.values():
                if item.plan.template is None:
                    Path(item.plan.workdir).mkdir()
            notes = (item.note for item in self._prepared.values() if item.note)
            self.notes = (*notes, f"fault proxy: {self._choice.describe()}")
            self.fingerprint = self._fingerprint()
            argv = () if self._attached else tuple(self._choice.argv(planning.HOST, layout.proxy_port, run_id))
            plan = SupervisorPlan(
                id=self.id,
                parents=owners(),
                ttl_s=TTL_S,
                directory=str(self._data),
                events=str(self._events_file),
                proxy_argv=argv,
                proxy_port=layout.proxy_port,
                proxy_log=str(self.directory / "toxiproxy.log"),
                components=tuple(item.plan for item in self._prepared.values()),
            )
            return Control(plan, self.directory / "supervisor.log", lease)
        finally:
            os.close(lease)

    def _launch(self) -> None:
        databases = [name for name, item in self._prepared.items() if item.plan.template is not None]
        self._control.call("start", names=databases, wait=False)  # they boot while the proxy does
        self._control.call("proxy")
        client = ToxiproxyClient(self.toxiproxy_url)
        for edge in self._edges:
            if self._attached:
                self.undo.intend("delete-proxy", {"url": self.toxiproxy_url, "proxy": edge.proxy})
            client.create(edge.proxy, edge.listen, edge.upstream)
        self._control.call("start", within_s=START_WITHIN_S)

    def _fingerprint(self) -> str:
        digests = {name: item.digest for name, item in self._prepared.items()}
        return fingerprint.environment_digest(self.spec, digests, self._choice.kind)

    def edges(self) -> tuple[Edge, ...]:
        """All declared edges."""
        return self._edges

    def edge(self, source: str, target: str) -> Edge:
        """The edge from ``source`` (a component or ``clients``) to ``target``.

        Raises:
            UserError: No such edge, with the nearest one.
        """
        for edge in self._edges:
            if (edge.source, edge.target) == (source, target):
                return edge
        raise UserError(
            f"environment {self.name}",
            f"no edge {source} → {target}",
            allowed=[str(edge) for edge in self._edges],
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
        """What runs now, by component."""
        plain: Mapping[str, Any] = self._control.call("instances")
        return {name: codec.from_plain(Instance, value) for name, value in plain.items()}

    def instance(self, name: str) -> Instance:
        """The instance of one component.

        Raises:
            UserError: Unknown component, or it does not run now.
        """
        self.component(name)
        running = self.instances()
        if name not in running:
            raise UserError(f"component {name}", "does not run now")
        return running[name]

    def processes(self, name: str) -> tuple[int, ...]:
        """Pids of the component's process tree, its root first; empty when it does not run."""
        self.component(name)
        return tuple(self._control.call("processes", name=name))

    def direct_address(self, component: str) -> str:
        """``host:port`` where the component itself listens."""
        self.component(component)
        return f"{planning.HOST}:{self._prepared[component].plan.port}"

    def base_url(self, component: str) -> str:
        """How clients reach a component: through the edge ``clients`` → component where one is declared."""
        for edge in self._edges:
            if (edge.source, edge.target) == ("clients", component):
                return f"http://{edge.listen}"
        return f"http://{self.direct_address(component)}"

    def database_url(self, component: str) -> str:
        """The database itself, past every proxy, for the ledger adapter."""
        return f"postgresql://{NAME}@{self.direct_address(component)}/{NAME}"

    def events(self, since_ns: int = 0) -> tuple[Event, ...]:
        """What the supervisor recorded: components started, ready, ended."""
        if not self._events_file.exists():
            return ()
        lines = self._events_file.read_text().splitlines()
        found = (codec.loads(Event, line) for line in lines if line.endswith("}"))
        return tuple(event for event in found if event.at_ns >= since_ns)

    def heal(self, within_s: float) -> None:
        """Start what does not run and wait until everything is ready.

        Raises:
            UserError: Something was not ready in time, with what was seen last.
        """
        self._control.call("heal", within_s=within_s + 10.0, limit_s=within_s)

    def verify_served(self) -> tuple[str, ...]:
        """Why the declared builds are not what serves now, in sentences; empty when they are."""
        problems = list(self._control.call("verify"))
        for name, item in self._prepared.items():
            if item.build.folder is not None and not builds.intact(item.build.folder, item.build.digest):
                problems.append(f"component {name}: its build in {item.build.folder} was changed while it served")
        now = self._fingerprint()
        if now != self.fingerprint:
            problems.append(f"fingerprint {now[:12]} differs from {self.fingerprint[:12]} at the start")
        return tuple(problems)

    def sweep_faults(self) -> None:
        """Remove every toxic from our own proxies and enable them; others' proxies are never touched."""
        client = ToxiproxyClient(self.toxiproxy_url)
        ours = {edge.proxy for edge in self._edges}
        for name, state in client.proxies().items():
            if name not in ours:
                continue
            for toxic in state.toxics:
                client.remove_toxic(name, toxic.name)
            if not state.enabled:
                client.set_enabled(name, enabled=True)

    def reset(self) -> None:
        """As new, on the same addresses: faults swept, everything stopped, databases cloned again, everything started.

        Raises:
            UserError: Something did not come up, or what came up is not what was declared.
        """
        self.sweep_faults()
        self._control.call("stop")
        self._control.call("start", within_s=START_WITHIN_S)
        problems = self.verify_served()
        if problems:
            raise UserError(f"environment {self.name}", f"after the reset: {'; '.join(problems)}")

    def close(self) -> None:
        """Leave nothing: the supervisor undoes, kills and removes; idempotent.

        Raises:
            UserError: It did not end in time.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._control.let_go()
        finally:
            self._ports.release()

    def __repr__(self) -> str:
        return f"<Environment {self.id} ({self.backend}), fingerprint {self.fingerprint[:12]}>"


def _refuse_foreign(url: str, spec: EnvironmentSpec) -> None:
    host = urlsplit(url).hostname or ""
    if host not in spec.allowed_hosts and not (host == "localhost" and planning.HOST in spec.allowed_hosts):
        raise UserError(
            URL_VARIABLE,
            f"host {host!r} is not among the allowed hosts of environment {spec.name}",
            allowed=spec.allowed_hosts,
            cure=f"unset {URL_VARIABLE}, or add the host to allowed_hosts in {spec.source}",
        )


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
    if spec.backend != "processes":
        raise UserError(
            f"environment {spec.name}", f"backend {spec.backend!r}", allowed=("processes",), got=spec.backend
        )
    janitor.sweep()
    try:
        return Environment(spec, directory=directory, run_id=run_id, clock=clock or SystemClock())
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"environment {spec.name}", f"could not be started: {type(error).__name__}: {error}") from error
