"""The proxies of an environment's edges in the Toxiproxy API: made, looked at, swept. Only ours, never another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pytest_finchaos.environments import builds
from pytest_finchaos.environments.fingerprint import digest_of_file
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.client import ProxyError, ProxyState, ToxiproxyClient
from pytest_finchaos.proxy.launcher import BUILT_IN_MODULE, URL_VARIABLE, ServerChoice
from pytest_finchaos.runtime.undo import UndoJournal


class EdgeProxies:
    """The proxies of one environment.

    Args:
        url: Base URL of the API.
        edges: The edges that each need one.
        undo: The environment's journal.
        attached: The server is not ours: what is made there is undone at the end, by a record written before.
    """

    def __init__(self, url: str, edges: Sequence[Edge], undo: UndoJournal, *, attached: bool) -> None:
        self._url, self._edges, self._undo, self._attached = url, edges, undo, attached

    def make(self) -> None:
        """Make those that are missing.

        Raises:
            ProxyError: The server cannot be reached or refuses.
        """
        client = ToxiproxyClient(self._url)
        present = client.proxies()
        for edge in self._edges:
            if edge.proxy in present:
                continue
            if self._attached:
                self._undo.intend("delete-proxy", {"url": self._url, "proxy": edge.proxy})
            client.create(edge.proxy, edge.listen, edge.upstream)

    def sweep(self) -> None:
        """Remove every toxic and open every listener."""
        client = ToxiproxyClient(self._url)
        for name, state in self._ours(client).items():
            for toxic in state.toxics:
                client.remove_toxic(name, toxic.name)
            if not state.enabled:
                client.set_enabled(name, enabled=True)

    def problems(self) -> list[str]:
        """Proxies that are missing or lead elsewhere, in sentences."""
        try:
            present = self._ours(ToxiproxyClient(self._url))
        except ProxyError as error:
            return [f"fault proxy: {error.what}"]
        found = []
        for edge in self._edges:
            state = present.get(edge.proxy)
            if state is None:
                found.append(f"edge {edge}: its proxy {edge.proxy} is gone")
            elif (state.listen, state.upstream) != (edge.listen, edge.upstream):
                found.append(
                    f"edge {edge}: its proxy leads from {state.listen} to {state.upstream},"
                    f" not from {edge.listen} to {edge.upstream}"
                )
        return found

    def _ours(self, client: ToxiproxyClient) -> Mapping[str, ProxyState]:
        ours = {edge.proxy for edge in self._edges}
        return {name: state for name, state in client.proxies().items() if name in ours}


def identity(choice: ServerChoice) -> str:
    """Kind and version of the fault proxy, for the fingerprint: the content of what runs, or what it says of itself.

    Raises:
        ProxyError: It is attached and cannot be reached.
    """
    from pathlib import Path

    if choice.kind == "attached":
        return f"attached {ToxiproxyClient(choice.url).version()}"
    if choice.kind == "real":
        return f"real {digest_of_file(Path(choice.binary).resolve())}"
    from importlib import util

    found = util.find_spec(BUILT_IN_MODULE)
    assert found is not None
    assert found.origin is not None
    origin = Path(found.origin)
    return f"built-in {builds.digest_of([origin.parent if origin.name == '__init__.py' else origin])}"


def refuse_foreign_host(choice: ServerChoice, spec: EnvironmentSpec) -> None:
    """An attached Toxiproxy must be on a host that the configuration allows.

    Raises:
        UserError: It is not.
    """
    if choice.kind != "attached":
        return
    host = urlsplit(choice.url).hostname or ""
    allowed = (*spec.allowed_hosts, *(("localhost",) if "127.0.0.1" in spec.allowed_hosts else ()))
    if host not in allowed:
        raise UserError(
            URL_VARIABLE,
            f"host {host!r} is not among the allowed hosts of environment {spec.name}",
            allowed=spec.allowed_hosts,
            cure=f"unset {URL_VARIABLE}, or add the host to allowed_hosts in {spec.source}",
        )
