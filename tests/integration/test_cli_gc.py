"""`finchaos gc` as a person types it, on folders that a killed owner leaves."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_finchaos.environments import ending, janitor, tagged


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, so that what other tests leave is not seen."""
    folder = Path(tempfile.mkdtemp(prefix="finchaos-test-", dir="/var/tmp"))
    monkeypatch.setenv("FINCHAOS_CACHE", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def collect(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_finchaos.cli.main", "gc", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def abandoned(name: str) -> Path:
    """An environment's folder with a lease that nobody holds."""
    folder = janitor.environments_folder() / name
    folder.mkdir()
    os.close(janitor.take_lease(folder))
    return folder


def test_an_empty_machine_has_nothing_to_remove(cache: Path) -> None:
    code, told = collect()
    assert code == 0
    assert told.splitlines()[0] == "nothing to remove"
    assert cache.is_dir()


@pytest.mark.usefixtures("cache")
def test_a_dry_run_removes_nothing_and_the_real_one_ends_the_process_too() -> None:
    folder = abandoned("gc-dead")
    process = subprocess.Popen(["sleep", "300"], env={tagged.TAG: "gc-dead", "PATH": os.environ["PATH"]})
    try:
        code, told = collect("--dry-run")
        assert code == 0
        assert f"would remove gc-dead: processes {process.pid}" in told
        assert folder.is_dir()
        assert process.poll() is None
        code, told = collect()
        assert code == 0
        assert f"removed gc-dead: processes {process.pid}" in told
        assert not folder.exists()
        assert process.wait(timeout=10) != 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("cache")
def test_an_environment_with_a_living_owner_stays() -> None:
    folder = janitor.environments_folder() / "gc-alive"
    folder.mkdir()
    lease = janitor.take_lease(folder)
    try:
        code, told = collect()
        assert code == 0
        assert "left alone: 1 running: gc-alive" in told
        assert folder.is_dir()
    finally:
        os.close(lease)
    code, told = collect()
    assert "removed gc-alive" in told


@pytest.mark.usefixtures("cache")
def test_looking_does_not_take_a_lease_away_from_a_sweep() -> None:
    folder = abandoned("gc-twice")
    handle = os.open(folder / ending.LEASE, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        code, told = collect("--dry-run")
    finally:
        os.close(handle)
    assert code == 0
    assert "would remove gc-twice" in told


def test_an_unknown_option_is_wrong_use() -> None:
    code, told = collect("--all")
    assert code == 2
    assert "nothing is known of --all" in told
