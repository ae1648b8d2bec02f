"""Versions of the components of one environment: who serves, who stands beside, and the router in front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import config_parse, planning
from pytest_finchaos.environments.control import Control
from pytest_finchaos.environments.folders import passable
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.environments.planning import Layout, Prepared
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.environments.router.configuration import Upstream, Weights
from pytest_finchaos.environments.router.envoy import Envoy, NoRouter, find_envoy
from pytest_finchaos.environments.router.log import RouterLog
from pytest_finchaos.environments.router.router import Place, Router
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import Clock

LEAVE_WITHIN_S = 15.0
ROUTER = ".router"  # a component's router, as a component of the supervisor: gateway.router
AT = "@"  # a version beside the one that serves: gateway@1.1
LOG_LINES_WITHIN_MS = 50


def routed(spec: EnvironmentSpec) -> list[str]:
    """Components that get a router: those with two or more versions, save databases."""
    return [name for name, part in spec.components.items() if len(part.versions) > 1 and part.kind == "process"]


@dataclass(frozen=True, slots=True)
class Routers:
    """The routers of an environment, before anything runs.

    Args:
        places: By component.
        envoy: What they are, or None.
        why: Why there is none although a component has versions, else "".
    """

    places: Mapping[str, Place] = field(default_factory=dict)
    envoy: Envoy | None = None
    why: str = ""

    @property
    def entries(self) -> Mapping[str, int]:
        """Port of each, by component."""
        return {name: place.entry_port for name, place in self.places.items()}

    def note(self) -> str:
        """What a reader of the report must know, or ""."""
        if self.envoy is not None:
            return f"router: Envoy {self.envoy.version} in front of {', '.join(self.places)}"
        return f"rollout not available: {self.why}" if self.why else ""


def place_routers(layout: Layout, spec: EnvironmentSpec, ports: Ports) -> Routers:
    """A router for each component that has versions, where Envoy is."""
    names = routed(spec)
    if not names:
        return Routers()
    try:
        envoy = find_envoy()
    except NoRouter as error:
        return Routers(why=error.why)
    return Routers({name: _place(name, spec, layout, ports) for name in names}, envoy)


def _place(name: str, spec: EnvironmentSpec, layout: Layout, ports: Ports) -> Place:
    part = spec.components[name]
    own = {version: layout.ports[name] if version == part.version else ports.claim() for version in part.versions}
    return Place(
        component=name,
        entry_port=ports.claim(),
        admin_port=ports.claim(),
        ports=own,
        folder=layout.directory / "router" / name,
        log=layout.logs / f"{name}.router.jsonl",
        key_headers=_key_headers(spec, name),
    )


def _key_headers(spec: EnvironmentSpec, component: str) -> tuple[str, ...]:
    found = [
        header.lower()
        for operation in spec.operations.values()
        if operation.component == component
        for header, text in operation.headers.items()
        if "{key}" in text
    ]
    return tuple(dict.fromkeys(found))


@dataclass(slots=True)
class _Beside:
    """A version that runs beside the one that serves."""

    version: str
    prepared: Prepared


class Versions:
    """The versions of all components of one environment.

    Args:
        layout: Where everything is.
        prepared: The components that serve, by name; a promotion puts another one there.
        routers: The routers.
        control: The supervisor.
        clock: The clock.
    """

    def __init__(
        self,
        layout: Layout,
        prepared: dict[str, Prepared],
        routers: Routers,
        *,
        control: Control,
        clock: Clock,
    ) -> None:
        self._layout, self._prepared, self._envoy, self.why = layout, prepared, routers.envoy, routers.why
        self._places, self._control = routers.places, control
        self._first = dict(prepared)
        self._beside: dict[str, _Beside] = {}
        self.routers = {name: Router(place, clock) for name, place in routers.places.items()}
        for name, router in self.routers.items():
            router.prepare(self._upstreams(name), self.serving(name))

    def _upstreams(self, name: str) -> list[Upstream]:
        spec, ports = self._first[name].spec, self._places[name].ports
        return [Upstream(version, ports[version], self._plan(spec, version).digest()) for version in spec.versions]

    def _plan(self, spec: ComponentSpec, version: str) -> Prepared:
        """A version, planned beside the component that serves: same edges, own port, folder and log."""
        if version == self._first[spec.name].spec.version:
            return self._first[spec.name]
        layout, name = self._layout, f"{spec.name}{AT}{version}"
        listens = {(name, target): port for (source, target), port in layout.listens.items() if source == spec.name}
        beside = replace(
            layout,
            ports={**layout.ports, name: self._places[spec.name].ports[version]},
            listens={**layout.listens, **listens},
        )
        return planning.prepare(replace(config_parse.with_version(spec, version), name=name), beside)

    def plans(self) -> tuple[ComponentPlan, ...]:
        """The routers, as components that the supervisor keeps."""
        if self._envoy is None:
            return ()
        return tuple(self._router_plan(router.place, self._envoy) for router in self.routers.values())

    def _router_plan(self, place: Place, envoy: Envoy) -> ComponentPlan:
        name = f"{place.component}{ROUTER}"
        workdir = passable(self._layout.workdir(name), 0o755)
        words = [str(envoy.binary), "-c", str(place.bootstrap), "--disable-hot-restart", "--concurrency", "1"]
        words += ["--log-level", "warning", "--file-flush-interval-msec", str(LOG_LINES_WITHIN_MS)]
        return ComponentPlan(
            name=name,
            kind="process",
            argv=tuple(words),
            variables=planning.base_variables(self._layout.id, workdir),
            build=envoy.identity().rpartition(" ")[2],
            port=place.entry_port,
            workdir=str(workdir),
            restart="always",
            ready_http=None,
            ready_fields={},
            ready_within_s=20.0,
            log=str(self._layout.logs / f"{name}.log"),
        )

    def digests(self) -> Mapping[str, str]:
        """What stands in the fingerprint beside the components: routers, and versions that run beside."""
        envoy = "" if self._envoy is None else self._envoy.identity()
        routers = {f"{name}{ROUTER}": envoy for name in self.routers}
        return routers | {part.prepared.plan.name: part.prepared.digest() for part in self._beside.values()}

    def serving(self, name: str) -> str:
        """The version of a component that serves."""
        return self._prepared[name].spec.version

    def router(self, name: str) -> Router:
        """The router of a component.

        Raises:
            UserError: It has none, with the reason.
        """
        if name in self.routers:
            return self.routers[name]
        if self.why and len(self._first[name].spec.versions) > 1:
            raise NoRouter(self.why)
        kind = self._first[name].spec.kind
        what = f"is of kind {kind!r}" if kind != "process" else "has fewer than two versions"
        cure = 'declare versions = { "1.0" = { … }, "1.1" = { … } } in finchaos.toml'
        raise UserError(f"component {name}", f"{what}: rollout not available", cure=cure)

    def start(self, name: str, version: str) -> str:
        """Start a version beside the one that serves and wait until it is ready; returns its component digest.

        Raises:
            UserError: Unknown version, one that serves already, one that does not become ready.
        """
        self.router(name)
        first = self._first[name].spec
        if version not in first.versions:
            raise UserError(f"component {name}", f"no version {version!r}", allowed=first.versions, got=version)
        if version == self.serving(name) or name in self._beside:
            taken = version if version == self.serving(name) else self._beside[name].version
            raise UserError(f"component {name}", f"version {taken!r} runs already")
        prepared = self._plan(first, version)
        passable(Path(prepared.plan.workdir), 0o755)
        limit_s = prepared.plan.ready_within_s + LEAVE_WITHIN_S
        why = self._control.call("add", within_s=limit_s, plan=codec.to_plain(prepared.plan))
        if why:
            raise UserError(f"version {version} of {name}", str(why), cure="see its log in the run's folder")
        self._beside[name] = _Beside(version, prepared)
        return prepared.digest()

    def digest_of(self, name: str, version: str) -> str:
        """Component digest of a version, from what stands on disk."""
        return self._plan(self._first[name].spec, version).digest()

    def stop(self, name: str) -> None:
        """Stop the version beside the one that serves, if one runs.

        Raises:
            UserError: It could not be ended.
        """
        part = self._beside.get(name)
        if part is not None:
            self._retire(part.prepared)
            del self._beside[name]

    def promote(self, name: str) -> None:
        """The version beside becomes the one that serves, and the old one is stopped. The router knows it already.

        Raises:
            UserError: The old one could not be ended.
        """
        part = self._beside.pop(name)
        old, self._prepared[name] = self._prepared[name], part.prepared
        self._retire(old)

    def _retire(self, prepared: Prepared) -> None:
        left = self._control.call("retire", within_s=LEAVE_WITHIN_S, name=prepared.plan.name)
        if left:
            raise UserError(f"component {prepared.plan.name}", f"processes {left} could not be ended")

    def renew(self) -> None:
        """Everything as at the start; called while everything is stopped."""
        gone = [part.prepared.plan.name for part in self._beside.values()]
        back: list[Any] = []
        for name in self.routers:
            now, first = self._prepared[name], self._first[name]
            if now is not first:
                gone.append(now.plan.name)
                back.append(codec.to_plain(first.plan))
                self._prepared[name] = first
            self.routers[name].write(first.spec.version)
        self._beside.clear()
        if gone or back:
            self._control.call("arrange", forget=gone, keep=back)

    def own_name(self, name: str) -> str:
        """How the supervisor calls the component that serves under a name."""
        return self._prepared[name].plan.name if name in self._prepared else name


class Rollout:
    """One component's versions while a release runs.

    Args:
        versions: Of the environment.
        component: Its name.
        control: The supervisor, for events.
    """

    def __init__(self, versions: Versions, component: str, control: Control) -> None:
        self._versions, self.component, self._control = versions, component, control
        self._router = versions.router(component)

    @property
    def serving(self) -> str:
        """The version that serves."""
        return self._versions.serving(self.component)

    @property
    def number(self) -> int:
        """Number of the weights in force."""
        return self._router.weights.number

    def digest(self, version: str) -> str:
        """Component digest of a version."""
        return self._versions.digest_of(self.component, version)

    def log(self) -> RouterLog:
        """A reader of the router's log."""
        return self._router.log()

    def start(self, version: str) -> str:
        """See `Versions.start`."""
        return self._versions.start(self.component, version)

    def share(self, canary: str, share: float) -> Weights:
        """Give ``canary`` a share of the requests; when this returns, what starts goes by it.

        Raises:
            UserError: The router did not take it.
        """
        before = self._router.weights
        weights = self._router.set(self.serving, canary, share)
        text = f"{canary} {before.of(canary) * 100:g} % → {share * 100:g} %"
        data = {"weights": weights.label, "before": before.of(canary), "after": share}
        self._control.call("note", kind="weights", subject=self.component, text=text, data=data)
        return weights

    def in_flight(self, version: str) -> int:
        """Requests that a version is working on."""
        return self._router.in_flight(version)

    def drained(self, version: str) -> bool:
        """Wait until a version works on nothing."""
        return self._router.drained(version)

    def stop(self) -> None:
        """Stop the version beside."""
        self._versions.stop(self.component)

    def promote(self) -> None:
        """Make the version beside the one that serves."""
        canary = self._router.weights.canary
        self._versions.promote(self.component)
        self._router.set(canary)
