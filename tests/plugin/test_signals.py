"""SIGTERM while a fault is armed: undone, reported, nothing left; other people's handlers stay."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pytest_finchaos.environments import tagged
from pytest_finchaos.integration.signals import terminable
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.nested import tiny_configuration

TEST = """
from pathlib import Path
from pytest_finchaos import environment_fixture, faults

system = environment_fixture("tiny")

def test_before():
    assert True

def test_armed(system, drill):
    with drill.load("card_pos_auth", rate_per_s=50) as traffic:
        traffic.steady(duration_s=1)
        with drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=40)):
            Path("armed").touch()
            traffic.hold(duration_s=60)
"""


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    (folder / "finchaos.toml").write_text(tiny_configuration())
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_drill.py").write_text(TEST)
    with (folder / "out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", *options],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "FINCHAOS_SLOTS": "16"},  # nothing is measured here, so nothing is waited for
        )

    def armed() -> bool | Not:
        if process.poll() is not None:
            pytest.fail((folder / "out").read_text())
        return (folder / "armed").exists() or Not("not armed")

    wait_for(armed, what="the fault to be armed", within_s=90, every_s=0.1)
    return process


def environment_of(folder: Path) -> str:
    (environment,) = {path.name for path in folder.glob("reports/*/environments/*")}  # once more below latest
    return environment


def nothing_left(folder: Path) -> None:
    environment = environment_of(folder)
    wait_for(
        lambda: Not(f"processes {left}") if (left := tagged.pids_of(environment)) else True,
        what="all processes of the environment to be gone",
        within_s=20,
        every_s=0.1,
    )


def test_a_terminated_pytest_undoes_the_fault_and_writes_a_report_that_names_the_drill(tmp_path: Path) -> None:
    process = start(tmp_path)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, (tmp_path / "out").read_text()
    report = json.loads((tmp_path / "reports" / "latest" / "report.json").read_text())
    assert report["lost"] == ["test_drill.py::test_armed"]
    assert report["verdict"] == "INVALID"
    assert "terminated by SIGTERM" in (tmp_path / "out").read_text()
    nothing_left(tmp_path)


def test_a_killed_pytest_writes_none(tmp_path: Path) -> None:
    process = start(tmp_path)
    process.kill()
    process.wait(60)
    assert not (tmp_path / "reports" / "latest").exists()  # so the report above is what SIGTERM left time for
    nothing_left(tmp_path)


def test_a_terminated_worker_ends_the_session_and_its_drill_is_named(tmp_path: Path) -> None:
    process = start(tmp_path, "-n", "1")
    environment = environment_of(tmp_path)
    (worker,) = [
        child.pid
        for child in psutil.Process(process.pid).children()
        if child.pid not in tagged.pids_of(environment) and "sys.stdin.readline" in " ".join(child.cmdline())
    ]
    os.kill(worker, signal.SIGTERM)
    process.wait(60)
    assert process.returncode != 0
    report = json.loads((tmp_path / "reports" / "latest" / "report.json").read_text())
    assert "test_drill.py::test_armed" in report["lost"], (tmp_path / "out").read_text()
    nothing_left(tmp_path)


def test_a_handler_of_somebody_else_stays_and_the_default_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    heard: list[int] = []
    try:
        signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"), terminable():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
