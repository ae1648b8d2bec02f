"""SIGKILL of pytest while a fault is armed: how long until nothing of the environment is left?

``python benchmarks/time_to_zero.py`` starts the tiny system (with a daemon that double-forked) under a drill, kills
pytest, and measures the time until no tagged process is left; ``RUNS`` times. The peer, in the same run, is what test
suites usually do: a fixture that starts processes with ``subprocess`` in a session of their own and ends the group in
its finaliser. Exit status 1 when something of ours was left after ten seconds.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.systems.nested import SYSTEMS, tiny_configuration  # noqa: E402 - the system under test of the tests

RUNS = 5
LIMIT_S = 10.0
TAG = "FINCHAOS_ENVIRONMENT"
PEER_TAG = "TIME_TO_ZERO_PEER"

OURS = """
import threading
from pathlib import Path
from pytest_finchaos import environment_fixture, faults

system = environment_fixture("tiny")

def test_drill(system, drill):
    with drill.load("card_pos_auth", rate_per_s=50) as traffic:
        traffic.steady(duration_s=1)
        with drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=40)):
            Path("reached").touch()
            threading.Event().wait(60)
"""

PEER = f"""
import os, signal, subprocess, sys, threading
from pathlib import Path
import pytest

@pytest.fixture
def system():
    environment = dict(os.environ, {PEER_TAG}=os.getcwd(), TINY_DAEMON="1")
    process = subprocess.Popen(
        [sys.executable, "{SYSTEMS}/tiny.py", "store", "--port", "0"], env=environment, start_new_session=True
    )
    yield process
    os.killpg(process.pid, signal.SIGKILL)

def test_drill(system):
    threading.Event().wait(1)
    Path("reached").touch()
    threading.Event().wait(60)
"""


def tagged(tag: str, value: str) -> list[psutil.Process]:
    """Processes whose variable ``tag`` is ``value``: those of one run, whatever else runs on this machine."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(tag) == value and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def measure(test: str, tag: str) -> tuple[float | None, int]:
    """Seconds until nothing with the tag is left (None after the limit), and how many processes there were."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "finchaos.toml").write_text(tiny_configuration((("DAEMON", "on"),)))
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_drill.py").write_text(test)
        pytest_process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:locust", "-p", "no:cacheprovider"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        while not (folder / "reached").exists():
            if pytest_process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the drill did not reach its fault")
            time.sleep(0.02)
        value = str(folder) if tag == PEER_TAG else next(folder.glob("reports/*/environments/*")).name
        ours = tagged(tag, value)
        pytest_process.send_signal(signal.SIGKILL)
        start = time.monotonic()
        pytest_process.wait()
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in ours):
            if time.monotonic() - start > LIMIT_S:
                for process in ours:
                    if process.is_running():
                        process.kill()
                return None, len(ours)
            time.sleep(0.005)
        return time.monotonic() - start, len(ours)


def main() -> int:
    """Entry point."""
    times = [measure(OURS, TAG) for _ in range(RUNS)]
    gone = [seconds for seconds, _ in times if seconds is not None]
    print(f"ours: {len(gone)} of {RUNS} left nothing of {times[0][1]} processes", end="")
    print(
        f"; time to zero min {min(gone):.3f} s, median {statistics.median(gone):.3f} s, max {max(gone):.3f} s"
        if gone
        else ""
    )
    peer, count = measure(PEER, PEER_TAG)
    told = "left processes for more than 10 s" if peer is None else f"time to zero {peer:.3f} s"
    print(f"peer (subprocess, killpg in a finaliser): {told}, of {count} processes")
    return 0 if len(gone) == RUNS else 1


if __name__ == "__main__":
    sys.exit(main())
