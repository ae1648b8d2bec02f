"""What all tests share: an environment free of the caller's settings, pytest in a process of its own, a real Toxiproxy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest_plugins = "pytester"

# These say what the machine has, not how the product should behave, so tests are to see them.
MACHINE = ("FINCHAOS_TEST_", "FINCHAOS_PG", "FINCHAOS_CACHE", "FINCHAOS_SLOTS")
NESTED_WITHIN_S = 120.0


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Take the caller's settings away: a test run inside a shell that has them must give the same results."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            ours = name.startswith("FINCHAOS_") and not name.startswith(MACHINE)
            if ours or name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "TOXIPROXY_URL", "FORCE_COLOR", "PY_COLORS"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def real_toxiproxy_server() -> str:
    """Path of the real Toxiproxy server; skips with the reason where there is none (`make test` finds or builds it)."""
    path = os.environ.get("FINCHAOS_TEST_TOXIPROXY_SERVER", "")
    if not path:
        pytest.skip(
            "no real Toxiproxy: FINCHAOS_TEST_TOXIPROXY_SERVER names none (scripts/toxiproxy_server.py says why)"
        )
    if not os.access(path, os.X_OK):
        pytest.fail(f"FINCHAOS_TEST_TOXIPROXY_SERVER={path}: not an executable file")
    return path


@dataclass(frozen=True, slots=True)
class Result:
    """What a nested pytest did."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Nested:
    """Pytest in a process of its own, in an empty folder: for what concerns processes, signals, imports, exit codes.

    Args:
        folder: Where it runs; holds an ini file, so that nothing above it counts.
    """

    folder: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the nested project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, *arguments: str) -> list[str]:
        """The argument vector, for tests that start the process themselves and send it signals."""
        return [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", *arguments]

    def run(
        self, *arguments: str, variables: Mapping[str, str] | None = None, within_s: float = NESTED_WITHIN_S
    ) -> Result:
        """Run pytest to its end and return what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=os.environ | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            timeout=within_s,
        )
        assert "INTERNALERROR" not in done.stdout + done.stderr, done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def nested(tmp_path: Path) -> Nested:
    """An empty nested project; write `finchaos.toml` and tests into it, then run it."""
    project = Nested(tmp_path / "project")
    project.write("pytest.ini", "[pytest]\n")
    return project
