"""Builds, fingerprints, placeholders, ports: what an environment is made of."""

from __future__ import annotations

import importlib.util
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos.environments import builds, fingerprint, ports, postgres, proxies
from pytest_finchaos.environments.placeholders import fill
from pytest_finchaos.environments.ports import Ports, is_free
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EdgeSpec, EnvironmentSpec, ReadySpec
from pytest_finchaos.proxy.launcher import ServerChoice

SPEC = ComponentSpec(name="api", command=("{python}", "api.py", "--port", "{port}"), variables={"MODE": "plain"})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINCHAOS_CACHE", str(tmp_path / "cache"))


def source(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "inner").mkdir(parents=True)
    (folder / "main.py").write_text("print(1)\n")
    (folder / "inner" / "more.py").write_text("x = 1\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "main.cpython-311.pyc").write_bytes(b"\0")
    return folder


def test_a_build_is_a_read_only_copy_under_its_digest(tmp_path: Path) -> None:
    build = builds.prepare([source(tmp_path)])
    assert build.folder is not None
    assert build.folder.name == build.digest
    assert (build.folder / "app" / "inner" / "more.py").read_text() == "x = 1\n"
    assert not (build.folder / "app" / "__pycache__").exists()
    assert (build.folder / "app" / "main.py").stat().st_mode & 0o222 == 0


def test_equal_content_is_one_build_and_other_content_another(tmp_path: Path) -> None:
    folder = source(tmp_path)
    first = builds.prepare([folder])
    assert builds.prepare([folder]) == first
    (folder / "main.py").write_text("print(2)\n")
    assert builds.prepare([folder]).digest != first.digest


def test_a_copy_that_was_changed_is_noticed_and_made_again(tmp_path: Path) -> None:
    folder = source(tmp_path)
    build = builds.prepare([folder])
    assert build.folder is not None
    changed = build.folder / "app" / "main.py"
    changed.chmod(0o644)
    changed.write_text("print('tampered')\n")
    assert not builds.intact(build.folder, build.digest)
    assert builds.prepare([folder]) == build
    assert builds.intact(build.folder, build.digest)


def test_a_missing_build_path_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        builds.prepare([tmp_path / "nothing"])


def test_links_within_a_build_stay_links_and_others_must_not_lead_out(tmp_path: Path) -> None:
    folder = source(tmp_path)
    (folder / "link.py").symlink_to("main.py")
    (folder / "inner-link").symlink_to("inner", target_is_directory=True)
    build = builds.prepare([folder])
    assert build.folder is not None
    assert (build.folder / "app" / "link.py").readlink() == Path("main.py")
    assert (build.folder / "app" / "inner-link" / "more.py").read_text() == "x = 1\n"
    (folder / "out").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UserError, match="leads out of the build"):
        builds.prepare([folder])
    (folder / "out").unlink()
    (folder / "broken").symlink_to("nowhere")
    with pytest.raises(UserError, match="nowhere"):
        builds.prepare([folder])


def test_two_files_of_one_name_and_what_is_no_file_are_told(tmp_path: Path) -> None:
    folder, other = source(tmp_path), tmp_path / "other" / "app"
    other.mkdir(parents=True)
    (other / "main.py").write_text("print(3)\n")
    with pytest.raises(UserError, match=r"two files would be app/main\.py"):
        builds.prepare([folder, other])
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match="no file"):
        builds.prepare([folder])


def test_the_executable_bit_counts_and_other_bits_do_not(tmp_path: Path) -> None:
    folder = source(tmp_path)
    first = builds.digest_of([folder])
    (folder / "main.py").chmod(0o600)
    assert builds.digest_of([folder]) == first
    (folder / "main.py").chmod(0o755)
    assert builds.digest_of([folder]) != first


def digest(spec: ComponentSpec, build: str = "b") -> str:
    return fingerprint.component_digest(spec, build=build, executable="e")


