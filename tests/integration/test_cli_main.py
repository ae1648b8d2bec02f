"""`finchaos` as a process: by either name, into a pipe that nobody reads, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from pytest_finchaos.runtime.waiting import Not, wait_for

BY_NAME = [sys.executable, "-m", "pytest_finchaos.cli.main"]
BY_PACKAGE = [sys.executable, "-m", "pytest_finchaos"]


def test_both_ways_to_start_it_say_the_same(tmp_path: Path) -> None:
    told = [
        subprocess.run([*way, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        for way in (BY_NAME, BY_PACKAGE)
    ]
    assert [each.returncode for each in told] == [0, 0]
    assert told[0].stdout == told[1].stdout


def test_every_command_has_help_and_a_wrong_option_is_wrong_use(tmp_path: Path) -> None:
    from pytest_finchaos.cli.main import COMMANDS

    for name in COMMANDS:
        done = subprocess.run([*BY_NAME, name, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"usage: finchaos {name}" in done.stdout
    done = subprocess.run([*BY_NAME, "doctor", "--wrong"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_had_enough_is_no_error_worth_a_word(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*BY_NAME, "doctor"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_an_interrupt_ends_the_demo_with_its_own_code(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*BY_NAME, "demo", "-k", "test_slow_ledger"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a terminal sends SIGINT to the whole group
    )
    reports = tmp_path / "finchaos-demo" / "reports"
    wait_for(
        lambda: list(reports.glob("*/environments/*")) or Not("no environment"), what="a drill to begin", within_s=60
    )
    os.killpg(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=90)
    assert process.returncode == 130, told
    assert "finchaos: interrupted" in told
