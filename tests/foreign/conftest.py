"""The two foreign servers, built or installed once and kept outside the checkout; skips where that cannot be done."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
collect_ignore = ["suite"]  # drills: they run in a project of their own, see test_drills_on_the_foreign_service.py
CANNOT_BE_HAD = (3, 4)  # no tool for it, no way to the packages: see the scripts; anything else is a failure of ours
PREPARED_WITHIN_S = 400.0


def prepared(script: Path) -> Path:
    """Path that the script prints as its last line."""
    done = subprocess.run([str(script)], capture_output=True, text=True, timeout=PREPARED_WITHIN_S, check=False)
    if done.returncode in CANNOT_BE_HAD:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def remit_binary() -> Path:
    """The payment service in Go."""
    return prepared(HERE / "build.sh")


@pytest.fixture(scope="session")
def http_server_script() -> Path:
    """The server without a ledger, to be run with node."""
    return prepared(HERE / "third" / "install.sh")
