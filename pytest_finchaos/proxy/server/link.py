"""One connection through a proxy: two endpoints and, between them, a link for each direction with its toxics."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable, Sequence
from typing import cast

from pytest_finchaos.proxy.server.stages import STAGES, End, Stage
from pytest_finchaos.proxy.server.toxics import Toxic
from pytest_finchaos.runtime.clock import SystemClock

CONNECT_WITHIN_S = 60.0
WRITE_BUFFER_BYTES = 1024 * 1024
LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends a RST


class Link:
    """One direction of one connection.

    Args:
        connection: Where it belongs.
        stream: ``upstream`` (client to server) or ``downstream``.
        draws_of: Gives the seeded random source of a toxic on this link.
    """

    def __init__(self, connection: Connection, stream: str, draws_of: Callable[[str], random.Random]) -> None:
        self.connection = connection
        self.stream = stream
        self.loop = connection.loop
        self.now_ns = connection.clock.now_ns
        self.blocked = True  # until the destination is connected
        self.stages: list[Stage] = []
        self.source_ended = False
        self.finished = False
        self._throttled = False
        self._early: list[bytes] = []  # came before the upstream was connected; reading stops at the first
        self._draws_of = draws_of
        self._draws: dict[str, tuple[float, random.Random]] = {}

    @property
    def source(self) -> Endpoint:
        """Where its bytes come from."""
        return self.connection.client if self.stream == "upstream" else self.connection.server

    @property
    def destination(self) -> Endpoint:
        """Where its bytes go."""
        return self.connection.server if self.stream == "upstream" else self.connection.client

    @property
    def other_source_ended(self) -> bool:
        """True when the other direction's source has ended."""
        other = self.connection.down if self.stream == "upstream" else self.connection.up
        return other.source_ended

    def receive(self, data: bytes) -> None:
        """Bytes from the source."""
        if self.finished:
            return
        if self.stages:
            self.stages[0].feed(data)
            self.throttle()
        else:
            self.deliver(data)

    def deliver(self, data: bytes) -> None:
        """Bytes to the destination."""
        if self.finished:
            return
        transport = self.destination.transport
        if transport is not None:
            transport.write(data)
        else:
            self._early.append(data)
            self.throttle()

    def end(self, how: End) -> None:
        """The source has ended."""
        self.source_ended = True
        if self.stages:
            self.stages[0].end(how)
        else:
            self.finish(how)
        if how is End.HALF:
            self.connection.other(self).pump()  # a stage there may wait for this

    def finish(self, how: End) -> None:
        """All bytes are delivered and the end has come through."""
        if self.finished:
            return
        self.finished = True
        if how is End.WHOLE or self.connection.other(self).finished:
            self.connection.close()
            return
        transport = self.destination.transport
        if transport is not None and not transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                transport.write_eof()

    def reset(self) -> None:
        """A toxic ends the connection with RST."""
        self.connection.reset()

    def block(self, blocked: bool) -> None:
        """The destination's buffer is full, or has room again."""
        self.blocked = blocked
        if not blocked:
            self._send_early()
            self.pump()
        self.throttle()

    def _send_early(self) -> None:
        early, self._early = self._early, []
        transport = self.destination.transport
        if transport is not None and early:
            transport.write(b"".join(early))
        if self.finished and transport is not None and not transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                transport.write_eof()

    def pump(self) -> None:
        """Let every stage emit what it may, the last one first."""
        for stage in reversed(list(self.stages)):
            stage.pump()
        self.throttle()

    def throttle(self) -> None:
        """Read from the source exactly while there is room."""
        waiting = self._early or self.destination.transport is not None
        full = not self.stages[0].room if self.stages else bool(self.blocked and waiting)
        transport = self.source.transport
        if full == self._throttled or transport is None or transport.is_closing() or self.source_ended:
            return
        self._throttled = full
        with contextlib.suppress(RuntimeError):  # it began to close by itself
            if full:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def sync(self, toxics: Sequence[Toxic]) -> None:
        """Make the chain what ``toxics`` say, without losing or reordering a byte.

        A toxic touches this link when the number drawn for it here lies below its toxicity; the number stays the
        same for the life of the connection, so that an update that changes nothing changes nothing.
        """
        wanted = [toxic for toxic in toxics if toxic.stream == self.stream and self._draw(toxic.name) < toxic.toxicity]
        present = {id(stage.toxic): stage for stage in self.stages}
        for stage in list(self.stages):
            if not any(stage.toxic is toxic for toxic in wanted):
                stage.release()
        added = []
        chain: list[Stage] = []
        for toxic in wanted:
            stage = present.get(id(toxic)) or self._stage(toxic)
            if id(toxic) not in present:
                added.append(stage)
            chain.append(stage)
        for at, stage in enumerate(chain):
            stage.after = chain[at + 1] if at + 1 < len(chain) else None
        self.stages = chain
        if self.source_ended and not self.finished:
            self._end_again(added)
        for stage in added:
            stage.started()
        self.pump()

    def _end_again(self, added: Sequence[Stage]) -> None:
        """Stages added after the source's end must know of it, where nothing before them will tell."""
        for stage in added:
            before = [each for each in self.stages if each.after is stage]
            if not before or before[0].over:
                stage.end(End.HALF)

    def forget(self, name: str) -> None:
        """A toxic is gone for good: one of the same name draws anew."""
        self._draws.pop(name, None)

    def changed(self, toxic: Toxic) -> None:
        """The attributes of ``toxic`` were updated."""
        for stage in self.stages:
            if stage.toxic is toxic and not stage.over:
                stage.changed()
        self.throttle()

    def discard(self) -> None:
        """Nothing can be delivered any more."""
        self.finished = True
        for stage in self.stages:
            stage.over = True
            stage.stop_timer()
            stage.queue.clear()

    def _draw(self, name: str) -> float:
        if name not in self._draws:
            draws = self._draws_of(f"{name}/{self.connection.number}/{self.stream}")
            self._draws[name] = (draws.random(), draws)
        return self._draws[name][0]

    def _stage(self, toxic: Toxic) -> Stage:
        return STAGES[toxic.kind](self, toxic, self._draws[toxic.name][1])


