"""Backend ``processes``: every component is started by the supervisor, from a build or a template, and known by it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import fingerprint, planning, proxies
from pytest_finchaos.environments.backend import Backend, Ground, Share
from pytest_finchaos.environments.folders import passable
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
        self.proxy_url = self.layout.proxy_url
        self._edges = planning.edges_of(ground.spec, self.layout)
        self.prepared = {name: planning.prepare(part, self.layout) for name, part in ground.spec.components.items()}
        for item in self.prepared.values():
            if item.plan.template is None:
                passable(Path(item.plan.workdir), 0o755)
        self._attached = ground.choice.kind == "attached"
        self.notes = tuple(item.note for item in self.prepared.values() if item.note)
        self.proxies = proxies.EdgeProxies(self.proxy_url, self._edges, ground.undo, attached=self._attached)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All declared edges."""
        return self._edges

    def share(self) -> Share:
        """The fault proxy and every component."""
        choice, port = self._ground.choice, self.layout.proxy_port
        argv = () if self._attached else tuple(choice.argv(planning.HOST, port, self._ground.run_id))
        return Share(argv, port, tuple(item.plan for item in self.prepared.values()))

    def start(self) -> None:
        """Wait for what the supervisor has started already."""
        self._ground.control.call("ready", within_s=START_WITHIN_S)

    def renew(self) -> None:
        """Everything stopped, databases as their templates, everything started."""
        self._ground.control.call("stop")
        self._ground.control.call("start")
        self._ground.control.call("ready", within_s=START_WITHIN_S)

    def heal(self, within_s: float) -> None:
        """Start what does not run and wait."""
        self._ground.control.call("heal", within_s=within_s + 10.0, limit_s=within_s)

    def fingerprint(self) -> str:
        """Builds, programs, templates are read again."""
        digests = {name: item.digest() for name, item in self.prepared.items()}
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
        return {name: codec.from_plain(Instance, value) for name, value in plain.items()}

    def processes(self, name: str) -> tuple[int, ...]:
        """Pids of the component's process tree."""
        return tuple(self._ground.control.call("processes", name=name))

    def address(self, name: str) -> str:
        """Where it listens."""
        return f"{planning.HOST}:{self.prepared[name].plan.port}"

    def missing(self, name: str) -> UserError:
        """It has ended, or was not started yet."""
        return UserError(f"component {name}", "does not run now", cure=f"see {self.prepared[name].plan.log}")
