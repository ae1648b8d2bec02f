"""Toxiproxy servers as processes, targets and sources in threads: what tests of proxies and faults are made of."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Edge, Instance
from pytest_finchaos.proxy.client import ProxyError, ToxiproxyClient
from pytest_finchaos.proxy.launcher import ServerChoice
from pytest_finchaos.runtime.clock import NS_PER_MS, SystemClock
from pytest_finchaos.runtime.undo import UndoJournal
from pytest_finchaos.runtime.waiting import Not, wait_for

HOST = "127.0.0.1"
CLOCK = SystemClock()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as found:
        return int(found.getsockname()[1])


@contextlib.contextmanager
def toxiproxy(binary: str = "", seed: str = "7") -> Iterator[ToxiproxyClient]:
    """A server of its own: the real one when a binary is named, else the built-in one."""
    choice = ServerChoice("real", binary=binary) if binary else ServerChoice("built-in")
    port = free_port()
    process = subprocess.Popen(choice.argv(HOST, port, seed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = ToxiproxyClient(f"http://{HOST}:{port}")

    def answers() -> bool | Not:
        try:
            client.version()
        except UserError as error:
            return Not(error.what)
        return True

    try:
        wait_for(answers, what="the Toxiproxy server", within_s=20)
        yield client
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def accepting(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP server in threads, ``serve`` for each connection; yields ``host:port``."""
    listener = socket.create_server((HOST, 0))
    open_sockets: list[socket.socket] = []

    def one(connected: socket.socket) -> None:
        with contextlib.suppress(OSError), connected:
            serve(connected)

    def loop() -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = listener.accept()
                open_sockets.append(connected)
                threading.Thread(target=one, args=(connected,), daemon=True).start()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield f"{HOST}:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in open_sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        thread.join(5)


def echo(connected: socket.socket) -> None:
    """Send back what comes; FIN after FIN."""
    while data := connected.recv(65536):
        connected.sendall(data)
    connected.shutdown(socket.SHUT_WR)
    connected.recv(1)


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body = b'{"state": "well"}' + b" " * 2000

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, _client_address: object) -> None:
        pass


@contextlib.contextmanager
def http_target() -> Iterator[str]:
    """An HTTP/1.1 server in threads whose every page has 2 kB; yields ``host:port``."""
    server = _Server((HOST, 0), _Page)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield f"{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def traffic(address: str) -> Iterator[None]:
    """A source that asks ``address`` over one kept connection, fifty times a second, and connects again when cut."""
    stop = threading.Event()

    def loop() -> None:
        connection = _connection(address)
        while not stop.wait(0.02):
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = _connection(address)
        connection.close()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def _connection(address: str) -> http.client.HTTPConnection:
    host, _, port = address.rpartition(":")
    return http.client.HTTPConnection(host, int(port), timeout=0.5)


@dataclass
class Place:
    """The part of an environment that faults need, over real processes.

    Args:
        undo: Its journal.
        running: Component to the function that gives its instance now.
        members: Component to its pids.
    """

    undo: UndoJournal
    running: dict[str, Callable[[], Instance]] = field(default_factory=dict)
    members: dict[str, Sequence[int]] = field(default_factory=dict)

    def instance(self, name: str) -> Instance:
        return self.running[name]()

    def processes(self, name: str) -> Sequence[int]:
        return self.members.get(name, ())

    def database_url(self, component: str) -> str:
        return f"postgresql://nobody@{HOST}:1/{component}"


def place(folder: Path) -> Place:
    """A place with its journal in ``folder``."""
    return Place(UndoJournal(folder / "undo.jsonl"))


def edge_on(client: ToxiproxyClient, upstream: str, protocol: str = "http", name: str = "shop-bank") -> Edge:
    """An edge with a new proxy in front of ``upstream``."""
    state = client.create(name, f"{HOST}:0", upstream)
    return Edge("e-1", "shop", "bank", name, client.url, state.listen, upstream, protocol, "/")


class Line:
    """A proxy in front of an echo server."""

    def __init__(self, server: ToxiproxyClient, upstream: str) -> None:
        self.server = server
        self.listen = server.create("line", f"{HOST}:0", upstream).listen

    def add(self, kind: str, attributes: Mapping[str, int], stream: str = "downstream", toxicity: float = 1.0) -> None:
        self.server.add_toxic("line", kind, kind, stream, toxicity, attributes)

    def remove(self, kind: str) -> None:
        self.server.remove_toxic("line", kind)

    def connect(self) -> socket.socket:
        host, _, port = self.listen.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=10)


@contextlib.contextmanager
def line_of(server: ToxiproxyClient) -> Iterator[Line]:
    with accepting(echo) as upstream:
        try:
            yield Line(server, upstream)
        finally:
            with contextlib.suppress(ProxyError):
                server.delete("line")


def exactly(connected: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connected.recv(min(65536, count - len(data)))
        if not more:
            raise EOFError(f"ended after {len(data)} of {count} bytes")
        data += more
    return data


def round_trip_ms(connected: socket.socket, data: bytes = b"ping") -> float:
    start_ns = CLOCK.now_ns()
    connected.sendall(data)
    assert exactly(connected, len(data)) == data
    return (CLOCK.now_ns() - start_ns) / NS_PER_MS


def numbered(count: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in range(count))