class Endpoint(asyncio.Protocol):
    """One socket of a connection: the client's or the upstream's."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self.outgoing: Link  # where what is read here goes
        self.incoming: Link  # what writes here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.connection.made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.outgoing.receive(data)

    def eof_received(self) -> bool:
        """The peer sent FIN; it may go on reading."""
        self.outgoing.end(End.HALF)
        return True

    def pause_writing(self) -> None:
        """The buffer is full."""
        self.incoming.block(True)

    def resume_writing(self) -> None:
        """The buffer has room."""
        self.incoming.block(False)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - RST and close mean the same here
        """The socket is closed."""
        self.transport = None
        self.connection.lost(self)


class Connection:
    """A client's connection and the one made for it to the upstream.

    Args:
        number: Of its proxy, counted from 1: names its random draws.
        upstream: Host and port.
        toxics: The proxy's toxics now.
        draws_of: Gives a seeded random source for a name.
        on_end: Called once when both sockets are closed.
    """

    def __init__(
        self,
        number: int,
        upstream: tuple[str, int],
        toxics: Sequence[Toxic],
        draws_of: Callable[[str], random.Random],
        on_end: Callable[[Connection], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = SystemClock()
        self.number = number
        self.client, self.server = Endpoint(self), Endpoint(self)
        self.up, self.down = Link(self, "upstream", draws_of), Link(self, "downstream", draws_of)
        self.client.outgoing = self.server.incoming = self.up
        self.client.incoming = self.server.outgoing = self.down
        self._upstream = upstream
        self._toxics = toxics
        self._on_end = on_end
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self._ended = False

    def other(self, link: Link) -> Link:
        """The opposite direction."""
        return self.down if link is self.up else self.up

    def made(self, endpoint: Endpoint) -> None:
        """One of the sockets is open."""
        if self._closed:
            assert endpoint.transport is not None
            endpoint.transport.abort()
            return
        if endpoint is self.client:
            self.down.blocked = False
            self.sync(self._toxics)
            self._connecting = self.loop.create_task(self._connect())
        else:
            self.up.block(False)

    async def _connect(self) -> None:
        host, port = self._upstream
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await self.loop.create_connection(lambda: self.server, host, port)
        except (OSError, TimeoutError):
            self.close()  # the client connected and now gets FIN, as with the original

    def sync(self, toxics: Sequence[Toxic]) -> None:
        """Toxics were added, removed, or drawn anew."""
        for link in (self.up, self.down):
            link.sync(toxics)

    def lost(self, endpoint: Endpoint) -> None:
        """One of the sockets is closed: what it sent still arrives, what it was to get does not."""
        endpoint.incoming.discard()
        if not endpoint.outgoing.finished:
            endpoint.outgoing.end(End.WHOLE)
        else:
            self.close()
        self._settle()

    def close(self) -> None:
        """Close both sockets after what is buffered for them."""
        self._closed = True
        for link in (self.up, self.down):
            link.discard()
        for endpoint in (self.client, self.server):
            if endpoint.transport is not None:
                endpoint.transport.close()
        self._settle()

    def abort(self) -> None:
        """Close both sockets now."""
        self._closed = True
        for link in (self.up, self.down):
            link.discard()
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
        for endpoint in (self.client, self.server):
            if endpoint.transport is not None:
                endpoint.transport.abort()
        self._settle()

    def reset(self) -> None:
        """Close both sockets now, with RST."""
        for endpoint in (self.client, self.server):
            if endpoint.transport is not None:
                found = endpoint.transport.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.abort()

    def _settle(self) -> None:
        if self._closed and not self._ended and self.client.transport is None and self.server.transport is None:
            self._ended = True
            self._on_end(self)
