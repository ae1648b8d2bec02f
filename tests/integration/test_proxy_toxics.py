"""What each toxic does to bytes: the same tests for the built-in server and for the real one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from pytest_finchaos.proxy.client import ToxiproxyClient
from pytest_finchaos.runtime.clock import NS_PER_MS, SystemClock
from tests.systems.proxies import HOST, Line, exactly, line_of, numbered, round_trip_ms, toxiproxy

BOTH = ["built-in", pytest.param("real", marks=pytest.mark.real_toxiproxy)]
CLOCK = SystemClock()


@pytest.fixture(scope="module", params=BOTH)
def shared(request: pytest.FixtureRequest) -> Iterator[ToxiproxyClient]:
    binary = request.getfixturevalue("real_toxiproxy_server") if request.param == "real" else ""
    with toxiproxy(binary) as client:
        yield client


@pytest.fixture
def line(shared: ToxiproxyClient) -> Iterator[Line]:
    with line_of(shared) as made:
        yield made


@pytest.mark.parametrize(("up_ms", "down_ms"), [(60, 0), (0, 60), (60, 60), (0, 0)])
def test_latency_delays_each_direction_by_its_own(line: Line, up_ms: int, down_ms: int) -> None:
    line.server.add_toxic("line", "up", "latency", "upstream", 1.0, {"latency": up_ms})
    line.server.add_toxic("line", "down", "latency", "downstream", 1.0, {"latency": down_ms})

    with line.connect() as connected:
        assert round_trip_ms(connected) >= up_ms + down_ms - 1


def test_two_latencies_add(line: Line) -> None:
    line.server.add_toxic("line", "one", "latency", "downstream", 1.0, {"latency": 50})
    line.server.add_toxic("line", "two", "latency", "downstream", 1.0, {"latency": 50})

    with line.connect() as connected:
        assert round_trip_ms(connected) >= 99


def test_latency_does_not_throttle_a_stream(line: Line) -> None:
    line.add("latency", {"latency": 100})
    data = numbered(500_000)

    with line.connect() as connected:
        sender = threading.Thread(target=connected.sendall, args=(data,))
        start_ns = CLOCK.now_ns()
        sender.start()
        assert exactly(connected, len(data)) == data
        sender.join(10)
        assert 99 <= (CLOCK.now_ns() - start_ns) / NS_PER_MS < 5000


def test_toxics_come_and_go_on_a_live_connection(line: Line) -> None:
    with line.connect() as connected:
        round_trip_ms(connected)
        line.add("latency", {"latency": 60})
        assert round_trip_ms(connected) >= 59
        line.server.update_toxic("line", "latency", attributes={"latency": 120})
        assert round_trip_ms(connected) >= 119
        line.remove("latency")
        assert min(round_trip_ms(connected) for _ in range(20)) < 59


def in_pieces(connected: socket.socket, data: bytes) -> None:
    for at in range(0, len(data), 1024):
        connected.sendall(data[at : at + 1024])


def test_no_byte_is_lost_or_reordered_while_toxics_come_and_go(line: Line) -> None:
    data = numbered(65_536)
    with line.connect() as connected:
        sender = threading.Thread(target=in_pieces, args=(connected, data))
        sender.start()
        for _ in range(20):
            line.add("latency", {"latency": 1000})
            line.remove("latency")
        assert exactly(connected, len(data)) == data
        sender.join(10)


def test_bandwidth_lets_bytes_through_at_its_rate(line: Line) -> None:
    line.add("bandwidth", {"rate": 1000})
    data = numbered(120_000)

    with line.connect() as connected:
        sender = threading.Thread(target=connected.sendall, args=(data,))
        start_ns = CLOCK.now_ns()
        sender.start()
        assert exactly(connected, len(data)) == data
        sender.join(10)
        assert (CLOCK.now_ns() - start_ns) / NS_PER_MS >= 0.8 * 480


def test_bandwidth_zero_holds_bytes_until_it_is_removed(line: Line) -> None:
    line.add("bandwidth", {"rate": 0})
    with line.connect() as connected:
        connected.sendall(b"held")
        connected.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connected.recv(10)
        line.remove("bandwidth")
        connected.settimeout(10)
        assert exactly(connected, 4) == b"held"


def test_timeout_drops_everything_and_closes_after_silence(line: Line) -> None:
    line.add("timeout", {"timeout": 150})
    with line.connect() as connected:
        start_ns = CLOCK.now_ns()
        connected.sendall(b"lost")
        assert connected.recv(10) == b""
        assert (CLOCK.now_ns() - start_ns) / NS_PER_MS >= 149


def test_removing_a_timeout_closes_the_connection(line: Line) -> None:
    with line.connect() as connected:
        round_trip_ms(connected)
        line.add("timeout", {"timeout": 0})
        connected.sendall(b"lost")
        connected.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connected.recv(10)
        line.remove("timeout")
        connected.settimeout(10)
        assert connected.recv(10) == b""


def test_removing_a_latency_before_a_timeout_does_not_hang(line: Line) -> None:
    line.add("latency", {"latency": 1000})
    line.add("timeout", {"timeout": 0})
    with line.connect() as connected:
        for _ in range(5):
            connected.sendall(b"lost")
        line.remove("latency")  # the client's deadline of two seconds is the assertion
    assert [toxic.kind for toxic in line.server.proxy("line").toxics] == ["timeout"]


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize("timeout_ms", [0, 100])
def test_reset_peer_resets_a_new_connection(line: Line, stream: str, timeout_ms: int) -> None:
    line.add("reset_peer", {"timeout": timeout_ms}, stream)
    with line.connect() as connected:
        start_ns = CLOCK.now_ns()
        connected.sendall(b"ping")
        with pytest.raises(ConnectionResetError):
            connected.recv(10)
        assert (CLOCK.now_ns() - start_ns) / NS_PER_MS >= timeout_ms - 1


def test_reset_peer_ends_a_connection_from_before(line: Line) -> None:
    with line.connect() as connected:
        round_trip_ms(connected)
        line.add("reset_peer", {"timeout": 0})
        connected.sendall(b"ping")
        with contextlib.suppress(ConnectionResetError):
            assert connected.recv(10) == b""


def test_slow_close_delays_the_end_and_nothing_else(line: Line) -> None:
    line.add("slow_close", {"delay": 200})
    with line.connect() as connected:
        round_trip_ms(connected)
        connected.shutdown(socket.SHUT_WR)
        start_ns = CLOCK.now_ns()
        assert connected.recv(10) == b""
        assert (CLOCK.now_ns() - start_ns) / NS_PER_MS >= 199


def test_slicer_spreads_bytes_over_time_and_keeps_them(line: Line) -> None:
    line.add("slicer", {"average_size": 100, "size_variation": 20, "delay": 5000})
    data = numbered(1000)
    with line.connect() as connected:
        start_ns = CLOCK.now_ns()
        connected.sendall(data)
        assert exactly(connected, len(data)) == data
        assert (CLOCK.now_ns() - start_ns) / NS_PER_MS >= (4000 / 120 - 1) * 5 * 0.8


@pytest.mark.parametrize("chunks", [[b"x" * 50], [b"x" * 100], [b"x" * 150], [b"x" * 25] * 4, [b"x" * 90, b"y" * 20]])
def test_limit_data_passes_exactly_its_bytes_and_closes(line: Line, chunks: list[bytes]) -> None:
    line.add("limit_data", {"bytes": 100})
    total = b"".join(chunks)
    with line.connect() as connected:
        got = b""
        for chunk in chunks:
            connected.sendall(chunk)
            got += exactly(connected, min(len(chunk), 100 - len(got)))
        assert got == total[:100]
        if len(total) >= 100:
            assert connected.recv(10) == b""
        else:
            assert round_trip_ms(connected, b"z" * 10) >= 0


def test_toxicity_touches_a_share_of_the_connections(line: Line) -> None:
    line.add("limit_data", {"bytes": 0}, toxicity=0.5)
    ended = 0
    for _ in range(60):
        with line.connect() as connected:
            connected.sendall(b"ping")
            ended += connected.recv(10) == b""
    assert 10 <= ended <= 50  # beyond five deviations


def test_a_disabled_proxy_refuses_and_ends_what_it_had(line: Line) -> None:
    with line.connect() as connected:
        round_trip_ms(connected)
        line.server.set_enabled("line", enabled=False)
        assert connected.recv(10) == b""
    with pytest.raises(ConnectionRefusedError):
        line.connect()
    line.server.set_enabled("line", enabled=True)
    with line.connect() as connected:
        round_trip_ms(connected)


def test_a_dead_upstream_ends_the_client(shared: ToxiproxyClient) -> None:
    with socket.create_server((HOST, 0)) as found:
        dead = f"{HOST}:{found.getsockname()[1]}"
    line = Line(shared, dead)
    with line.connect() as connected:
        assert connected.recv(10) == b""
    shared.delete("line")
