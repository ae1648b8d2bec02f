"""What owners that are gone left on this machine: found without touching it."""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments import ending, janitor, tagged
from pytest_finchaos.runtime.undo import UndoJournal


@dataclass(frozen=True, slots=True)
class Leftover:
    """One environment whose owner is gone.

    Args:
        id: Its id.
        folder: Its data directory.
        pids: Processes of it that still run.
        faults: Kinds of what was done and not undone.
    """

    id: str
    folder: Path
    pids: tuple[int, ...]
    faults: tuple[str, ...]

    def describe(self) -> str:
        """One line."""
        processes = f"processes {', '.join(map(str, self.pids))}" if self.pids else "no process"
        counted = (f"{number} × {kind}" if number > 1 else kind for kind, number in Counter(self.faults).items())
        undo = f", not undone: {', '.join(counted)}" if self.faults else ""
        return f"{self.id}: {processes}{undo}, {self.folder}"


@dataclass(frozen=True, slots=True)
class Seen:
    """The environments of this machine.

    Args:
        dead: Those whose owner is gone.
        running: Ids of those that a living owner holds.
        foreign: Ids of tagged processes without a folder in this cache, with their pids: another user's or another
            cache's. Nobody here touches them.
    """

    dead: tuple[Leftover, ...]
    running: tuple[str, ...]
    foreign: tuple[tuple[str, tuple[int, ...]], ...]


def look() -> Seen:
    """Every environment of this user's cache, and tagged processes that belong to none of them."""
    dead, running = [], []
    for directory in sorted(janitor.environments_folder().iterdir()):
        lease = directory / ending.LEASE
        if not lease.exists():
            continue
        if is_held(lease):
            running.append(directory.name)
            continue
        faults = tuple(record.kind for record in UndoJournal(directory / ending.JOURNAL).pending())
        pids = tuple(tagged.pids_of(directory.name, directory))
        dead.append(Leftover(directory.name, directory, pids, faults))
    known = {*running, *(one.id for one in dead)}
    tags = sorted(tagged.all_tags().items())
    foreign = tuple((name, tuple(pids)) for name, pids in tags if name not in known)
    return Seen(tuple(dead), tuple(running), foreign)


def is_held(lease: Path) -> bool:
    """True when an owner lives, or when the lease is another user's and nobody can tell."""
    try:
        handle = os.open(lease, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look do not take each other for an owner
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
