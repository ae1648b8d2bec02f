"""What owners that are gone left behind: found by their lease files, ended, undone, removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments import ending
from pytest_finchaos.environments.builds import NEW
from pytest_finchaos.environments.folders import passable
from pytest_finchaos.runtime.clock import NS_PER_S, anchor
from pytest_finchaos.runtime.files import cache_directory

GIVE_UP_AFTER_S = 24 * 3600.0  # an attached Toxiproxy that was not reachable for a day has lost our toxics too
HALF_MADE_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did.

    Args:
        environments: Ids that were cleaned up.
        problems: What could not be undone, in sentences.
    """

    environments: tuple[str, ...]
    problems: tuple[str, ...]


def environments_folder() -> Path:
    """Where data directories of running environments are."""
    return passable(cache_directory() / "environments")


def take_lease(directory: Path) -> int:
    """Make and lock the lease file of a new environment; the lock lives as long as any holder of the descriptor.

    It appears under its name locked, so that no sweep can find it free.
    """
    new = directory / f"{ending.LEASE}.new"
    handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.rename(directory / ending.LEASE)
    return handle


def sweep() -> Swept:
    """Clean up after every environment whose lease nobody holds, and what was half made when its maker was killed."""
    cleaned, problems = [], []
    for directory in environments_folder().iterdir():
        lease = directory / ending.LEASE
        if not lease.exists():
            if _older_than(directory, HALF_MADE_AFTER_S):
                shutil.rmtree(directory, ignore_errors=True)  # its maker was killed before it had a lease
            continue
        try:
            handle = os.open(lease, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile, or another user's
        try:
            if _stale(handle) and lease.exists():
                problems.extend(clean_up(directory))
                cleaned.append(directory.name)
        finally:
            os.close(handle)
    for half in (cache_directory() / "builds").glob(f"{NEW}*"):
        if _older_than(half, HALF_MADE_AFTER_S):
            shutil.rmtree(half, ignore_errors=True)
    return Swept(tuple(cleaned), tuple(problems))


def clean_up(directory: Path) -> list[str]:
    """Undo, kill, remove one environment whose supervisor is gone.

    Returns:
        What could not be done, in sentences.
    """
    problems = [f"{directory.name}: {text}" for text in ending.end(directory.name, directory)]
    if problems and _older_than(directory / ending.JOURNAL, GIVE_UP_AFTER_S):
        shutil.rmtree(directory, ignore_errors=True)
        problems.append(f"{directory.name}: given up after a day")
    return problems


def _stale(handle: int) -> bool:
    """True when nobody else holds the lock; then we do."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _older_than(path: Path, age_s: float) -> bool:
    try:
        return anchor().wall_ns - path.stat().st_mtime_ns > age_s * NS_PER_S
    except OSError:
        return False
