"""The HTTP API, version 2: the same tests for the built-in server and for the real one."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_finchaos.proxy.client import ProxyError, ToxiproxyClient
from tests.systems.proxies import HOST, accepting, echo, toxiproxy

BOTH = ["built-in", pytest.param("real", marks=pytest.mark.real_toxiproxy)]


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
def upstream() -> Iterator[str]:
    with accepting(echo) as address:
        yield address


def call(
    server: ToxiproxyClient, method: str, path: str, body: Any = None, agent: str = "test"
) -> tuple[int, Any, str]:
    """Status, body (JSON where it is), content type."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    content = body if isinstance(body, str | bytes) or body is None else json.dumps(body)
    connection.request(method, path, content, {"User-Agent": agent})
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    try:
        plain = json.loads(raw)
    except ValueError:
        plain = raw.decode()
    return response.status, plain, response.getheader("Content-Type", "")


def test_a_proxy_is_made_shown_changed_and_removed(server: ToxiproxyClient, upstream: str) -> None:
    status, made, kind = call(server, "POST", "/proxies", {"name": "a", "listen": "localhost:0", "upstream": upstream})

    assert (status, kind.split(";")[0]) == (201, "application/json")
    assert made["enabled"] is True
    assert made["toxics"] == []
    assert made["listen"].startswith("127.0.0.1:")
    assert not made["listen"].endswith(":0")
    assert call(server, "GET", "/proxies/a")[1]["upstream"] == upstream
    assert call(server, "POST", "/proxies/a", {"enabled": False})[1]["enabled"] is False
    assert call(server, "PATCH", "/proxies/a", {"enabled": True})[1]["listen"] == made["listen"]
    assert list(call(server, "GET", "/proxies")[1]) == ["a"]
    assert call(server, "DELETE", "/proxies/a")[0] == 204
    assert call(server, "GET", "/proxies/a")[0] == 404


def test_a_toxic_is_added_with_defaults_merged_and_removed(server: ToxiproxyClient, upstream: str) -> None:
    server.create("a", f"{HOST}:0", upstream)

    status, made, _ = call(server, "POST", "/proxies/a/toxics", {"type": "latency", "attributes": {"latency": 5}})

    assert status == 200
    assert made == {
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1,
        "attributes": {"latency": 5, "jitter": 0},
    }
    for method in ("POST", "PATCH"):
        path = "/proxies/a/toxics/latency_downstream"
        changed = {"attributes": {"jitter": 2}, "toxicity": 0.5, "stream": "upstream", "type": "noop"}
        status, made, _ = call(server, method, path, changed)
        assert (status, made["toxicity"], made["stream"], made["type"]) == (200, 0.5, "downstream", "latency")
        assert made["attributes"] == {"latency": 5, "jitter": 2}
    assert [toxic["name"] for toxic in call(server, "GET", "/proxies/a/toxics")[1]] == ["latency_downstream"]
    assert call(server, "GET", "/proxies/a")[1]["toxics"][0]["toxicity"] == 0.5
    assert call(server, "DELETE", "/proxies/a/toxics/latency_downstream")[0] == 204
    assert call(server, "GET", "/proxies/a/toxics")[1] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/proxies", "{", 400, "bad request body: "),
        ("POST", "/proxies", {"upstream": "x:1"}, 400, "missing required field: name"),
        ("POST", "/proxies", {"name": "b"}, 400, "missing required field: upstream"),
        ("POST", "/proxies", {"name": "a", "upstream": "x:1"}, 409, "proxy already exists"),
        ("POST", "/proxies", {"name": "b", "listen": "TAKEN", "upstream": "x:1"}, 500, "address already in use"),
        ("GET", "/proxies/nobody", None, 404, "proxy not found"),
        ("DELETE", "/proxies/nobody", None, 404, "proxy not found"),
        ("PATCH", "/proxies/nobody", {}, 404, "proxy not found"),
        ("GET", "/proxies/nobody/toxics", None, 404, "proxy not found"),
        ("POST", "/proxies/nobody/toxics", {"type": "noop"}, 404, "proxy not found"),
        ("POST", "/proxies/a/toxics", {"type": "latencyy"}, 400, "invalid toxic type"),
        ("POST", "/proxies/a/toxics", {"type": "noop", "stream": "side"}, 400, "stream was invalid, can be either"),
        ("POST", "/proxies/a/toxics", "nonsense", 400, "bad request body: "),
        ("POST", "/proxies/a/toxics", {"type": "noop", "name": "here"}, 409, "toxic already exists"),
        ("GET", "/proxies/a/toxics/nobody", None, 404, "toxic not found"),
        ("DELETE", "/proxies/a/toxics/nobody", None, 404, "toxic not found"),
        ("POST", "/populate", [{"name": "c", "upstream": "x:1"}, {"upstream": "x:1"}], 400, "name at proxy 2"),
    ],
)
def test_a_refusal_has_its_status_and_says_why(
    server: ToxiproxyClient, upstream: str, method: str, path: str, body: Any, status: int, said: str
) -> None:
    taken = server.create("a", f"{HOST}:0", upstream).listen
    server.add_toxic("a", "here", "noop", "downstream", 1.0, {})
    if isinstance(body, dict) and body.get("listen") == "TAKEN":
        body = {**body, "listen": taken}

    got, plain, _ = call(server, method, path, body)

    assert (got, plain["status"]) == (status, status)
    assert said in plain["error"]


