"""Pytest runs of their own on the tiny system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SYSTEMS = Path(__file__).parent
LIMIT_S = 180


def run_nested(folder: Path, test: str, configuration: str, *options: str) -> tuple[int, str, dict[str, Any]]:
    """A pytest run of its own; returns exit code, output and the parsed report (empty when there is none)."""
    (folder / "finchaos.toml").write_text(configuration)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:locust\n")
    (folder / "test_drill.py").write_text(test)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "FINCHAOS_R"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment,
        check=False,
    )
    report = folder / "reports" / "latest" / "report.json"
    return done.returncode, done.stdout + done.stderr, json.loads(report.read_text()) if report.exists() else {}


VERSIONS = """
[environments.tiny.components.api.versions]
"1.0" = {}
"1.0-again" = {}
"2.0-errors" = { variables = { TINY_ERRORS = "2" } }
"3.0-dies" = { command = ["{python}", "-c", "raise SystemExit('no licence')"] }
"""


def versioned_configuration() -> str:
    """The tiny system with versions of its ``api``, which stands behind a router then."""
    return tiny_configuration() + VERSIONS


def tiny_configuration(switches: tuple[tuple[str, str], ...] = (), folder: Path | None = None) -> str:
    """The tiny system's finchaos.toml, with the wanted defect switched on."""
    text = (SYSTEMS / "tiny.toml").read_text().replace("TINY_PY", str(SYSTEMS / "tiny.py"))
    names = {name for name, _ in switches}
    if "BYPASS" in names:
        variables = f'variables = {{ TINY_MEETING = "{folder}/meeting" }}\nrestart = "always"'
        text = text.replace('restart = "always"', variables)
    if "BLACKHOLE" in names:
        text = text.replace('restart = "always"', 'variables = { TINY_BLACK_HOLE = "1" }\nrestart = "always"')
    if "DAEMON" in names:
        text = text.replace('restart = "always"', 'variables = { TINY_DAEMON = "1" }\nrestart = "always"')
    if "STALE" in names:
        text = text.replace('restart = "always"', 'variables = { TINY_BUILD = "0123" }\nrestart = "always"')
    return text
