"""SIGKILL of pytest in five phases: nothing that belongs to the environment outlives it, also on an attached Toxiproxy."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from pytest_finchaos.environments import listeners, tagged
from pytest_finchaos.runtime.files import cache_directory
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for
from tests.systems.nested import tiny_configuration

GONE_WITHIN_S = 10.0
PHASES = ("boot", "steady", "between undo record and act", "armed", "money check")

TEST = """
from pathlib import Path
import threading
from pytest_finchaos import environment_fixture, faults

system = environment_fixture("tiny")

def here(phase):
    if Path("phase").read_text() == phase:
        Path("reached").write_text(phase)
        threading.Event().wait(120)

def test_drill(system, drill, monkeypatch):
    from pytest_finchaos.drill import closing
    from pytest_finchaos.proxy.client import ToxiproxyClient
    add, check = ToxiproxyClient.add_toxic, closing._check_money

    def slow_add(self, *args, **kwargs):
        here("between undo record and act")
        return add(self, *args, **kwargs)

    def slow_check(state):
        here("money check")
        return check(state)

    monkeypatch.setattr(ToxiproxyClient, "add_toxic", slow_add)
    monkeypatch.setattr(closing, "_check_money", slow_check)
    with drill.load("card_pos_auth", rate_per_s=50) as traffic:
        here("steady")
        traffic.steady(duration_s=1)
        with drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=40)):
            here("armed")
            traffic.hold(duration_s=1)
"""


@dataclass(frozen=True)
class Traces:
    """What an environment has on this machine."""

    processes: frozenset[int]
    listeners: frozenset[int]
    directories: frozenset[str]
    proxies: frozenset[str]

    def __str__(self) -> str:
        parts = {
            "processes": self.processes,
            "listeners": self.listeners,
            "data directories": self.directories,
            "proxies": self.proxies,
        }
        return ", ".join(f"{name} {sorted(found, key=str)}" for name, found in parts.items() if found)


@pytest.fixture
def toxiproxy(tmp_path: Path) -> Iterator[str]:
    """An attached Toxiproxy: ours in kind, but not owned by the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "toxiproxy.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_finchaos.proxy.server", "--host", "127.0.0.1", "--port", str(port)],
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool | Not:
        try:
            urllib.request.urlopen(f"{url}/version", timeout=1).close()
        except OSError as error:
            return Not(str(error))
        return True

    wait_for(answers, what="the attached Toxiproxy", within_s=20, every_s=0.05)
    yield url
    process.terminate()
    process.wait(10)
    log.close()


def environment_of(folder: Path) -> str:
    """Id of the environment that the pytest run in ``folder`` has started, or ""."""
    found = list(folder.glob("reports/*/environments/*"))
    return found[0].name if found else ""


def traces(folder: Path, url: str) -> Traces:
    """Traces of the environment of the run in ``folder``; other runs on this machine do not matter."""
    environment = environment_of(folder)
    processes = set(tagged.pids_of(environment)) if environment else set()
    ports: set[int] = set()
    for pid in processes:
        try:
            links = psutil.Process(pid).net_connections("tcp")
        except (psutil.Error, OSError):
            continue
        ports |= {link.laddr.port for link in links if link.status == psutil.CONN_LISTEN}
    data = cache_directory() / "environments" / environment
    directories = {environment} if environment and data.exists() else set()
    with urllib.request.urlopen(f"{url}/proxies", timeout=5) as answer:
        proxies = {name for name in json.load(answer) if environment and name.startswith(environment)}
    return Traces(frozenset(processes), frozenset(ports), frozenset(directories), frozenset(proxies))


def listening(ports: frozenset[int]) -> set[int]:
    """Those of ``ports`` that somebody listens on, whoever it is."""
    return {port for port in ports if listeners.inodes_on(port)}


def start(folder: Path, phase: str, url: str) -> subprocess.Popen[bytes]:
    (folder / "finchaos.toml").write_text(tiny_configuration((("DAEMON", "on"),)))
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_drill.py").write_text(TEST)
    (folder / "phase").write_text(phase)
    with (folder / "out").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "-s"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TOXIPROXY_URL": url},
        )


def reach(folder: Path, phase: str, url: str, process: subprocess.Popen[bytes]) -> None:
    def reached() -> bool | Not:
        if process.poll() is not None:
            pytest.fail(f"pytest ended early:\n{(folder / 'out').read_text()}")
        if phase == "boot":
            return bool(traces(folder, url).processes) or Not("no component yet")
        return (folder / "reached").exists() or Not("not reached")

    wait_for(reached, what=f"phase {phase}", within_s=60, every_s=0.02)


def wait_until_gone(folder: Path, url: str, ports: frozenset[int]) -> None:
    def gone() -> bool | Not:
        rest = traces(folder, url)
        if str(rest):
            return Not(str(rest))
        return Not(f"listeners {listening(ports)}") if listening(ports) else True

    wait_for(gone, what="every trace of the environment to be gone", within_s=GONE_WITHIN_S, every_s=0.05)


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_pytest_leaves_no_process_listener_toxic_or_directory(
    phase: str, tmp_path: Path, toxiproxy: str
) -> None:
    process = start(tmp_path, phase, toxiproxy)
    reach(tmp_path, phase, toxiproxy, process)
    there = traces(tmp_path, toxiproxy)
    assert there.processes, "the drill has traces while it runs, else this test could not fail"
    if phase != "boot":
        assert there.listeners
        assert there.directories
        assert there.proxies

    process.kill()
    process.wait(10)

    wait_until_gone(tmp_path, toxiproxy, there.listeners)


def test_without_its_supervisor_the_same_check_finds_survivors(tmp_path: Path, toxiproxy: str) -> None:
    process = start(tmp_path, "armed", toxiproxy)
    reach(tmp_path, "armed", toxiproxy, process)
    there = traces(tmp_path, toxiproxy)
    supervisor = next(
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "pytest_finchaos.environments.supervisor" in " ".join(child.cmdline())
    )

    supervisor.send_signal(signal.SIGSTOP)  # a supervisor that does nothing
    process.kill()
    process.wait(10)

    try:
        with pytest.raises(Waited, match="processes"):
            wait_until_gone(tmp_path, toxiproxy, there.listeners)
    finally:
        supervisor.send_signal(signal.SIGCONT)
    wait_until_gone(tmp_path, toxiproxy, there.listeners)
