"""What a probe says on a socket: an exchange of the target's own protocol, timed, with its end in one word."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote, urlsplit

from pytest_finchaos.runtime.clock import NS_PER_S, Clock

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PROTOCOL_3 = 196608
READ_BYTES = 256 * 1024
PADDING_BYTES = 4000  # of a header: servers accept 8 kB and more
MOST_REQUESTS = 400
HEAD_END = b"\r\n\r\n"


class How(enum.Enum):
    """How an exchange ended."""

    ANSWERED = "answered"
    SILENT = "no answer"
    ENDED = "ended"
    RESET = "reset"
    REFUSED = "refused"
    GARBLED = "not understood"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange.

    Args:
        how: How it ended.
        took_ns: From the first byte sent to the end.
        bytes_in, bytes_out: Carried.
        detail: More words, or "".
    """

    how: How
    took_ns: int
    bytes_in: int = 0
    bytes_out: int = 0
    detail: str = ""


class Garbled(Exception):
    """The peer's bytes are not what the protocol allows, or it said no; the text says what."""


class Wire:
    """A connected socket with a deadline, counting bytes.

    Args:
        connected: The socket; closed by `close`.
        clock: The clock.
    """

    def __init__(self, connected: socket.socket, clock: Clock) -> None:
        self._socket = connected
        self._clock = clock
        self._until_ns = 0
        self._kept = b""
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def local_port(self) -> int:
        """The port that it speaks from."""
        return int(self._socket.getsockname()[1])

    def exchange(self, talk: Callable[[Wire], None], within_s: float) -> Exchange:
        """Run ``talk`` and say how it ended; never raises for what the peer or the network does."""
        self.bytes_in = self.bytes_out = 0
        start_ns = self._clock.now_ns()
        self._until_ns = start_ns + round(within_s * NS_PER_S)
        how, detail = How.ANSWERED, ""
        try:
            talk(self)
        except TimeoutError:
            how = How.SILENT
        except EOFError:
            how = How.ENDED
        except ConnectionError as error:
            how, detail = How.RESET, str(error.strerror or error)
        except (Garbled, ValueError, struct.error) as error:
            how, detail = How.GARBLED, str(error)
        except OSError as error:
            how, detail = How.ENDED, str(error.strerror or error)
        return Exchange(how, self._clock.now_ns() - start_ns, self.bytes_in, self.bytes_out, detail)

    def send(self, data: bytes) -> None:
        """Send all."""
        self._arm()
        self._socket.sendall(data)
        self.bytes_out += len(data)

    def shut(self) -> None:
        """Send FIN and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def exactly(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            EOFError: When the stream ends before.
        """
        while len(self._kept) < count:
            self._more()
        data, self._kept = self._kept[:count], self._kept[count:]
        return data

    def skip(self, count: int) -> None:
        """Read and forget ``count`` bytes."""
        while count > 0:
            if not self._kept:
                self._more()
            taken = min(count, len(self._kept))
            self._kept = self._kept[taken:]
            count -= taken

    def until(self, mark: bytes, most: int = 64 * 1024) -> bytes:
        """Everything up to and with ``mark``."""
        while mark not in self._kept:
            if len(self._kept) > most:
                raise Garbled(f"no end within {most} bytes")
            self._more()
        head, _, self._kept = self._kept.partition(mark)
        return head + mark

    def to_end(self) -> None:
        """Read and forget until the stream ends."""
        try:
            while True:
                self._kept = b""
                self._more()
        except EOFError:
            return

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _more(self) -> None:
        self._arm()
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise EOFError
        self.bytes_in += len(data)
        self._kept += data

    def _arm(self) -> None:
        left_s = (self._until_ns - self._clock.now_ns()) / NS_PER_S
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)


class Speaker(Protocol):
    """A protocol, as far as probes need it. Each method is a `talk` of `Wire.exchange`."""

    name: str

    def greet(self, wire: Wire) -> None:
        """The shortest exchange on a fresh connection."""

    def begin(self, wire: Wire) -> None:
        """Start a session that stays open."""

    def again(self, wire: Wire) -> None:
        """One more exchange in an open session."""

    def part(self, wire: Wire) -> None:
        """Ask the peer to close, without waiting for it."""

    def pull(self, wire: Wire, count: int) -> None:
        """In an open session: make the peer send at least ``count`` bytes, where it can be made to."""

    def push(self, wire: Wire, count: int) -> None:
        """In an open session: send at least ``count`` bytes and get the answer."""


