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

    def beyond(self, before: Traces) -> str:
        """What is here that was not there before, in words; "" when nothing is."""
        parts = {
            "processes": self.processes - before.processes,
            "listeners": self.listeners - before.listeners,
            "data directories": self.directories - before.directories,
            "proxies": self.proxies - before.proxies,
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


def traces(url: str) -> Traces:
    processes, listeners = set(), set()
    for process in psutil.process_iter():
        try:
            if "FINCHAOS_ENVIRONMENT" not in process.environ():
                continue
            processes.add(process.pid)
            listeners |= {
                link.laddr.port for link in process.net_connections("tcp") if link.status == psutil.CONN_LISTEN
            }
        except (psutil.Error, OSError):
            continue
    folder = cache_directory() / "environments"
    directories = {path.name for path in folder.iterdir()} if folder.exists() else set()
    with urllib.request.urlopen(f"{url}/proxies", timeout=5) as answer:
        proxies = set(json.load(answer))
    return Traces(frozenset(processes), frozenset(listeners), frozenset(directories), frozenset(proxies))


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


def reach(folder: Path, phase: str, url: str, before: Traces, process: subprocess.Popen[bytes]) -> None:
    def reached() -> bool | Not:
        if process.poll() is not None:
            pytest.fail(f"pytest ended early:\n{(folder / 'out').read_text()}")
        if phase == "boot":
            return bool(traces(url).processes - before.processes) or Not("no component yet")
        return (folder / "reached").exists() or Not("not reached")

    wait_for(reached, what=f"phase {phase}", within_s=60, every_s=0.02)


def wait_until_gone(url: str, before: Traces) -> None:
    wait_for(
        lambda: Not(rest) if (rest := traces(url).beyond(before)) else True,
        what="every trace of the environment to be gone",
        within_s=GONE_WITHIN_S,
        every_s=0.05,
    )


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_pytest_leaves_no_process_listener_toxic_or_directory(
    phase: str, tmp_path: Path, toxiproxy: str
) -> None:
    before = traces(toxiproxy)
    process = start(tmp_path, phase, toxiproxy)
    reach(tmp_path, phase, toxiproxy, before, process)
    if phase != "boot":
        assert traces(toxiproxy).beyond(before), "the drill has traces while it runs, else this test could not fail"

    process.kill()
    process.wait(10)

    wait_until_gone(toxiproxy, before)


def test_without_its_supervisor_the_same_check_finds_survivors(tmp_path: Path, toxiproxy: str) -> None:
    before = traces(toxiproxy)
    process = start(tmp_path, "armed", toxiproxy)
    reach(tmp_path, "armed", toxiproxy, before, process)
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
            wait_until_gone(toxiproxy, before)
    finally:
        supervisor.send_signal(signal.SIGCONT)
    wait_until_gone(toxiproxy, before)
