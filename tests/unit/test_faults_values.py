"""Faults are values: what they say of themselves, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_finchaos import faults
from pytest_finchaos.faults.probing import probes_for
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Component, Edge

EDGE = Edge("e-1", "shop", "bank", "shop-bank", "http://127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "http")
BANK = Component("e-1", "bank", "process", "always")
TOXICS: list[tuple[Any, dict[str, Any]]] = [
    (faults.Latency, {"latency_ms": 80}),
    (faults.Bandwidth, {"rate_kb_per_s": 10}),
    (faults.Timeout, {}),
    (faults.ResetPeer, {}),
    (faults.SlowClose, {"delay_ms": 5}),
    (faults.Slicer, {"average_size_bytes": 10}),
    (faults.LimitData, {"limit_bytes": 10}),
]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (faults.Latency(EDGE, latency_ms=80, jitter_ms=20), "latency 80±20 ms on shop→bank"),
        (faults.Latency(EDGE, 80, stream="upstream"), "latency 80 ms on shop→bank, requests"),
        (faults.Bandwidth(EDGE, 64), "bandwidth 64 kB/s on shop→bank"),
        (faults.ResetPeer(EDGE, toxicity=0.3), "connection reset on shop→bank, 30 % of connections"),
        (faults.Timeout(EDGE, 500), "timeout (no byte arrives, closing after 500 ms) on shop→bank"),
        (faults.SlowClose(EDGE, 100), "close delayed by 100 ms on shop→bank"),
        (faults.Slicer(EDGE, 10, 5, 100), "sliced into 10±5 bytes, 100 µs apart on shop→bank"),
        (faults.LimitData(EDGE, 10), "connection cut after 10 bytes on shop→bank"),
        (faults.Down(EDGE), "down: shop→bank refuses connections"),
        (faults.Kill(BANK), "kill -9 of bank"),
        (faults.Pause(BANK), "pause of bank"),
    ],
)
def test_a_fault_describes_itself_in_one_line(fault: faults.Fault, line: str) -> None:
    assert fault.describe() == line
    assert fault.target in line


@pytest.mark.parametrize(("kind", "fields"), TOXICS)
def test_every_toxic_takes_stream_and_toxicity(kind: Any, fields: dict[str, Any]) -> None:
    toxic = kind(EDGE, **fields, stream="upstream", toxicity=0.5)

    assert (toxic.stream, toxic.toxicity) == ("upstream", 0.5)
    assert kind(EDGE, **fields).stream == "downstream"


@pytest.mark.parametrize(("kind", "fields"), TOXICS)
@pytest.mark.parametrize("toxicity", [0, -1, 1.01, float("nan"), True, "all", None])
def test_a_toxicity_outside_its_bounds_is_refused(kind: Any, fields: dict[str, Any], toxicity: Any) -> None:
    with pytest.raises(UserError, match="toxicity must lie above 0"):
        kind(EDGE, **fields, toxicity=toxicity)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (faults.Latency, {"latency_ms": -1}, "latency_ms must lie between 0"),
        (faults.Latency, {"latency_ms": 0}, "disturbs nothing"),
        (faults.Latency, {"latency_ms": 1.5}, "must be a whole number"),
        (faults.Latency, {"latency_ms": True}, "must be a whole number"),
        (faults.Latency, {"latency_ms": 10**9}, "must lie between"),
        (faults.Latency, {"latency_ms": 5, "jitter_ms": -5}, "jitter_ms"),
        (faults.Bandwidth, {"rate_kb_per_s": 0}, "rate_kb_per_s"),
        (faults.Bandwidth, {"rate_kb_per_s": -5}, "rate_kb_per_s"),
        (faults.SlowClose, {"delay_ms": 0}, "delay_ms"),
        (faults.Slicer, {"average_size_bytes": 0}, "average_size_bytes"),
        (faults.Slicer, {"average_size_bytes": 4, "size_variation_bytes": 4}, "size_variation_bytes"),
        (faults.LimitData, {"limit_bytes": -1}, "limit_bytes"),
        (faults.Timeout, {"timeout_ms": -1}, "timeout_ms"),
        (faults.ResetPeer, {"timeout_ms": -1}, "timeout_ms"),
        (faults.Latency, {"latency_ms": 5, "stream": "downstrem"}, "did you mean 'downstream'"),
    ],
)
def test_a_value_that_crashes_or_does_nothing_is_refused(kind: Any, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        kind(EDGE, **fields)


@pytest.mark.parametrize("kind", [kind for kind, _ in TOXICS] + [faults.Down])
@pytest.mark.parametrize("wrong", [BANK, "shop→bank", None])
def test_a_toxic_on_something_else_than_an_edge_says_how_to_get_one(kind: Any, wrong: Any) -> None:
    fields = dict(TOXICS).get(kind, {})

    with pytest.raises(UserError, match=r"environment\.edge\(source, "):
        kind(wrong, **fields)


@pytest.mark.parametrize("kind", [faults.Kill, faults.Pause])
@pytest.mark.parametrize("wrong", [EDGE, "bank"])
def test_a_process_fault_on_something_else_says_how_to_get_a_component(kind: Any, wrong: Any) -> None:
    with pytest.raises(UserError, match=r"environment\.component\("):
        kind(wrong)


@pytest.mark.parametrize("toxicity", [0.07, 0.3, 0.5, 0.9, 0.999])
def test_so_many_probes_are_made_that_one_fault_in_a_million_escapes(toxicity: float) -> None:
    count = probes_for(toxicity)

    assert (1 - toxicity) ** count <= 1e-6 < (1 - toxicity) ** (count - 1)


def test_a_fault_on_every_connection_needs_one_probe() -> None:
    assert probes_for(1.0) == 1
