"""`finchaos doctor` as a person types it, on this machine, with one thing taken away at a time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.cli import probes, probes_host
from pytest_finchaos.environments.ports import is_free
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.nested import tiny_configuration

HERE = ("FINCHAOS_", "TOXIPROXY_URL", "KUBECONFIG", "DOCKER_HOST", "PYTEST_")


def doctor(folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(HERE) or "CACHE" in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest_finchaos.cli.main", "doctor", *words],
        cwd=folder,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def finding(folder: Path, name: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the one finding of that name."""
    code, out, err = doctor(folder, "--json", **variables)
    assert out, err
    rows = json.loads(out)["findings"]
    (row,) = [row for row in rows if row["name"] == name] or [{"seen": f"none called {name}", "rows": rows}]
    return code, row


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a right configuration."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:locust\n")
    (tmp_path / "finchaos.toml").write_text(tiny_configuration())
    return tmp_path


def test_an_empty_folder_needs_nothing_and_is_told_how_to_begin(tmp_path: Path) -> None:
    code, out, err = doctor(tmp_path)
    assert code == 0, out + err
    assert "no finchaos.toml here" in out
    assert "next: finchaos init" in out
    assert "everything that this configuration needs is there" in out


def test_a_right_project_is_ready(project: Path) -> None:
    code, out, err = doctor(project)
    assert code == 0, out + err
    assert "environments tiny (processes)" in out
    for level in ("Python and packages", "Faults on edges", "Databases and ledgers", "Rollout", "This machine"):
        assert f"\n{level}\n" in f"\n{out}"


def test_the_configuration_may_be_named_and_a_wrong_name_is_wrong_use(project: Path, tmp_path: Path) -> None:
    code, out, _ = doctor(tmp_path, "--config", str(project / "finchaos.toml"))
    assert code == 0
    assert "tiny (processes)" in out
    code, _, err = doctor(tmp_path, "--config", "nothing.toml")
    assert code == 2
    assert "--config: no file" in err


def test_a_mistake_in_the_configuration_blocks_with_its_place(project: Path) -> None:
    (project / "finchaos.toml").write_text(tiny_configuration().replace("allowed_hosts", "alowed_hosts"))
    code, row = finding(project, "configuration")
    assert code == 1
    assert "did you mean 'allowed_hosts'?" in row["seen"]


def test_a_file_that_is_no_toml_blocks_and_the_rest_is_still_looked_at(project: Path) -> None:
    (project / "finchaos.toml").write_text("[environments\n")
    code, out, _ = doctor(project)
    assert code == 1
    assert "is not TOML" in out
    assert "Landlock" in out


