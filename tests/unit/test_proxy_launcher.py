"""Which server is used is decided by the environment variables, and by nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.proxy.client import ProxyError, ToxiproxyClient
from pytest_finchaos.proxy.launcher import find_server


def binary(folder: Path, name: str = "toxiproxy-server", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_without_anything_the_built_in_server_is_started(tmp_path: Path) -> None:
    choice = find_server({"PATH": str(tmp_path)})

    assert choice.kind == "built-in"
    assert choice.argv("127.0.0.1", 5, "9") == [
        sys.executable,
        *("-m", "pytest_finchaos.proxy.server", "--host", "127.0.0.1", "--port", "5", "--seed", "9"),
    ]


def test_a_real_server_on_the_path_is_preferred(tmp_path: Path) -> None:
    path = binary(tmp_path)

    choice = find_server({"PATH": str(tmp_path)})

    assert choice.argv("127.0.0.1", 5, "9") == [str(path), "-host", "127.0.0.1", "-port", "5"]


def test_a_named_binary_comes_before_the_path(tmp_path: Path) -> None:
    binary(tmp_path)
    named = binary(tmp_path, "server")

    assert find_server({"PATH": str(tmp_path), "FINCHAOS_TOXIPROXY_SERVER": str(named)}).binary == str(named)


def test_a_url_comes_before_everything_and_starts_nothing(tmp_path: Path) -> None:
    binary(tmp_path)

    choice = find_server({"PATH": str(tmp_path), "TOXIPROXY_URL": "http://127.0.0.1:8474/"})

    assert (choice.kind, choice.url) == ("attached", "http://127.0.0.1:8474")
    with pytest.raises(UserError, match="not started"):
        choice.argv("127.0.0.1", 5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path, "does not exist"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: (path.write_text(""), path.chmod(0o644)), "is not executable"),
    ],
)
def test_a_named_binary_that_cannot_run_is_an_error(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    make(tmp_path / "named")

    with pytest.raises(UserError, match=said):
        find_server({"PATH": "", "FINCHAOS_TOXIPROXY_SERVER": str(tmp_path / "named")})


@pytest.mark.parametrize("url", ["127.0.0.1:8474", "https://127.0.0.1", "http://", "http://h:99999", "http://h/api"])
def test_a_malformed_url_is_an_error_with_the_right_form(url: str) -> None:
    with pytest.raises(UserError, match="http://HOST:PORT"):
        find_server({"TOXIPROXY_URL": url})


def test_an_unreachable_server_is_told_with_a_cure_and_without_a_traceback() -> None:
    client = ToxiproxyClient("http://127.0.0.1:9")

    with pytest.raises(
        ProxyError, match=r"(?s)http://127.0.0.1:9/version: not reachable.*next: start a Toxiproxy"
    ) as raised:
        client.version()
    assert raised.value.status == 0


def test_two_clients_keep_their_own_servers() -> None:
    first, second = ToxiproxyClient("http://127.0.0.1:9"), ToxiproxyClient("http://127.0.0.1:10")

    for client in (first, second):
        with pytest.raises(ProxyError, match=f"Toxiproxy at {client.url}/version"):
            client.version()
