"""Backend ``processes``: every component is started by the supervisor, from a build or a template, and known by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import fingerprint, planning, proxies
from pytest_finchaos.environments.backend import Backend, Ground, Share
from pytest_finchaos.environments.folders import passable
from pytest_finchaos.environments.router import versions
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Edge, Instance
from pytest_finchaos.runtime import codec

START_WITHIN_S = 200.0  # the first start of a database makes its template


class ProcessesBackend(Backend):
    """Components as processes of the supervisor.

    Args:
        ground: Folders, ports, supervisor.
    """

    built = True

    def __init__(self, ground: Ground) -> None:
        self._ground, self._spec = ground, ground.spec
        self._proxy_identity = proxies.identity(ground.choice)
        self.layout = planning.lay_out(
            ground.spec,
            environment_id=ground.id,
            directory=ground.directory,
            logs=ground.logs,
            ports=ground.ports,
            choice=ground.choice,
        )
        routers = versions.place_routers(self.layout, ground.spec, ground.ports)
        self.layout = replace(self.layout, entries=routers.entries)
        self.proxy_url = self.layout.proxy_url
        self._edges = planning.edges_of(ground.spec, self.layout)
        self.prepared = {name: planning.prepare(part, self.layout) for name, part in ground.spec.components.items()}
        for item in self.prepared.values():
            if item.plan.template is None:
                passable(Path(item.plan.workdir), 0o755)
        self.versions = versions.Versions(
            self.layout, self.prepared, routers, control=ground.control, clock=ground.clock
        )
        self.routed = tuple(routers.places)
        self._attached = ground.choice.kind == "attached"
        notes = (*(item.note for item in self.prepared.values()), routers.note())
        self.notes = tuple(note for note in notes if note)
        self.proxies = proxies.EdgeProxies(self.proxy_url, self._edges, ground.undo, attached=self._attached)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All declared edges."""
        return self._edges

    def share(self) -> Share:
        """The fault proxy and every component."""
        choice, port = self._ground.choice, self.layout.proxy_port
        argv = () if self._attached else tuple(choice.argv(planning.HOST, port, self._ground.run_id))
        components = (*(item.plan for item in self.prepared.values()), *self.versions.plans())
        return Share(argv, port, components)

    def start(self) -> None:
        """Wait for what the supervisor has started already."""
        self._ground.control.call("ready", within_s=START_WITHIN_S)

    def renew(self) -> None:
        """Everything stopped, databases as their templates, everything started."""
        self._ground.control.call("stop")
        self.versions.renew()
        self._ground.control.call("start")
        self._ground.control.call("ready", within_s=START_WITHIN_S)

    def heal(self, within_s: float) -> None:
        """Start what does not run and wait."""
        self._ground.control.call("heal", within_s=within_s + 10.0, limit_s=within_s)

    def fingerprint(self) -> str:
        """Builds, programs, templates are read again."""
        digests = {**{name: item.digest() for name, item in self.prepared.items()}, **self.versions.digests()}
        return fingerprint.environment_digest(self._spec, digests, self._proxy_identity)

    def problems(self) -> list[str]:
        """What the supervisor sees, and what was changed on disk."""
        problems = list(self._ground.control.call("verify"))
        for item in self.prepared.values():
            problems += item.problems()
        return problems

    def instances(self) -> Mapping[str, Instance]:
        """What runs now, by component."""
        plain: Mapping[str, Any] = self._ground.control.call("instances")
        names = {self.versions.own_name(name): name for name in self.prepared}
        found = {names.get(name, name): codec.from_plain(Instance, value) for name, value in plain.items()}
        return {name: replace(instance, component=name) for name, instance in found.items()}

    def processes(self, name: str) -> tuple[int, ...]:
        """Pids of the component's process tree."""
        return tuple(self._ground.control.call("processes", name=self.versions.own_name(name)))

    def address(self, name: str) -> str:
        """Where it listens, or where its router does."""
        return f"{planning.HOST}:{self.layout.entry(name)}"

    def rollout(self, component: str) -> versions.Rollout:
        """The versions of a component."""
        return versions.Rollout(self.versions, component, self._ground.control)

    def missing(self, name: str) -> UserError:
        """It has ended, or was not started yet."""
        return UserError(f"component {name}", "does not run now", cure=f"see {self.prepared[name].plan.log}")
