"""The README keeps its word: its example is the demo's, each of its commands is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MAKE_TARGETS = ("demo", "test", "check", "fresh-check", "soak-demo", "bench")


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line[2:].partition("  #")[0].strip() for line in lines]


def test_the_readme_has_commands_and_fits_two_screens() -> None:
    assert len(commands()) >= 4
    assert len(README.splitlines()) <= 120


def test_the_example_is_the_drill_of_the_demo_suite() -> None:
    drill = (ROOT / "experiments" / "test_slow_ledger.py").read_text()
    body = drill[drill.index("def test_") :].rstrip()
    shown = [line.rstrip() for line in README.splitlines()]
    for line in body.splitlines():
        assert line.rstrip() in shown, line


@pytest.mark.parametrize("command", commands())
def test_each_command_runs(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        # `make fresh-check` runs them for real; here they must at least be what make knows and would do
        assert words[1] in MAKE_TARGETS
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    if words[:2] == ["pip", "install"]:
        words = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet", str(ROOT)]
    elif words[0] == "pytest":
        words = [sys.executable, "-m", "pytest", f"--finchaos-reports={tmp_path}", "-p", "no:cacheprovider", *words[1:]]
    elif words[0] == "finchaos":
        words = [sys.executable, "-m", "pytest_finchaos", *words[1:]]
    else:
        pytest.fail(f"nobody runs {command!r}")
    done = subprocess.run(
        words,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
