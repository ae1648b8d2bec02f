"""Whatever a client sends, the built-in server answers below 500 and goes on serving."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finchaos.proxy.client import ToxiproxyClient
from tests.systems.proxies import HOST, accepting, echo, toxiproxy
from tests.systems.toxic_bodies import JSON, TOXICS

PROXIES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.text(max_size=5), JSON),
        "listen": st.one_of(st.sampled_from(["127.0.0.1:0", "127.0.0.1:99999", "nowhere", "[::1]:0", ":"]), JSON),
        "upstream": st.one_of(st.sampled_from(["127.0.0.1:1", "x", "[::1]:2"]), JSON),
        "enabled": st.one_of(st.booleans(), JSON),
    },
)
BODIES = st.one_of(TOXICS, PROXIES, st.lists(PROXIES, max_size=2), JSON)
PATHS = st.sampled_from(
    [
        "/proxies",
        "/proxies/a",
        "/proxies/a/toxics",
        "/proxies/a/toxics/t",
        "/populate",
        "/reset",
        "/version",
        "/%ff/%00",
    ]
)
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"])


@pytest.fixture(scope="module")
def server() -> Iterator[ToxiproxyClient]:
    with toxiproxy() as client:
        yield client


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with accepting(echo) as address:
        yield address


def reset_to(server: ToxiproxyClient, upstream: str) -> str:
    for name in server.proxies():
        server.delete(name)
    listen = server.create("a", f"{HOST}:0", upstream).listen
    server.add_toxic("a", "t", "latency", "downstream", 1.0, {"latency": 0})
    return listen


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(method=METHODS, path=PATHS, body=BODIES, after=TOXICS)
def test_no_body_brings_a_server_error_or_a_hang(
    server: ToxiproxyClient, upstream: str, method: str, path: str, body: Any, after: dict[str, Any]
) -> None:
    listen = reset_to(server, upstream)
    host, _, port = listen.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connected:
        connected.sendall(b"ping")
        statuses = [send(server, method, path, body), send(server, "POST", "/proxies/a/toxics", after)]
        connected.sendall(b"ping")
        assert all(status < 500 for status in statuses), (method, path, body, after, statuses)
    assert server.version().startswith("2.")


def send(server: ToxiproxyClient, method: str, path: str, body: Any) -> int:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body), {"User-Agent": "fuzz"})
        response = connection.getresponse()
        response.read()
        return response.status


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300))
def test_no_bytes_on_the_api_port_stop_it(server: ToxiproxyClient, raw: bytes) -> None:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with contextlib.suppress(ConnectionError), socket.create_connection((host, int(port)), timeout=5) as connected:
        connected.sendall(raw + b"\r\n\r\n")
        connected.shutdown(socket.SHUT_WR)
        while connected.recv(4096):
            pass
    assert server.version().startswith("2.")