def test_browsers_are_kept_out(server: ToxiproxyClient) -> None:
    status, text, _ = call(server, "GET", "/proxies", agent="Mozilla/5.0 (X11)")

    assert (status, text.strip()) == (403, "User agent not allowed")


def test_wrong_methods_and_unknown_paths_are_told_apart(server: ToxiproxyClient) -> None:
    assert call(server, "PUT", "/proxies")[0] == 405
    assert call(server, "GET", "/populate")[0] == 405
    assert call(server, "GET", "/nothing/here")[0] == 404


def test_populate_creates_keeps_and_replaces(server: ToxiproxyClient, upstream: str) -> None:
    listen = server.create("kept", f"{HOST}:0", upstream).listen
    server.add_toxic("kept", "t", "noop", "downstream", 1.0, {})
    server.create("moved", f"{HOST}:0", upstream)
    server.add_toxic("moved", "t", "noop", "downstream", 1.0, {})
    wanted = [
        {"name": "kept", "listen": listen, "upstream": upstream},
        {"name": "moved", "listen": f"{HOST}:0", "upstream": "127.0.0.1:9"},
        {"name": "new", "listen": f"{HOST}:0", "upstream": upstream, "enabled": False},
    ]

    status, plain, _ = call(server, "POST", "/populate", wanted)

    assert (status, [proxy["name"] for proxy in plain["proxies"]]) == (201, ["kept", "moved", "new"])
    state = server.proxies()
    assert [len(state[name].toxics) for name in ("kept", "moved", "new")] == [1, 0, 0]
    assert state["moved"].upstream == "127.0.0.1:9"
    assert not state["new"].enabled


def test_reset_enables_every_proxy_and_removes_every_toxic(server: ToxiproxyClient, upstream: str) -> None:
    server.create("a", f"{HOST}:0", upstream)
    server.add_toxic("a", "t", "latency", "upstream", 1.0, {"latency": 1})
    server.set_enabled("a", enabled=False)

    server.reset()

    assert server.proxy("a").enabled
    assert server.proxy("a").toxics == ()


def test_a_server_error_is_raised_with_the_servers_words(server: ToxiproxyClient, upstream: str) -> None:
    taken = server.create("a", f"{HOST}:0", upstream).listen

    with pytest.raises(ProxyError, match=r"status 500: listen tcp .*address already in use") as raised:
        server.create("b", taken, upstream)

    assert raised.value.status == 500
    assert raised.value.url.endswith("/proxies")


def test_names_with_slashes_and_blanks_are_quoted(server: ToxiproxyClient, upstream: str) -> None:
    server.create("a b", f"{HOST}:0", upstream)
    server.add_toxic("a b", "t c", "latency", "downstream", 1.0, {"latency": 3})

    assert server.proxy("a b").toxics[0].name == "t c"
    server.remove_toxic("a b", "t c")
    assert server.proxy("a b").toxics == ()


def test_something_else_at_the_url_is_told() -> None:
    with (
        accepting(lambda connected: connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as address,
        pytest.raises(ProxyError, match="something else answers"),
    ):
        ToxiproxyClient(f"http://{address}").proxies()


def test_a_silent_server_runs_into_the_deadline() -> None:
    with socket.create_server((HOST, 0)) as silent:
        client = ToxiproxyClient(f"http://{HOST}:{silent.getsockname()[1]}", timeout_s=0.2)
        with pytest.raises(ProxyError, match=r"no answer within 0.2 s"):
            client.version()
