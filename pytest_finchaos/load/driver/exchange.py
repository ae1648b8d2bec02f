"""One HTTP exchange on a shared pool of connections, with one deadline, and an honest account of how it ended.

Locust's own HTTP users are not used: their client repeats a GET by itself after a reset, once per pooled connection,
and its timeout counts from the last byte, so that neither counts nor deadlines would be exact. The sockets here are
the standard library's, made cooperative by Locust; the parser is the one that Locust uses.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from geventhttpclient.response import HTTPParseError, HTTPResponse

from pytest_finchaos.load import request as requests
from pytest_finchaos.load.client import host_and_port
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

IDLE_LIMIT_NS = 2 * NS_PER_S  # common servers close idle connections after 5 s; older ones are not used again
MAX_BODY = 8 * 1024 * 1024
_CHUNK = 65_536


class _Answer(HTTPResponse):  # type: ignore[misc]  # the parser has no types
    def __init__(self, method: str) -> None:
        super().__init__(method=method)
        self.body = bytearray()

    def _on_body(self, buf: bytearray) -> None:
        self.body += buf

    @property
    def whole(self) -> bool:
        """True when the final answer, not a 1xx before it, has ended."""
        return bool(self.message_complete) and self.get_code() >= 200


class Exchange:
    """Connections to the components of a plan, shared by all users.

    Args:
        base_urls: Component to ``http://host:port``; nothing else is contacted.
        clock: The clock.
    """

    def __init__(self, base_urls: Mapping[str, str], clock: Clock) -> None:
        self._addresses = {component: host_and_port(url) for component, url in base_urls.items()}
        self._idle: dict[tuple[str, int], list[tuple[int, socket.socket]]] = {
            address: [] for address in self._addresses.values()
        }
        self._clock = clock

    def send(
        self, component: str, ready: requests.Request, timeout_s: float
    ) -> tuple[int | None, str, bytes, tuple[tuple[str, str], ...]]:
        """Send one request once.

        Args:
            component: Where to.
            ready: The request.
            timeout_s: Deadline of the whole exchange, connecting included, in seconds.

        Returns:
            Status or None, detail (one of `requests.DETAILS`), body, headers. A request of which not a byte left,
            because a pooled connection had died, is sent on another connection; once a byte has left, nothing is
            repeated.
        """
        address = self._addresses[component]
        deadline_ns = self._clock.now_ns() + int(timeout_s * NS_PER_S)
        data = ready.wire(f"{address[0]}:{address[1]}")
        while True:
            connection = self._pooled(address)
            pooled = connection is not None
            if connection is None:
                try:
                    connection = self._connect(address, deadline_ns)
                except TimeoutError:
                    return None, requests.TIMEOUT, b"", ()
                except OSError:
                    return None, requests.REFUSED_CONNECTION, b"", ()
            reusable = False
            try:
                left = self._send_all(connection, data, deadline_ns)
                if left == len(data):
                    answer = _Answer(ready.method)
                    detail = self._receive(connection, answer, deadline_ns)
                    reusable = detail == requests.HTTP and not answer.should_close()
                    status = int(answer.get_code()) if detail == requests.HTTP else None
                    return status, detail, bytes(answer.body), tuple(answer.items())
                if left:
                    return None, requests.RESET, b"", ()
            except TimeoutError:
                return None, requests.TIMEOUT, b"", ()
            finally:
                if reusable:
                    self._idle[address].append((self._clock.now_ns(), connection))
                else:
                    connection.close()
            if not pooled:
                return None, requests.REFUSED_CONNECTION, b"", ()

    def _pooled(self, address: tuple[str, int]) -> socket.socket | None:
        """The connection that was used last, if it is still open, silent and fresh."""
        idle = self._idle[address]
        oldest_ns = self._clock.now_ns() - IDLE_LIMIT_NS
        while idle:
            since_ns, connection = idle.pop()
            if since_ns >= oldest_ns and _is_silent(connection):
                return connection
            connection.close()
        return None

    def _connect(self, address: tuple[str, int], deadline_ns: int) -> socket.socket:
        connection = socket.create_connection(address, timeout=self._remaining_s(deadline_ns))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _send_all(self, connection: socket.socket, data: bytes, deadline_ns: int) -> int:
        """Number of bytes that the system took before the connection broke; all of them when it did not."""
        left = 0
        view = memoryview(data)
        while left < len(data):
            connection.settimeout(self._remaining_s(deadline_ns))
            try:
                left += connection.send(view[left:])
            except TimeoutError:
                raise
            except OSError:
                break
        return left

    def _receive(self, connection: socket.socket, answer: _Answer, deadline_ns: int) -> str:
        """Read into ``answer`` until it is whole; the detail says how it ended."""
        began = False
        while not answer.whole:
            connection.settimeout(self._remaining_s(deadline_ns))
            try:
                data = connection.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError:
                return requests.RESET
            if not data and not began:
                return requests.RESET
            began = True
            try:
                answer.feed(data)  # an empty chunk tells the parser that the stream ended
            except HTTPParseError:
                return requests.MALFORMED
            if (not data and not answer.whole) or len(answer.body) > MAX_BODY:
                return requests.MALFORMED
        return requests.HTTP

    def _remaining_s(self, deadline_ns: int) -> float:
        return max((deadline_ns - self._clock.now_ns()) / NS_PER_S, 0.001)


def _is_silent(connection: socket.socket) -> bool:
    """True when an idle connection has nothing to read: no end of stream, no error, no stray bytes."""
    connection.settimeout(0.0)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
