"""The end of an environment, by whoever is left to do it: faults undone, processes killed, every trace removed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pytest_finchaos.environments import shared_memory, stopping, tagged
from pytest_finchaos.proxy.undo import UndoFailed, carry_out
from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock
from pytest_finchaos.runtime.undo import UndoJournal, UndoRecord

JOURNAL = "undo.jsonl"
LEASE = "lease"
UNDO_WITHIN_S = 5.0


def end(
    environment: str,
    directory: Path,
    *,
    own_proxy: str = "",
    kill: Callable[[str, Path], list[int]] = tagged.kill_all,
) -> list[str]:
    """Undo, kill, remove; all of it is tried even when parts fail.

    Faults on a proxy of our own need no undoing, it is killed. What could not be undone elsewhere stays in the
    journal, which is then all that is left of the directory: the next sweep tries again.

    Args:
        environment: Environment id.
        directory: Its data directory.
        own_proxy: Base URL of a fault proxy that ends with the environment, or "".
        kill: How its processes are found and killed; returns those that were left.

    Returns:
        What could not be done, in sentences.
    """
    problems = _undo(UndoJournal(directory / JOURNAL), own_proxy)
    undone = not problems
    left = kill(environment, directory)
    if left:
        problems.append(f"processes {left} could not be ended")
    shared_memory.release_below(directory / "work")
    if undone:
        shutil.rmtree(directory, ignore_errors=True)
        return problems
    for path in directory.iterdir():
        if path.name in (JOURNAL, LEASE):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for problem in problems:
        sys.stderr.write(f"{environment}: {problem}\n")
    return problems


def _undo(journal: UndoJournal, own_proxy: str) -> list[str]:
    clock = SystemClock()
    until_ns = clock.now_ns() + int(UNDO_WITHIN_S * NS_PER_S)
    problems = []
    for record in journal.pending():
        if _ends_with_us(record, own_proxy):
            continue
        if clock.now_ns() > until_ns and record.kind != stopping.KIND:  # which has a deadline of its own
            problems.append(f"no time was left to undo {record.id}")
            continue
        try:
            if record.kind == stopping.KIND:
                started_ns = clock.now_ns()
                stopping.carry_out(record, journal)
                until_ns += clock.now_ns() - started_ns
            else:
                carry_out(record)
            journal.done(record)
        except (UndoFailed, OSError) as error:
            problems.append(f"not undone: {error}")
    return problems


def _ends_with_us(record: UndoRecord, own_proxy: str) -> bool:
    return bool(own_proxy) and record.arguments.get("url") == own_proxy