class Http:
    """HTTP/1.1: GET of one path; any complete response is an answer, whatever its status.

    Args:
        host: For the Host header.
        path: What to get.
    """

    name = "http"

    def __init__(self, host: str, path: str) -> None:
        self._head = f"GET {path or '/'} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: finchaos-probe\r\n"
        self.response_bytes = 0

    def greet(self, wire: Wire) -> None:
        """One GET."""
        before = wire.bytes_in
        wire.send(self._request())
        self._response(wire)
        self.response_bytes = wire.bytes_in - before

    def begin(self, wire: Wire) -> None:
        """One GET on a connection that is kept."""
        self.greet(wire)

    def again(self, wire: Wire) -> None:
        """One more GET."""
        self.greet(wire)

    def part(self, wire: Wire) -> None:
        """A GET after which the server closes."""
        wire.send(self._request("Connection: close\r\n"))
        self._response(wire)

    def pull(self, wire: Wire, count: int) -> None:
        """As many pipelined GETs as it takes."""
        requests = min(MOST_REQUESTS, max(1, -(-count // max(1, self.response_bytes))))
        wire.send(self._request() * requests)
        for _ in range(requests):
            self._response(wire)

    def push(self, wire: Wire, count: int) -> None:
        """As many pipelined GETs with a long header as it takes."""
        request = self._request(f"X-Finchaos-Padding: {'x' * min(count, PADDING_BYTES)}\r\n")
        requests = min(MOST_REQUESTS, max(1, -(-count // len(request))))
        wire.send(request * requests)
        for _ in range(requests):
            self._response(wire)

    def _request(self, more: str = "") -> bytes:
        return f"{self._head}{more}\r\n".encode()

    def _response(self, wire: Wire) -> None:
        lines = wire.until(HEAD_END).decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1."):
            raise Garbled(f"no HTTP response: {lines[0][:60]!r}")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        status = lines[0].split(" ")[1] if " " in lines[0] else ""
        if status in ("204", "304"):
            return
        if fields.get("transfer-encoding", "").lower() == "chunked":
            while (size := int(wire.until(b"\r\n").split(b";")[0], 16)) > 0:
                wire.skip(size + 2)
            wire.until(b"\r\n")
        elif fields.get("content-length", "").isdecimal():
            wire.skip(int(fields["content-length"]))
        else:
            wire.to_end()


class Postgres:
    """PostgreSQL's protocol 3, hand-written as far as probes need it; sessions need trust authentication.

    Args:
        url: ``postgresql://user@host:port/database``; only user and database are read.
    """

    name = "postgres"

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._user = unquote(parts.username or "postgres")
        self._database = unquote(parts.path.lstrip("/")) or self._user

    def greet(self, wire: Wire) -> None:
        """SSLRequest, answered with one byte."""
        wire.send(SSL_REQUEST)
        if (answer := wire.exactly(1)) not in (b"N", b"S"):
            raise Garbled(f"SSLRequest answered with {answer!r}")

    def begin(self, wire: Wire) -> None:
        """Start a session and run ``select 1``."""
        words = b"".join(word.encode() + b"\0" for word in ("user", self._user, "database", self._database)) + b"\0"
        wire.send(struct.pack("!ii", 8 + len(words), PROTOCOL_3) + words)
        self._until_ready(wire)
        self.again(wire)

    def again(self, wire: Wire) -> None:
        """``select 1``."""
        self._query(wire, "select 1")

    def part(self, wire: Wire) -> None:
        """Terminate."""
        wire.send(struct.pack("!ci", b"X", 4))

    def pull(self, wire: Wire, count: int) -> None:
        """A row with one long value."""
        self._query(wire, f"select repeat('x', {max(1, count)})")

    def push(self, wire: Wire, count: int) -> None:
        """A query with a long comment."""
        self._query(wire, f"select 1 /* {'x' * count} */")

    def _query(self, wire: Wire, text: str) -> None:
        data = text.encode() + b"\0"
        wire.send(struct.pack("!ci", b"Q", 4 + len(data)) + data)
        self._until_ready(wire)

    def _until_ready(self, wire: Wire) -> None:
        while True:
            kind, length = struct.unpack("!ci", wire.exactly(5))
            if kind == b"R":
                (method,) = struct.unpack("!i", wire.exactly(4))
                wire.skip(length - 8)
                if method != 0:
                    raise Garbled("it wants a password, and probes have none")
            elif kind == b"E":
                raise Garbled(_error(wire.exactly(length - 4)))
            else:
                wire.skip(length - 4)
            if kind == b"Z":
                return


def _error(body: bytes) -> str:
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return fields.get(b"M", "an error without a message")


def connect(address: str, within_s: float, clock: Clock) -> Wire | Exchange:
    """A connection to ``host:port``, or how the attempt ended."""
    host, _, port = address.rpartition(":")
    start_ns = clock.now_ns()
    how, detail = How.REFUSED, ""
    try:
        connected = socket.create_connection((host.strip("[]"), int(port)), timeout=within_s)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(connected, clock)
    except ConnectionRefusedError:
        pass
    except TimeoutError:
        how = How.SILENT
    except ConnectionError as error:
        how, detail = How.RESET, str(error.strerror or error)
    except OSError as error:
        how, detail = How.ENDED, str(error.strerror or error)
    return Exchange(how, clock.now_ns() - start_ns, detail=detail)
