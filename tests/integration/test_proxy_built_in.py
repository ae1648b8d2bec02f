"""What only the built-in server does: half-close, reset of old connections, draws by seed, refusals, bounded memory."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import psutil
import pytest

from pytest_finchaos.proxy.client import ProxyError, ToxiproxyClient
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.proxies import Line, accepting, exactly, line_of, round_trip_ms, toxiproxy


@pytest.fixture(scope="module")
def ours() -> Iterator[ToxiproxyClient]:
    with toxiproxy() as client:
        yield client


@pytest.fixture
def our_line(ours: ToxiproxyClient) -> Iterator[Line]:
    with line_of(ours) as made:
        yield made


def test_ours_keeps_a_half_closed_connection_open(our_line: Line) -> None:
    with our_line.connect() as connected:
        connected.sendall(b"last words")
        connected.shutdown(socket.SHUT_WR)
        assert exactly(connected, 10) == b"last words"
        assert connected.recv(10) == b""


def test_ours_resets_a_connection_from_before(our_line: Line) -> None:
    with our_line.connect() as connected:
        round_trip_ms(connected)
        our_line.add("reset_peer", {"timeout": 0})
        connected.sendall(b"ping")
        with pytest.raises(ConnectionResetError):
            connected.recv(10)


def test_ours_leaves_connections_alone_at_toxicity_zero(our_line: Line) -> None:
    our_line.add("reset_peer", {"timeout": 0}, toxicity=0.0)
    for _ in range(10):
        with our_line.connect() as connected:
            round_trip_ms(connected)
            connected.shutdown(socket.SHUT_WR)
            assert connected.recv(10) == b""


def outcomes(seed: str, count: int = 24) -> list[bool]:
    with toxiproxy(seed=seed) as server, line_of(server) as line:
        line.add("limit_data", {"bytes": 0}, toxicity=0.5)
        found = []
        for _ in range(count):
            with line.connect() as connected:
                connected.sendall(b"ping")
                found.append(connected.recv(10) == b"")
        return found


def test_ours_draws_the_same_connections_for_the_same_seed() -> None:
    first = outcomes("one")

    assert outcomes("one") == first
    assert outcomes("two") != first


def test_ours_keeps_its_draws_when_an_update_changes_nothing(our_line: Line) -> None:
    our_line.add("latency", {"latency": 40}, toxicity=0.5)
    sockets = [our_line.connect() for _ in range(12)]
    before = [round_trip_ms(connected) >= 39 for connected in sockets]
    our_line.server.update_toxic("line", "latency", toxicity=0.5)

    after = [round_trip_ms(connected) for connected in sockets]

    for each in sockets:
        each.close()
    assert [took_ms >= 39 for took_ms, touched in zip(after, before, strict=True) if touched] == [True] * sum(before)


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        ("slicer", {}, "slicer.average_size must lie between 1"),
        ("slicer", {"average_size": 5, "size_variation": 6}, "size_variation must not exceed average_size 5, got 6"),
        ("bandwidth", {"rate": -1}, "bandwidth.rate must lie between 0"),
        ("latency", {"latency": -5}, "latency.latency must lie between 0"),
        ("latency", {"jitter": 10**18}, "latency.jitter must lie between 0"),
        ("latency", {"latncy": 5}, "did you mean 'latency'"),
    ],
)
def test_ours_refuses_attributes_that_crash_the_original(
    our_line: Line, kind: str, attributes: dict[str, int], said: str
) -> None:
    with pytest.raises(ProxyError, match=said) as raised:
        our_line.add(kind, attributes)

    assert raised.value.status == 400


def memory_kb(server: ToxiproxyClient) -> int:
    """Resident memory of whoever listens at the server's port."""
    port = int(server.url.rpartition(":")[2])
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(each.laddr.port == port and each.status == "LISTEN" for each in process.net_connections("tcp")):
                return int(process.memory_info().rss // 1024)
    raise AssertionError("nobody listens")


@pytest.mark.parametrize("kind", ["", "latency", "bandwidth", "slicer"])
def test_ours_does_not_grow_before_a_reader_that_does_not_read(ours: ToxiproxyClient, kind: str) -> None:
    attributes = {"latency": {"latency": 20}, "bandwidth": {"rate": 10**6}, "slicer": {"average_size": 4096}}
    stop = threading.Event()

    def pour(connected: socket.socket) -> None:
        while not stop.is_set():
            connected.sendall(b"x" * 65536)

    with accepting(pour) as upstream:
        line = Line(ours, upstream)
        if kind:
            line.add(kind, attributes[kind])
        before_kb = memory_kb(ours)
        with line.connect() as connected:
            exactly(connected, 1_000_000)

            seen_kb = [0]

            def settled() -> bool | Not:
                seen_kb.append(memory_kb(ours))
                grown_kb = seen_kb[-1] - seen_kb[-2]
                return True if grown_kb < 64 else Not(f"still growing by {grown_kb} kB in 0.2 s")

            wait_for(settled, what="the proxy to stop reading", within_s=10, every_s=0.2)
            assert memory_kb(ours) - before_kb < 64_000
        stop.set()
        ours.delete("line")