def test_everything_declared_counts_in_the_fingerprint() -> None:
    others = [
        replace(SPEC, command=("{python}", "api.py")),
        replace(SPEC, variables={"MODE": "other"}),
        replace(SPEC, settings={"fsync": "off"}),
        replace(SPEC, restart="always"),
        replace(SPEC, version="1.1"),
        replace(SPEC, database="other"),
        replace(SPEC, ready=ReadySpec(http="/ready")),
        replace(SPEC, ready=ReadySpec(fields={"pid": "{pid}"})),
    ]
    digests = {digest(SPEC), digest(SPEC, build="c"), *(digest(other) for other in others)}
    assert len(digests) == len(others) + 2
    built: dict[str, str] = {"build": "b", "executable": "e", "server": "s", "schema": "d"}
    for name in built:
        assert fingerprint.component_digest(SPEC, **built) != fingerprint.component_digest(SPEC, **{**built, name: "x"})
    assert digest(SPEC) == digest(replace(SPEC))


def test_a_secret_counts_and_is_never_told() -> None:
    for name, value in {"API_TOKEN": "hunter2", "DB": "postgresql://u:hunter2@h/d"}.items():
        assert "hunter2" not in fingerprint._shown(name, value)
        assert fingerprint._shown(name, value) == fingerprint._shown(name, value)
        assert fingerprint._shown(name, value) != fingerprint._shown(name, value + "3")
    assert fingerprint._shown("MODE", "plain") == "plain"


def test_a_file_that_is_gone_has_a_digest_that_no_file_has(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    gone = fingerprint.digest_of_file(tmp_path / "none")
    assert gone == fingerprint.UNREADABLE
    assert fingerprint.digest_of_file(tmp_path / "f") != gone
    assert fingerprint.digest_of_file(None) == ""
    assert fingerprint.interpreter() == fingerprint.interpreter()


def test_edges_and_the_kind_of_proxy_count_in_the_environments_fingerprint() -> None:
    spec = EnvironmentSpec("x", "processes", ("127.0.0.1",), {"api": SPEC})
    base = fingerprint.environment_digest(spec, {"api": "1"}, "real")
    edged = replace(spec, edges=(EdgeSpec("clients", "api"),))
    assert fingerprint.environment_digest(edged, {"api": "1"}, "real") != base
    assert fingerprint.environment_digest(spec, {"api": "1"}, "built-in") != base
    assert fingerprint.environment_digest(spec, {"api": "2"}, "real") != base
    assert fingerprint.environment_digest(replace(spec, name="y"), {"api": "1"}, "real") == base


def test_placeholders_are_filled_and_unknown_ones_told() -> None:
    places = {"port": "80", "edge.db": "127.0.0.1:5"}
    assert fill("--port={port} {edge.db} {{x}}", places, "here") == "--port=80 127.0.0.1:5 {x}"
    with pytest.raises(UserError, match="did you mean 'port'"):
        fill("{prot}", places, "here")


def test_claimed_ports_are_never_given_twice() -> None:
    first, second = Ports(), Ports()
    try:
        claimed = [first.claim() for _ in range(20)] + [second.claim() for _ in range(20)]
        assert len(set(claimed)) == 40
        assert all(20_000 <= port < 32_000 for port in claimed)
    finally:
        first.release()
        second.release()


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert not is_free(other.getsockname()[1])


def test_no_free_port_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    with pytest.raises(UserError, match="no free port between 20000 and 32000"):
        Ports().claim()


def test_a_named_postgresql_that_is_none_is_told_and_a_missing_one_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"no postgres in .*\n.*bin folder"):
        postgres.find_server({"FINCHAOS_PG_BIN": str(tmp_path)})
    for tool in ("postgres", "initdb"):
        (tmp_path / tool).write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    with pytest.raises(UserError, match="cannot be run"):
        postgres.find_server({"FINCHAOS_PG_BIN": str(tmp_path)})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r"no PostgreSQL on this machine(.|\n)*apt-get install postgresql"):
        postgres.find_server({"FINCHAOS_PG": "embedded"})


@pytest.mark.parametrize(
    ("url", "fine"), [("http://127.0.0.1:8474", True), ("http://localhost:8474", True), ("http://10.9.8.7:8474", False)]
)
def test_an_attached_toxiproxy_must_be_on_an_allowed_host(url: str, fine: bool) -> None:
    spec = EnvironmentSpec("x", "processes", ("127.0.0.1",), {"api": SPEC})
    choice = ServerChoice("attached", url=url)
    if fine:
        proxies.refuse_foreign_host(choice, spec)
    else:
        with pytest.raises(UserError, match="not among the allowed hosts"):
            proxies.refuse_foreign_host(choice, spec)
