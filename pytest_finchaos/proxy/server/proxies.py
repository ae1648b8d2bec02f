"""The proxies of a server: their listeners, toxics and connections."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Sequence
from typing import Any

from pytest_finchaos.proxy.server.errors import ApiError, bad_body
from pytest_finchaos.proxy.server.link import Connection, Endpoint
from pytest_finchaos.proxy.server.toxics import Toxic

BACKLOG = 1024
RESOLVE_WITHIN_S = 5.0


class Proxy:
    """One proxy.

    Args:
        name: Its name.
        listen: ``host:port``; port 0 is resolved at the first start and then stays.
        upstream: ``host:port``.
        seed: Names the random draws of its toxics.
    """

    def __init__(self, name: str, listen: str, upstream: str, seed: str) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.toxics: list[Toxic] = []
        self._seed = seed
        self._server: asyncio.AbstractServer | None = None
        self._connections: set[Connection] = set()
        self._accepted_count = 0

    @property
    def enabled(self) -> bool:
        """True while it listens."""
        return self._server is not None

    def plain(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": [toxic.plain() for toxic in self.toxics],
        }

    async def start(self) -> None:
        """Listen.

        Raises:
            ApiError: 500 when the address cannot be bound, 400 when it is none.
        """
        if self._server is not None:
            return
        upstream = split_address(self.upstream, "upstream")
        listener = await _bound(self.listen)
        host, port = listener.getsockname()[:2]
        self.listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._accept(upstream), sock=listener, backlog=BACKLOG
        )

    def stop(self) -> None:
        """Stop listening and end every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self._connections):
            connection.abort()

    def add(self, toxic: Toxic) -> None:
        """Put a toxic at the end of the chain, on live connections too.

        Raises:
            ApiError: 409 when the name is taken.
        """
        if any(present.name == toxic.name for present in self.toxics):
            raise ApiError(409, "toxic already exists")
        self.toxics.append(toxic)
        self._sync()

    def toxic(self, name: str) -> Toxic:
        """A toxic by name.

        Raises:
            ApiError: 404.
        """
        for toxic in self.toxics:
            if toxic.name == name:
                return toxic
        raise ApiError(404, "toxic not found")

    def update(self, toxic: Toxic, attributes: dict[str, int], toxicity: float) -> None:
        """Change a toxic, on live connections too."""
        toxic.attributes, toxic.toxicity = attributes, toxicity
        self._sync()
        for connection in list(self._connections):
            connection.up.changed(toxic)
            connection.down.changed(toxic)

    def remove(self, toxic: Toxic) -> None:
        """Take a toxic away; what it holds moves on at once."""
        self.toxics.remove(toxic)
        self._sync()
        for connection in list(self._connections):
            connection.up.forget(toxic.name)
            connection.down.forget(toxic.name)

    def _sync(self) -> None:
        for connection in list(self._connections):
            connection.sync(self.toxics)

    def _accept(self, upstream: tuple[str, int]) -> Endpoint:
        self._accepted_count += 1
        connection = Connection(self._accepted_count, upstream, self.toxics, self._draws, self._connections.discard)
        if self._server is None:
            connection.abort()  # accepted while the listener was closing
        self._connections.add(connection)
        return connection.client

    def _draws(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{self.name}/{name}")  # noqa: S311 - replayable on purpose


def split_address(address: str, what: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[v6]:port``.

    Raises:
        ApiError: 400 when it is neither.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise bad_body(f"{what} must be HOST:PORT, got {address!r:.120}")
    host = host.removeprefix("[").removesuffix("]")
    if not host.isascii() or any(character <= " " or character in "[]/" for character in host):
        raise bad_body(f"{what} must be HOST:PORT, got {address!r:.120}")
    return host, int(port)


async def _bound(listen: str) -> socket.socket:
    host, port = split_address(listen, "listen")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise ApiError(500, f"listen tcp {listen}: lookup {host}: {error or 'no answer in time'}") from None
    family, kind, protocol, _, address = min(found, key=_ipv4_first)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ApiError(500, f"listen tcp {listen}: bind: {(error.strerror or str(error)).lower()}") from None
    return listener


def _ipv4_first(found: Sequence[Any]) -> bool:
    return bool(found[0] != socket.AF_INET)


class Proxies:
    """All proxies by name; changes that wait for the network happen one after the other.

    Args:
        seed: Names every random draw.
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.by_name: dict[str, Proxy] = {}
        self._lock = asyncio.Lock()

    def get(self, name: str) -> Proxy:
        """A proxy by name.

        Raises:
            ApiError: 404.
        """
        if name not in self.by_name:
            raise ApiError(404, "proxy not found")
        return self.by_name[name]

    async def create(self, name: str, listen: str, upstream: str, enabled: bool) -> Proxy:
        """A new proxy, listening when ``enabled``.

        Raises:
            ApiError: 409 when the name is taken; as `Proxy.start`.
        """
        async with self._lock:
            return await self._create(name, listen, upstream, enabled)

    async def _create(self, name: str, listen: str, upstream: str, enabled: bool) -> Proxy:
        if name in self.by_name:
            raise ApiError(409, "proxy already exists")
        proxy = Proxy(name, listen, upstream, self.seed)
        split_address(listen, "listen")
        split_address(upstream, "upstream")
        if enabled:
            await proxy.start()
        self.by_name[name] = proxy
        return proxy

    async def update(self, name: str, listen: str | None, upstream: str | None, enabled: bool | None) -> Proxy:
        """Change a proxy; a new address ends its connections, a toxic stays."""
        async with self._lock:
            proxy = self.get(name)
            listen = proxy.listen if listen is None else listen
            upstream = proxy.upstream if upstream is None else upstream
            split_address(listen, "listen")
            split_address(upstream, "upstream")
            was_enabled = proxy.enabled
            if (listen, upstream) != (proxy.listen, proxy.upstream):
                proxy.stop()
                proxy.listen, proxy.upstream = listen, upstream
            if was_enabled if enabled is None else enabled:
                await proxy.start()
            else:
                proxy.stop()
            return proxy

    async def populate(self, wanted: Sequence[tuple[str, str, str, bool]]) -> tuple[list[Proxy], ApiError | None]:
        """Create what is missing, replace what differs in an address; stops at the first that fails.

        Args:
            wanted: Name, listen, upstream, enabled of each.

        Returns:
            The proxies that stand, and the error that stopped it.
        """
        made: list[Proxy] = []
        async with self._lock:
            for name, listen, upstream, enabled in wanted:
                present = self.by_name.get(name)
                try:
                    if present is not None and not await _same(present, listen, upstream):
                        self._delete(name)
                        present = None
                    made.append(present or await self._create(name, listen, upstream, enabled))
                except ApiError as error:
                    return made, error
        return made, None

    async def delete(self, name: str) -> None:
        """Remove a proxy with its connections."""
        async with self._lock:
            self.get(name)
            self._delete(name)

    def _delete(self, name: str) -> None:
        self.by_name.pop(name).stop()

    async def reset(self) -> None:
        """Remove every toxic, then start what does not listen; one that cannot start does not stop the others.

        Raises:
            ApiError: The first failure, after all were tried.
        """
        failed: ApiError | None = None
        async with self._lock:
            for proxy in self.by_name.values():
                for toxic in list(proxy.toxics):
                    proxy.remove(toxic)
                try:
                    await proxy.start()
                except ApiError as error:
                    failed = failed or error
        if failed is not None:
            raise failed


async def _same(proxy: Proxy, listen: str, upstream: str) -> bool:
    """True when a proxy has these addresses; names that mean the same address count as equal."""
    if upstream != proxy.upstream:
        return False
    if listen == proxy.listen:
        return True
    host, port = split_address(listen, "listen")
    present_host, present_port = split_address(proxy.listen, "listen")
    if port not in (0, present_port):
        return False
    try:
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = await asyncio.get_running_loop().getaddrinfo(host or None, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return False
    return any(str(address[4][0]) == present_host for address in found)
