"""Builds, fingerprints, placeholders, ports: what an environment is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos.environments import builds, fingerprint
from pytest_finchaos.environments.planning import fill
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EdgeSpec, EnvironmentSpec

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


def digest(spec: ComponentSpec, build: str = "b") -> str:
    return fingerprint.component_digest(spec, build=build, server="")


def test_everything_declared_counts_in_the_fingerprint() -> None:
    others = [
        replace(SPEC, command=("{python}", "api.py")),
        replace(SPEC, variables={"MODE": "other"}),
        replace(SPEC, settings={"fsync": "off"}),
        replace(SPEC, restart="always"),
        replace(SPEC, version="1.1"),
    ]
    digests = {digest(SPEC), digest(SPEC, build="c"), *(digest(other) for other in others)}
    assert len(digests) == len(others) + 2
    assert digest(SPEC) == digest(replace(SPEC))


def test_edges_and_the_kind_of_proxy_count_in_the_environments_fingerprint() -> None:
    spec = EnvironmentSpec("x", "processes", ("127.0.0.1",), {"api": SPEC})
    base = fingerprint.environment_digest(spec, {"api": "1"}, "real")
    edged = replace(spec, edges=(EdgeSpec("clients", "api"),))
    assert fingerprint.environment_digest(edged, {"api": "1"}, "real") != base
    assert fingerprint.environment_digest(spec, {"api": "1"}, "built-in") != base
    assert fingerprint.environment_digest(spec, {"api": "2"}, "real") != base
    assert fingerprint.environment_digest(replace(spec, name="y"), {"api": "1"}, "real") == base


def test_placeholders_are_filled_and_unknown_ones_told() -> None:
    places, edges = {"port": "80"}, {"db": "127.0.0.1:5"}
    assert fill("--port={port} {edge.db} {{x}}", places, edges, "here") == "--port=80 127.0.0.1:5 {x}"
    with pytest.raises(UserError, match="did you mean 'port'"):
        fill("{prot}", places, edges, "here")


def test_claimed_ports_are_never_given_twice() -> None:
    first, second = Ports(), Ports()
    try:
        claimed = [first.claim() for _ in range(20)] + [second.claim() for _ in range(20)]
        assert len(set(claimed)) == 40
        assert all(20_000 <= port < 32_000 for port in claimed)
    finally:
        first.release()
        second.release()