def test_locusts_plugin_clashes_when_a_conftest_declares_host_too(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n")
    code, row = finding(project, "Locust's pytest plugin")
    assert (code, row["state"]) == (0, "warning")
    (project / "conftest.py").write_text('def pytest_addoption(parser):\n    parser.addoption("--host")\n')
    code, row = finding(project, "Locust's pytest plugin")
    assert (code, row["state"]) == (1, "missing")
    code, row = finding(project, "Locust's pytest plugin", PYTEST_ADDOPTS="-p no:locust")
    assert (code, row["state"]) == (0, "ok")


def test_a_named_toxiproxy_that_is_not_there_blocks(project: Path) -> None:
    code, row = finding(project, "Toxiproxy", FINCHAOS_TOXIPROXY_SERVER="/nowhere/toxiproxy-server")
    assert code == 1
    assert "does not exist" in row["seen"]


def test_an_attached_toxiproxy_must_answer(project: Path) -> None:
    code, row = finding(project, "http://127.0.0.1:9", TOXIPROXY_URL="http://127.0.0.1:9")
    assert code == 1
    assert "refused" in row["seen"]


def test_a_toxiproxy_outside_the_allowed_hosts_is_not_contacted(project: Path) -> None:
    code, row = finding(project, "http://192.0.2.1:8474", TOXIPROXY_URL="http://192.0.2.1:8474")
    assert code == 1
    assert "not contacted" in row["seen"]


def test_an_attached_toxiproxy_that_answers_is_told_with_its_version(project: Path) -> None:
    port = next(port for port in range(21_000, 21_500) if is_free(port))
    command = [sys.executable, "-m", "pytest_finchaos.proxy.server", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: not is_free(port) or Not("port is free"), what="the proxy's API", within_s=30)
        url = f"http://127.0.0.1:{port}"
        code, row = finding(project, url, TOXIPROXY_URL=url)
    finally:
        process.kill()
        process.wait()
    assert (code, row["state"]) == (0, "ok"), row
    assert "answers" in row["seen"]


def test_a_postgresql_that_is_named_and_not_there_blocks_only_who_needs_it(project: Path) -> None:
    code, row = finding(project, "PostgreSQL", FINCHAOS_PG_BIN=str(project))
    assert (code, row["state"]) == (0, "missing")
    database = '\n[environments.tiny.components.ledger]\nkind = "postgres"\nschema = "schema.sql"\n'
    (project / "schema.sql").write_text("")
    (project / "finchaos.toml").write_text(tiny_configuration() + database)
    code, row = finding(project, "PostgreSQL", FINCHAOS_PG_BIN=str(project))
    assert code == 1
    assert "apt-get install postgresql" in row["cure"]


def test_a_cache_that_cannot_be_used_blocks(project: Path) -> None:
    code, row = finding(project, "cache", FINCHAOS_CACHE="/proc/finchaos")
    assert code == 1
    assert "FINCHAOS_CACHE" in row["cure"]


def test_a_kubeconfig_is_read_and_its_server_is_not_contacted(project: Path) -> None:
    path = project / "kubeconfig"
    path.write_text("current-context: prod\nclusters: [{name: prod, cluster: {server: 'https://192.0.2.1:6443'}}]\n")
    code, row = finding(project, "kubeconfig", KUBECONFIG=str(path))
    assert (code, row["state"]) == (0, "ok")
    assert "current context prod; not contacted" in row["seen"]
    path.write_text("a: [")
    code, row = finding(project, "kubeconfig", KUBECONFIG=str(path))
    assert row["state"] == "missing"
    assert "cannot be read" in row["seen"]


def test_a_program_that_the_configuration_starts_must_be_there(project: Path) -> None:
    text = tiny_configuration().replace('command = ["{python}"', 'command = ["no-such-program-anywhere"', 1)
    (project / "finchaos.toml").write_text(text)
    code, row = finding(project, "program no-such-program-anywhere")
    assert (code, row["state"]) == (1, "missing")


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket that answers as told."""
    answers: list[bytes] = []
    path = tmp_path / "engine.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(30)

    def serve() -> None:
        for _ in range(2):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answers.pop(0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path, answers
    listener.close()


def test_a_container_engine_counts_only_when_it_answers(engine_socket: tuple[Path, list[bytes]]) -> None:
    path, answers = engine_socket
    answers += [
        b"HTTP/1.1 200 OK\r\nServer: Docker/29.0 (linux)\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    ]
    environ = {"DOCKER_HOST": f"unix://{path}"}
    assert probes.engine(environ).version == "Docker/29.0 (linux)"
    assert "status 500" in probes.engine(environ).problem
    assert not probes.engine({"DOCKER_HOST": "tcp://192.0.2.1:2375"}).usable
    assert not probes.engine({"DOCKER_HOST": f"unix://{path}.gone"}).usable


def test_the_kernel_and_the_limits_are_read() -> None:
    assert probes_host.ends_processes() == ""
    assert probes_host.landlock_abi() >= 0
    assert probes_host.cores() > 0
    soft, hard = probes_host.open_files()
    assert 0 < soft <= hard


@pytest.mark.parametrize(("text", "cores"), [("150000 100000", 1.5), ("max 100000", None), ("nonsense", None)])
def test_a_quota_of_the_control_group_cuts_the_cores(text: str, cores: float | None, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text)
    whole = float(len(os.sched_getaffinity(0)))
    assert probes_host.cores(tmp_path) == (whole if cores is None else min(whole, cores))


def test_a_folder_that_others_cannot_pass_is_found(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "cache").mkdir(parents=True)
    closed.chmod(0o700)
    assert probes_host.closed_above(closed / "cache") is not None
    assert probes_host.closed_above(Path("/usr/bin")) is None


def test_a_program_that_fails_is_not_taken_for_one_that_works() -> None:
    assert probes.said(["/bin/sh", "-c", "echo v1"]).version == "v1"
    assert "status 3" in probes.said(["/bin/sh", "-c", "echo bad; exit 3"]).problem
    assert not probes.said(["/nowhere/at/all"]).usable
