"""The tutorial and the page on the demo: every command is run, in the order of the page, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"```(console|toml)\n(.*?)```", re.DOTALL)
CODE = re.compile(r"#.*exit code (\d)")
APPENDED = "# append to finchaos.toml\n"
INSTALLING = ("python3 -m venv", ". venv/", "pip install")  # the environment that runs these tests; see wheel_check.py
CHECKOUT = "/path/to/pytest-finchaos"
WITHIN_S = 600.0
SHORTER = {"finchaos demo": "finchaos demo -k rounding_defect_is_found"}  # the whole suite is what `make demo` runs


def steps(page: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each step: commands one by one, files whole."""
    for kind, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if kind == "toml":
            yield kind, text
            continue
        for line in text.splitlines():
            assert line.startswith("$ "), line
            yield kind, line.removeprefix("$ ")


def carry_out(page: str, folder: Path) -> str:
    """Each step in `folder`; returns all that was printed."""
    tools = folder.parent / "bin"
    tools.mkdir()
    (tools / "finchaos").write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest_finchaos.cli.main "$@"\n')
    (tools / "pytest").write_text(f'#!/bin/sh\nexec {sys.executable} -m pytest "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PWD": str(folder)}
    printed = []
    for kind, text in steps(page):
        if kind == "toml":
            assert text.startswith(APPENDED)
            with (folder / "finchaos.toml").open("a", encoding="utf-8") as file:
                file.write(text.removeprefix(APPENDED))
            continue
        if text.startswith(INSTALLING):
            continue
        done = subprocess.run(
            ["bash", "-c", SHORTER.get(text, text).replace(CHECKOUT, str(ROOT))],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
            stdin=subprocess.DEVNULL,
        )
        said = done.stdout + done.stderr
        expected = CODE.search(text)
        assert done.returncode == (int(expected[1]) if expected else 0), f"$ {text}\n{said[-6000:]}"
        printed.append(f"$ {text}\n{said}")
    return "\n".join(printed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_the_tutorial_leads_to_a_red_verdict_and_a_green_one(folder: Path) -> None:
    built = subprocess.run(
        [ROOT / "tests" / "foreign" / "build.sh"], capture_output=True, text=True, check=False, timeout=WITHIN_S
    )
    if built.returncode in (3, 4):
        pytest.skip(built.stderr.strip().splitlines()[-1])
    assert built.returncode == 0, built.stderr
    told = carry_out("tutorial.md", folder)
    assert "keys were paid more than once" in told
    assert "3 passed" in told


def test_the_page_on_the_demo_is_true(folder: Path) -> None:
    told = carry_out("howto/run-the-demo.md", folder)
    assert "report: " in told
    assert "nothing to remove" in told or "removed " in told
