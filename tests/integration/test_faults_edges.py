"""Faults on edges: proven to act, proven to be gone, and not believed when they touched nothing; on both servers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_finchaos import faults
from pytest_finchaos.faults.injector import arm
from pytest_finchaos.faults.sockdiag import connections, listens
from pytest_finchaos.faults.traffic import Sampler
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.client import ToxiproxyClient
from pytest_finchaos.proxy.undo import carry_out
from pytest_finchaos.runtime.clock import SystemClock
from pytest_finchaos.runtime.undo import UndoRecord
from tests.systems.proxies import (
    HOST,
    Place,
    accepting,
    echo,
    edge_on,
    free_port,
    http_target,
    place,
    toxiproxy,
    traffic,
)

BOTH = ["built-in", pytest.param("real", marks=pytest.mark.real_toxiproxy)]
ACT_S, GONE_S = 3.0, 5.0


@pytest.fixture(scope="module", params=BOTH)
def shared(request: pytest.FixtureRequest) -> Iterator[ToxiproxyClient]:
    binary = request.getfixturevalue("real_toxiproxy_server") if request.param == "real" else ""
    with toxiproxy(binary) as client:
        yield client


@pytest.fixture
def server(shared: ToxiproxyClient) -> Iterator[ToxiproxyClient]:
    yield shared
    for name in shared.proxies():
        shared.delete(name)


@pytest.fixture
def edge(server: ToxiproxyClient) -> Iterator[Edge]:
    with http_target() as address:
        yield edge_on(server, address)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


KINDS: dict[str, Callable[[Edge], faults.Fault]] = {
    "latency": lambda edge: faults.Latency(edge, latency_ms=80, jitter_ms=20),
    "latency-up": lambda edge: faults.Latency(edge, latency_ms=60, stream="upstream"),
    "latency-wide": lambda edge: faults.Latency(edge, latency_ms=40, jitter_ms=40),
    "bandwidth": lambda edge: faults.Bandwidth(edge, rate_kb_per_s=100),
    "bandwidth-up": lambda edge: faults.Bandwidth(edge, rate_kb_per_s=100, stream="upstream"),
    "timeout": faults.Timeout,
    "timeout-closing": lambda edge: faults.Timeout(edge, timeout_ms=100),
    "reset": faults.ResetPeer,
    "reset-late": lambda edge: faults.ResetPeer(edge, timeout_ms=50),
    "reset-share": lambda edge: faults.ResetPeer(edge, toxicity=0.3),
    "slow-close": lambda edge: faults.SlowClose(edge, delay_ms=150),
    "slicer": lambda edge: faults.Slicer(edge, average_size_bytes=100, delay_us=5000),
    "limit": lambda edge: faults.LimitData(edge, limit_bytes=1500),
    "down": faults.Down,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_under_traffic_acts_and_goes(server: ToxiproxyClient, edge: Edge, here: Place, kind: str) -> None:
    with traffic(edge.listen):
        armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
        pending = here.undo.pending()
        seen = armed.observe(ACT_S)
        armed.disarm()
        gone = armed.prove_gone(GONE_S)

    result = armed.result()
    assert seen.seen is True, seen.evidence
    assert gone.seen is False, gone.evidence
    assert (result.acted, result.gone) == (True, True), result.evidence
    assert result.bytes_crossed
    assert result.armed_at_ns is not None
    assert result.acted_at_ns is not None
    assert result.armed_at_ns <= result.acted_at_ns
    assert result.disarmed_at_ns is not None
    assert result.gone_at_ns is not None
    assert result.disarmed_at_ns <= result.gone_at_ns
    assert len(pending) == 1
    assert here.undo.pending() == ()
    state = server.proxy(edge.proxy)
    assert (state.enabled, state.toxics) == (True, ())


@pytest.mark.parametrize("kind", ["latency", "timeout", "reset", "down"])
def test_a_fault_on_an_idle_edge_did_not_act(edge: Edge, here: Place, kind: str) -> None:
    armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
    seen = armed.observe(0.5)
    armed.disarm()
    armed.prove_gone(GONE_S)

    assert seen.seen is False
    assert armed.result().acted is False
    assert any("no traffic: not one byte crossed shop→bank" in line for line in seen.evidence)


@pytest.mark.parametrize("kind", ["latency", "reset", "down"])
def test_a_fault_on_a_bypassed_proxy_did_not_act(edge: Edge, here: Place, kind: str) -> None:
    with traffic(edge.upstream):
        armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
        seen = armed.observe(0.5)
        armed.disarm()
        armed.prove_gone(GONE_S)

    assert seen.seen is False
    assert armed.result().acted is False


def test_traffic_that_comes_later_still_counts(edge: Edge, here: Place) -> None:
    armed = arm(faults.Latency(edge, 40), environment=here, injection_id="1-x")
    assert armed.observe(0.2).seen is False
    with traffic(edge.listen):
        assert armed.observe(ACT_S).seen is True
        armed.disarm()
    armed.prove_gone(GONE_S)

    assert armed.result().acted is True


@pytest.mark.parametrize("kind", ["latency", "timeout", "down"])
def test_a_fault_removed_behind_our_back_is_noticed_by_the_next_look(
    server: ToxiproxyClient, edge: Edge, here: Place, kind: str
) -> None:
    with traffic(edge.listen):
        armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
        server.reset()
        seen = armed.observe(ACT_S)
        armed.disarm()

    assert seen.seen is False
    assert any("removed by somebody else" in line for line in armed.result().evidence)


@pytest.mark.parametrize("kind", ["latency", "down"])
def test_a_fault_removed_between_observation_and_its_end_did_not_act(
    server: ToxiproxyClient, edge: Edge, here: Place, kind: str
) -> None:
    with traffic(edge.listen):
        armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
        assert armed.observe(ACT_S).seen is True
        server.reset()
        armed.disarm()

    assert armed.result().acted is False
    assert any("removed by somebody else" in line for line in armed.result().evidence)


@pytest.mark.parametrize(
    ("fault", "kind", "attributes"),
    [
        ("latency", "latency", {"latency": 200}),
        ("timeout", "timeout", {"timeout": 0}),
        ("reset", "reset_peer", {"timeout": 0}),
        ("limit", "limit_data", {"bytes": 100}),
    ],
)
def test_a_fault_that_stays_is_not_gone(
    server: ToxiproxyClient, edge: Edge, here: Place, fault: str, kind: str, attributes: dict[str, int]
) -> None:
    armed = arm(KINDS[fault](edge), environment=here, injection_id="1-x")
    armed.disarm()
    server.add_toxic(edge.proxy, "left-over", kind, "downstream", 1.0, attributes)

    gone = armed.prove_gone(0.5)

    assert gone.seen is True, gone.evidence
    assert armed.result().gone is False


def test_an_edge_that_stays_down_is_not_up(server: ToxiproxyClient, edge: Edge, here: Place) -> None:
    armed = arm(faults.Down(edge), environment=here, injection_id="1-x")
    armed.disarm()
    server.set_enabled(edge.proxy, enabled=False)

    assert armed.prove_gone(0.5).seen is True
    assert len(here.undo.pending()) == 1


def test_an_effect_that_no_probe_can_see_is_not_claimed(server: ToxiproxyClient, here: Place) -> None:
    with accepting(echo) as address, accepting(echo) as _:
        armed = arm(faults.Latency(edge_on(server, address, "tcp"), 80), environment=here, injection_id="1-x")
        seen = armed.observe(0.3)
        armed.disarm()
        gone = armed.prove_gone(0.3)

    assert any("probes speak http and postgres" in line for line in seen.evidence)
    assert gone.seen is None
    assert here.undo.pending() == ()


@pytest.mark.parametrize(("sources", "acted"), [(1, None), (12, True)])
def test_a_share_of_few_lasting_connections_may_have_touched_nobody(
    edge: Edge, here: Place, sources: int, acted: bool | None
) -> None:
    with ExitStack() as stack:
        for _ in range(sources):
            stack.enter_context(traffic(edge.listen))
        armed = arm(faults.Latency(edge, latency_ms=80, toxicity=0.5), environment=here, injection_id="1-x")
        armed.observe(ACT_S)
        armed.disarm()
        armed.prove_gone(GONE_S)

    result = armed.result()
    assert (result.acted, result.gone) == (acted, True), result.evidence
    assert any("the chance that none was is 50.0%" in line for line in result.evidence) is (acted is None)


def test_a_share_too_small_for_proof_is_left_open(edge: Edge, here: Place) -> None:
    with traffic(edge.listen):
        armed = arm(faults.ResetPeer(edge, toxicity=0.01), environment=here, injection_id="1-x")
        seen = armed.observe(0.5)
        armed.disarm()

    assert seen.seen is None
    assert any("probes would be needed" in line for line in seen.evidence)


def test_a_dead_target_leaves_the_effect_open(server: ToxiproxyClient, here: Place) -> None:
    armed = arm(faults.Latency(edge_on(server, f"{HOST}:{free_port()}"), 80), environment=here, injection_id="1-x")
    seen = armed.observe(0.3)
    armed.disarm()

    assert seen.seen is not True
    told = "before the fault the probe already got: "  # which of the two depends on who was faster
    assert any(f"{told}{how}" in line for line in seen.evidence for how in ("ended", "reset")), seen.evidence


def test_a_proxy_that_is_not_there_is_told_before_anything_is_written(edge: Edge, here: Place) -> None:
    wrong = Edge("e-1", "shop", "bank", "shop-bnk", edge.api_url, edge.listen, edge.upstream, "http")

    with pytest.raises(UserError, match=r"(?s)is not at .*did you mean 'shop-bank'"):
        arm(faults.Latency(wrong, 80), environment=here, injection_id="1-x")
    assert not here.undo.path.exists()


def test_an_edge_that_is_down_cannot_be_made_slow(server: ToxiproxyClient, edge: Edge, here: Place) -> None:
    server.set_enabled(edge.proxy, enabled=False)

    with pytest.raises(UserError, match="down already"):
        arm(faults.Latency(edge, 80), environment=here, injection_id="1-x")


@pytest.mark.parametrize("kind", ["latency", "down"])
def test_the_undo_record_alone_undoes_and_does_so_twice(
    server: ToxiproxyClient, edge: Edge, here: Place, kind: str
) -> None:
    armed = arm(KINDS[kind](edge), environment=here, injection_id="1-x")
    (record,) = here.undo.pending()

    carry_out(record)
    carry_out(record)

    assert (server.proxy(edge.proxy).enabled, server.proxy(edge.proxy).toxics) == (True, ())
    server.delete(edge.proxy)
    carry_out(record)
    armed.disarm()


def test_the_record_of_a_proxy_removes_it(server: ToxiproxyClient, edge: Edge) -> None:
    record = UndoRecord("r", "delete-proxy", {"url": server.url, "proxy": edge.proxy})

    carry_out(record)
    carry_out(record)

    assert server.proxies() == {}


class Spy(BaseHTTPRequestHandler):
    """A Toxiproxy that looks into the journal at the instant at which it is told to act, and then fails."""

    journal: Path
    found: list[str]
    edge: dict[str, object]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        self._answer(200, self.edge)

    def do_DELETE(self) -> None:
        self._answer(404, {"error": "toxic not found", "status": 404})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.found.append(self.journal.read_text())
        self._answer(500, {"error": "no", "status": 500})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.mark.parametrize("kind", ["latency", "down"])
def test_the_undo_is_on_disk_when_the_act_arrives_and_closed_when_the_act_failed(here: Place, kind: str) -> None:
    state = {"name": "a", "listen": f"{HOST}:{free_port()}", "upstream": f"{HOST}:1", "enabled": True, "toxics": []}
    found: list[str] = []
    spy = type("SpyHere", (Spy,), {"journal": here.undo.path, "found": found, "edge": state})
    server = ThreadingHTTPServer((HOST, 0), spy)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    edge = Edge(
        "e", "shop", "bank", "a", f"http://{HOST}:{server.server_port}", str(state["listen"]), f"{HOST}:1", "tcp"
    )

    with pytest.raises(UserError, match="status 500: no"):
        arm(KINDS[kind](edge), environment=here, injection_id="1-x")

    server.shutdown()
    server.server_close()
    thread.join(5)
    written = json.loads(found[0])
    assert written["kind"] == {"latency": "remove-toxic", "down": "enable-proxy"}[kind]
    assert written["arguments"]["proxy"] == "a"


def test_sockets_are_counted_by_the_kernel_and_probes_of_ours_left_out() -> None:
    with accepting(echo) as address:
        port = int(address.rpartition(":")[2])
        sampler = Sampler(Edge("e", "a", "b", "p", "http://x:1", address, address, "tcp"), SystemClock())
        sampler.start()
        with socket_to(address) as theirs, socket_to(address) as ours:
            sampler.exclude(ours.getsockname()[1])
            theirs.sendall(b"x" * 500)
            ours.sendall(b"y" * 900)
            assert len(theirs.recv(500)) == 500
            assert len(ours.recv(900)) == 900
            assert {each.peer_port for each in connections(port)} == {
                theirs.getsockname()[1],
                ours.getsockname()[1],
            }
            assert sampler.reading().bytes_crossed >= 500
            assert sampler.reading().connections == 1
            assert len(sampler.live()) == 1
        counted = sampler.reading().bytes_crossed
        sampler.mark()
        assert sampler.reading().bytes_crossed == 0
        sampler.stop()

    assert 1000 <= counted < 1400


def test_a_proxy_whose_sockets_are_not_here_is_not_checked() -> None:
    port = free_port()
    sampler = Sampler(Edge("e", "a", "b", "p", "http://x:1", f"{HOST}:{port}", "x:1", "tcp"), SystemClock())

    sampler.start()

    assert not listens(port)
    assert sampler.unable == "the proxy's sockets are not on this host"
    sampler.stop()


def socket_to(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)
