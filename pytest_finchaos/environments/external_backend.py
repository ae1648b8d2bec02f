"""What backends attach and command share: addresses, edges, proxies, readiness, what the components say they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_finchaos.environments import external, fingerprint, planning, proxies
from pytest_finchaos.environments.backend import Backend, Ground, Share
from pytest_finchaos.environments.config_external import own_proxy_wanted
from pytest_finchaos.environments.named_proxies import NamedProxies
from pytest_finchaos.environments.plan import SystemPlan
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EdgeSpec
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.launcher import URL_VARIABLE
from pytest_finchaos.runtime.clock import NS_PER_S
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

NO_ANSWER = "no answer"
POLL_S = 0.05


class BothProxies:
    """The harness's own proxies, if an edge needs one, and the system's own.

    Args:
        own: Those that are made, or None.
        named: Those that are found.
    """

    def __init__(self, own: proxies.EdgeProxies | None, named: NamedProxies) -> None:
        self._own, self._named = own, named

    def make(self) -> None:
        """Make those of the harness that are missing."""
        if self._own is not None:
            self._own.make()

    def sweep(self) -> None:
        """Take away every fault of ours."""
        if self._own is not None:
            self._own.sweep()
        self._named.sweep()

    def problems(self) -> list[str]:
        """What is not as it was made or found, in sentences."""
        own = [] if self._own is None else self._own.problems()
        return [*own, *self._named.problems()]


class ExternalBackend(Backend):
    """A system whose components the harness does not start one by one.

    Args:
        ground: Folders, ports, supervisor.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground, self._spec = ground, ground.spec
        self._addresses = {
            name: spec.address or f"{planning.HOST}:{ground.ports.claim()}"
            for name, spec in ground.spec.components.items()
        }
        self._attached = ground.choice.kind == "attached"
        self.named = NamedProxies(self._toxiproxy(), ground.spec, ground.undo)
        self._listens = {
            (edge.source, edge.target): f"{planning.HOST}:{ground.ports.claim()}"
            for edge in ground.spec.edges
            if self._has_own(edge)
        }
        self._proxy_port = ground.ports.claim() if self._listens and not self._attached else 0
        self.proxy_url = self._proxy_url()
        own = [edge for edge in self.edges if (edge.source, edge.target) in self._listens]
        made = proxies.EdgeProxies(self.proxy_url, own, ground.undo, attached=self._attached) if own else None
        self.proxies = BothProxies(made, self.named)
        self.unproven = tuple(name for name, spec in ground.spec.components.items() if spec.identity is None)

    def _toxiproxy(self) -> str:
        """The system's own Toxiproxy: the configuration's, else the one that the caller attaches to."""
        url = self._spec.toxiproxy or self._ground.choice.url
        nameless = next((edge for edge in self._spec.edges if edge.proxy and not url), None)
        if nameless is not None:
            raise UserError(
                f"edge {nameless.source}→{nameless.target}",
                f"proxy {nameless.proxy!r} is named, and nothing says which Toxiproxy has it",
                cure=f'write toxiproxy = "http://HOST:8474" in {self._spec.source}, or set {URL_VARIABLE}',
            )
        return url

    def _has_own(self, edge: EdgeSpec) -> bool:
        return own_proxy_wanted(self._spec.backend, {"source": edge.source, "proxy": edge.proxy})

    def _proxy_url(self) -> str:
        if not self._listens:
            return self.named.url if self.named.edges else ""
        return self._ground.choice.url if self._attached else f"http://{planning.HOST}:{self._proxy_port}"

    def share(self) -> Share:
        """A fault proxy, if an edge needs one; no component."""
        choice, wanted = self._ground.choice, bool(self._proxy_port)
        argv = tuple(choice.argv(planning.HOST, self._proxy_port, self._ground.run_id)) if wanted else ()
        return Share(argv, self._proxy_port, (), self.system())

    def system(self) -> SystemPlan | None:
        """What the supervisor starts and stops by commands."""
        return None

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All declared edges; those on proxies of the system only lead there once it was asked."""
        return tuple(self._edge(edge) for edge in self._spec.edges)

    def _edge(self, declared: EdgeSpec) -> Edge:
        target, address = self._spec.components[declared.target], self._addresses[declared.target]
        proxy, url, listen, upstream, barred = "", "", address, address, ""
        if (pair := (declared.source, declared.target)) in self._listens:
            proxy, url = f"{self._ground.id}.{pair[0]}.{pair[1]}", self._proxy_url()
            listen = self._listens[pair]
        elif not declared.proxy:
            barred = f"it has no proxy, and backend {self._spec.backend} cannot give {pair[0]} another address"
        elif self.named.knows(declared.proxy):
            proxy, url = declared.proxy, self.named.url
            listen, upstream = self.named.listen(proxy), self.named.upstream(proxy)
        return Edge(
            environment=self._ground.id,
            source=declared.source,
            target=declared.target,
            proxy=proxy,
            api_url=url,
            listen=listen,
            upstream=upstream,
            protocol="postgres" if target.kind == "postgres" else "http" if target.ready.http else "tcp",
            probe_path=target.ready.http or "/",
            not_interceptable=barred,
        )

    @property
    def unchecked(self) -> Mapping[str, str]:
        """Edges that no fault reaches, components of which nobody can say which build serves."""
        rows = {
            f"network faults on {edge.source} → {edge.target}": edge.not_interceptable
            for edge in self.edges
            if edge.not_interceptable
        }
        for name in self.unproven:
            rows[f"build of {name}"] = "it has no identity = { http = … }: that one build served is not proven"
        return rows

    def await_ready(self, started_ns: int, within_s: float | None = None) -> None:
        """Wait until every component is ready at its address.

        Args:
            started_ns: When the waiting began, CLOCK_MONOTONIC.
            within_s: Deadline from there for each; by default its own.

        Raises:
            UserError: One was not, with what was seen last.
        """
        for spec in self._spec.components.values():
            limit_s = spec.ready.within_s if within_s is None else within_s
            passed_s = (self._ground.clock.now_ns() - started_ns) / NS_PER_S
            try:
                self._await_one(spec, max(0.0, limit_s - passed_s))
            except Waited as error:
                what = f"is not ready: {error}{self.why_not()}"
                raise UserError(f"component {spec.name}", what, cure=self.cure()) from None

    def _await_one(self, spec: ComponentSpec, within_s: float) -> None:
        wait_for(
            lambda: self._look_or_give_up(spec),
            what=f"component {spec.name} at {self._addresses[spec.name]}",
            within_s=within_s,
            every_s=POLL_S,
            clock=self._ground.clock,
        )

    def _look_or_give_up(self, spec: ComponentSpec) -> bool | Not:
        seen = self._look(spec)
        if isinstance(seen, Not):
            self.hopeless()
        return seen

    def _look(self, spec: ComponentSpec) -> bool | Not:
        problem = external.problem(spec, self._addresses[spec.name], self._spec)
        return True if problem is None else Not(problem)

    def hopeless(self) -> None:
        """Ends the waiting for readiness when it cannot come.

        Raises:
            UserError: Why it cannot.
        """

    def why_not(self) -> str:
        """What else is known when a component is not ready."""
        return ""

    def cure(self) -> str:
        """What to do when a component is not ready."""
        return "see whether it runs, and whether ready.within_s is long enough"

    def tell_ready(self, names: Sequence[str] = ()) -> None:
        """Events: each component is ready, with what it says it is."""
        for name in names or self._spec.components:
            told = self._told(name)
            text = f"answers at {self._addresses[name]}" + (f", build {told}" if told else "")
            self._ground.control.call(
                "note", kind="component-ready", subject=name, text=text, data={"instance": told or "unproven"}
            )

    def _told(self, name: str) -> str:
        """Which build a component says it is.

        Raises:
            UserError: It does not say it, though it was declared where it would.
        """
        try:
            return external.told(self._spec.components[name], self._addresses[name], self._spec)
        except external.NotTold as error:
            cure = f"correct identity of component {name} in {self._spec.source}, or leave it out: then it is unproven"
            raise UserError(f"component {name}", f"does not say which build serves: {error}", cure=cure) from None

    def fingerprint(self) -> str:
        """What was declared, and what each component says it is now."""
        return fingerprint.environment_digest(self._spec, self.digests(), self.proxy_facts())

    def digests(self) -> dict[str, str]:
        """The digest of each component."""
        return {name: self._digest(spec) for name, spec in self._spec.components.items()}

    def proxy_facts(self) -> str:
        """Kind and version of every fault proxy."""
        own = proxies.identity(self._ground.choice) if self._listens else "none"
        return f"{own}; {self.named.identity()}"

    def _digest(self, spec: ComponentSpec) -> str:
        try:
            told = external.told(spec, self._addresses[spec.name], self._spec)
        except external.NotTold:
            told = NO_ANSWER
        return fingerprint.external_digest(spec, told)

    def problems(self) -> list[str]:
        """Components that are not ready or do not say what they are; a fault proxy that died."""
        problems = list(self._ground.control.call("verify"))
        for name, spec in self._spec.components.items():
            seen = self._look(spec)
            if isinstance(seen, Not):
                problems.append(f"component {name}: {seen.state}")
                continue
            try:
                self._told(name)
            except UserError as error:
                problems.append(f"component {name} {error.what}")
        return problems

    def address(self, name: str) -> str:
        """Where a component listens."""
        return self._addresses[name]
