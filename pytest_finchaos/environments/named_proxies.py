"""The proxies of a Toxiproxy that the system uses already: found by name, never made, changed or removed.

Only toxics of ours are taken away, and only a listener that we closed is opened: by the undo journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pytest_finchaos.environments import external
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EdgeSpec, EnvironmentSpec
from pytest_finchaos.proxy.client import ProxyError, ProxyState, ToxiproxyClient
from pytest_finchaos.proxy.undo import UndoFailed, carry_out
from pytest_finchaos.runtime.undo import UndoJournal
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

ANY = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PREFIX = "finchaos-"  # of every toxic that a run of the harness arms
OTHERS_GO_S = 10.0  # its supervisor is about to undo them
OURS = ("remove-toxic", "enable-proxy")


class NamedProxies:
    """Proxies that stand on edges of a system already.

    Args:
        url: Base URL of the system's Toxiproxy.
        spec: The environment.
        undo: Its journal.
    """

    def __init__(self, url: str, spec: EnvironmentSpec, undo: UndoJournal) -> None:
        self.url, self._spec, self._undo = url, spec, undo
        self.edges = tuple(edge for edge in spec.edges if edge.proxy)
        self._found: dict[str, ProxyState] = {}

    def find(self, within_s: float) -> None:
        """Look all of them up and remember where they lead.

        Args:
            within_s: How long the server may be out of reach, seconds: it may have just been started.

        Raises:
            UserError: The server is on a host that is not allowed or cannot be reached; a proxy does not exist, is
                disabled, or listens on a host that is not allowed.
        """
        if not self.edges:
            return
        parts = urlsplit(self.url)
        external.refuse_host(f"{parts.hostname}:{parts.port or 8474}", self._spec, f"Toxiproxy at {self.url}")
        client = ToxiproxyClient(self.url)
        try:
            present = wait_for(lambda: _proxies(client), what=f"the Toxiproxy at {self.url}", within_s=within_s)
        except Waited as error:
            cure = f"start it, or correct toxiproxy in {self._spec.source}"
            raise UserError(f"environment {self._spec.name}", str(error), cure=cure) from None
        for edge in self.edges:
            self._usable(edge, present)
        try:
            settled = wait_for(lambda: self._settled(client), what="faults of another run to go", within_s=OTHERS_GO_S)
        except Waited as error:
            self._refuse_disabled(client.proxies())
            cure = "remove them, if that run is over"
            raise UserError(f"Toxiproxy at {self.url}", str(error), cure=cure) from None
        self._found.update(settled)

    def _settled(self, client: ToxiproxyClient) -> Mapping[str, ProxyState] | Not:
        """Our proxies, once no fault is left that a run of ours has put there and is about to take away.

        An edge that is down may be such a fault: it carries no name that would tell.
        """
        names = {edge.proxy for edge in self.edges}
        found = {name: state for name, state in client.proxies().items() if name in names}
        left = [f"{name}: {each}" for name, state in found.items() for each in _names(state) if each.startswith(PREFIX)]
        left += [f"{name}: disabled" for name, state in found.items() if not state.enabled]
        return Not(", ".join(left)) if left else found

    def _usable(self, edge: EdgeSpec, present: Mapping[str, ProxyState]) -> None:
        where = f"edge {edge.source}→{edge.target}"
        state = present.get(edge.proxy)
        if state is None:
            what = f"the Toxiproxy at {self.url} has no proxy {edge.proxy!r}"
            raise UserError(where, what, allowed=present, got=edge.proxy, cure="name one that stands on this edge")
        external.refuse_host(self._reached(state), self._spec, f"{where}: proxy {edge.proxy!r}")

    def _refuse_disabled(self, present: Mapping[str, ProxyState]) -> None:
        for edge in self.edges:
            if edge.proxy in present and not present[edge.proxy].enabled:
                what = f"its proxy {edge.proxy!r} is disabled: nothing passes"
                cure = "enable it, or see who has disabled it"
                raise UserError(f"edge {edge.source}→{edge.target}", what, cure=cure)

    def _reached(self, state: ProxyState) -> str:
        """Where a proxy is reached from here: its server may run in a container or on another host."""
        host, port = external.split(state.listen)
        server = urlsplit(self.url).hostname or ""
        away = host in LOOPBACK and server not in LOOPBACK
        return f"{server if host in ANY or away else host}:{port}"

    def listen(self, name: str) -> str:
        """``host:port`` where clients of a proxy connect."""
        return self._reached(self._found[name])

    def upstream(self, name: str) -> str:
        """Where it leads, in the words of its server."""
        return self._found[name].upstream

    def knows(self, name: str) -> bool:
        """True once a proxy was looked up."""
        return name in self._found

    def notes(self) -> Sequence[str]:
        """What a reader must know: toxics that are not ours and were there before."""
        return [
            f"proxy {name} had toxics before: {', '.join(_names(state))}"
            for name, state in self._found.items()
            if state.toxics
        ]

    def identity(self) -> str:
        """Kind and version of the server, for the fingerprint.

        Raises:
            ProxyError: It cannot be reached.
        """
        if not self.edges:
            return ""
        names = ", ".join(f"{edge.source} → {edge.target} by {edge.proxy}" for edge in self.edges)
        return f"attached {ToxiproxyClient(self.url).version()}: {names}"

    def sweep(self) -> None:
        """Undo every fault of this environment on them; all other toxics stay.

        Raises:
            UserError: The server could not be reached or refused.
        """
        for record in self._undo.pending():
            place = record.arguments
            if record.kind in OURS and place.get("url") == self.url and place.get("proxy") in self._found:
                try:
                    carry_out(record)
                except UndoFailed as error:
                    raise UserError(f"Toxiproxy at {self.url}", f"a fault could not be undone: {error}") from None
                self._undo.done(record)

    def problems(self) -> list[str]:
        """What somebody changed since it was found, in sentences."""
        if not self._found:
            return []
        try:
            present = ToxiproxyClient(self.url).proxies()
        except ProxyError as error:
            return [f"the system's Toxiproxy: {error.where}: {error.what}"]
        return [text for name, before in self._found.items() for text in _changes(name, before, present.get(name))]


def _proxies(client: ToxiproxyClient) -> Mapping[str, ProxyState] | Not:
    try:
        return client.proxies()
    except ProxyError as error:
        if error.status:
            raise
        return Not(error.what)


def _changes(name: str, before: ProxyState, now: ProxyState | None) -> list[str]:
    if now is None:
        return [f"proxy {name} of the system's Toxiproxy is gone"]
    found = []
    if (now.listen, now.upstream) != (before.listen, before.upstream):
        found.append(
            f"proxy {name} leads from {now.listen} to {now.upstream}, not from {before.listen} to {before.upstream}"
        )
    if not now.enabled:
        found.append(f"proxy {name} is disabled")
    if _names(now) != _names(before):
        had, has = (", ".join(_names(state)) or "none" for state in (before, now))
        found.append(f"proxy {name} has other toxics than at the start: {has}, before {had}")
    return found


def _names(state: ProxyState) -> list[str]:
    return sorted(toxic.name for toxic in state.toxics)
