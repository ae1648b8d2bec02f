"""What owners that are gone left behind: found by their lease files, ended, undone, removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments import tagged
from pytest_finchaos.proxy.undo import UndoFailed, carry_out
from pytest_finchaos.runtime.files import cache_directory
from pytest_finchaos.runtime.undo import UndoJournal

LEASE = "lease"


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
    folder = cache_directory() / "environments"
    folder.mkdir(mode=0o711, exist_ok=True)
    return folder


def take_lease(directory: Path) -> int:
    """Make and lock the lease file of a new environment; the lock lives as long as any holder of the descriptor."""
    handle = os.open(directory / LEASE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def sweep() -> Swept:
    """Clean up after every environment whose lease nobody holds."""
    cleaned, problems = [], []
    for directory in environments_folder().iterdir():
        lease = directory / LEASE
        if not lease.exists():
            continue  # being made, or being removed
        try:
            handle = os.open(lease, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile, or another user's
        if _stale(handle):
            problems.extend(_clean(directory))
            cleaned.append(directory.name)
        os.close(handle)
    return Swept(tuple(cleaned), tuple(problems))


def _stale(handle: int) -> bool:
    """True when nobody else holds the lock; then we do."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _clean(directory: Path) -> list[str]:
    problems = []
    journal = UndoJournal(directory / "undo.jsonl")
    for record in journal.pending():
        try:
            carry_out(record)
        except (UndoFailed, OSError) as error:
            problems.append(f"{directory.name}: {error}")
    left = tagged.kill_all(directory.name)
    if left:
        problems.append(f"{directory.name}: processes {left} could not be ended")
    shutil.rmtree(directory, ignore_errors=True)
    return problems
