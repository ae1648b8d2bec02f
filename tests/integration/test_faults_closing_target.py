"""A target that closes after each answer (HTTP/1.0): no client pools connections to it, faults are proven on new ones."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_finchaos import faults
from pytest_finchaos.faults.injector import arm
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.client import ToxiproxyClient
from tests.systems.proxies import HOST, Place, edge_on, place, toxiproxy

KINDS: dict[str, Callable[[Edge], faults.Fault]] = {
    "latency": lambda edge: faults.Latency(edge, latency_ms=80),
    "timeout": faults.Timeout,
    "reset": faults.ResetPeer,
    "down": faults.Down,
}


class Closing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer((HOST, 0), Closing)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"{HOST}:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def server() -> Iterator[ToxiproxyClient]:
    with toxiproxy() as client:
        yield client


@contextmanager
def reads(address: str) -> Iterator[None]:
    """Reads, each on a connection of its own, until the block ends."""
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.02):
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(address, timeout=1)
                connection.request("GET", "/")
                connection.getresponse().read()
                connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    yield
    over.set()
    thread.join(10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_acts_and_goes_without_a_pool(kind: str, server: ToxiproxyClient, address: str, tmp_path: Path) -> None:
    edge, here = edge_on(server, address), place(tmp_path)
    with reads(edge.listen):
        armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
        seen = armed.observe(3.0)
        armed.disarm()
        gone = armed.prove_gone(5.0)
    assert seen.seen is True, seen.evidence
    assert gone.seen is False, gone.evidence
    assert not any("pooled" in line for line in seen.evidence)


@pytest.mark.parametrize("kind", KINDS)
def test_without_traffic_it_still_did_not_act(kind: str, server: ToxiproxyClient, address: str, tmp_path: Path) -> None:
    edge = edge_on(server, address)
    here: Place = place(tmp_path)
    armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
    seen = armed.observe(0.5)
    armed.disarm()
    armed.prove_gone(5.0)
    assert seen.seen is False
    assert armed.result().acted is False


def test_one_that_somebody_removed_did_not_act(server: ToxiproxyClient, address: str, tmp_path: Path) -> None:
    edge, here = edge_on(server, address), place(tmp_path)
    with reads(edge.listen):
        armed = arm(faults.Latency(edge, latency_ms=80), environment=here, injection_id="1-x")
        for toxic in server.proxy(edge.proxy).toxics:
            server.remove_toxic(edge.proxy, toxic.name)
        seen = armed.observe(1.0)
        armed.disarm()
    assert seen.seen is False, seen.evidence
