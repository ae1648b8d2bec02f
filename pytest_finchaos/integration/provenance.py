"""Where a run took place: host, versions, git state, the command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from pytest_finchaos.integration import options

_PACKAGES = ("pytest-finchaos", "pytest", "pytest-xdist", "locust", "chaostoolkit", "toxiproxy-python", "psycopg")
_GIT_LIMIT_S = 5.0


def host() -> dict[str, str]:
    """Name, kernel, cores and load of this machine."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": str(os.cpu_count() or 0),
        "load_average": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }


def versions() -> dict[str, str]:
    """Versions of what decides a run."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git(folder: Path) -> dict[str, str]:
    """Commit and whether the tree is clean; empty outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    dirty = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "tree": "modified" if dirty else "clean"}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def replay(config: pytest.Config, seed: int) -> str:
    """The command that repeats the whole run."""
    words = ["pytest", *config.invocation_params.args]
    words = [str(word) for word in words if not str(word).startswith("--finchaos-seed")]
    if options.value(config, "seed") is not None and "--finchaos-seed" in words:
        at = words.index("--finchaos-seed")
        del words[at : at + 2]
    return shlex.join([*words, f"--finchaos-seed={seed}"])
