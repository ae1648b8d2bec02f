"""``finchaos gc``: removes what runs that were killed left behind; living ones are not touched."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finchaos.cli.leftovers import Seen
    from pytest_finchaos.environments.janitor import Swept

TEXT = "Undo the faults, end the processes and delete the folders of runs whose owner is gone. Running ones stay."


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("gc", description=TEXT)
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, remove nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, sweep, say what was done; 1 when something could not be removed."""
    from pytest_finchaos.cli import leftovers

    before = leftovers.look()
    if arguments.dry_run:
        print("\n".join(planned(before)))
        return 0
    from pytest_finchaos.environments import janitor

    swept = janitor.sweep()
    print("\n".join(done(before, swept)))
    return 1 if swept.problems else 0


def planned(seen: Seen) -> list[str]:
    """What a dry run says."""
    lines = [f"would remove {one.describe()}" for one in seen.dead] or ["nothing to remove"]
    return lines + left_alone(seen)


def done(before: Seen, swept: Swept) -> list[str]:
    """What a sweep says."""
    known = {one.id: one for one in before.dead}
    unfinished = {text.partition(":")[0] for text in swept.problems}
    lines = []
    for name in swept.environments:
        word = "partly removed" if name in unfinished else "removed"
        lines.append(f"{word} {known[name].describe() if name in known else name}")
    lines += [f"not done: {text}" for text in swept.problems]
    return (lines or ["nothing to remove"]) + left_alone(before)


def left_alone(seen: Seen) -> list[str]:
    """What is there and is not ours to remove."""
    lines = []
    if seen.running:
        lines.append(f"left alone: {len(seen.running)} running: {', '.join(seen.running)}")
    for name, pids in seen.foreign:
        processes = ", ".join(map(str, pids))
        lines.append(f"left alone: {name}: processes {processes}; another user's, or of another FINCHAOS_CACHE")
    return lines
