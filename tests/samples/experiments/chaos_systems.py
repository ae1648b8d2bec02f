"""A system of one file for the experiments beside it, in the folder where they run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

LEVEL = Path("level.txt")


def level() -> int:
    """What the system answers: 1 when it is well, less under a fault."""
    return int(LEVEL.read_text()) if LEVEL.exists() else 1


def set_level(value: int) -> bool:
    """The fault: the system answers something else."""
    LEVEL.write_text(str(value))
    return True


def heal() -> bool:
    """The removal of the fault."""
    LEVEL.unlink(missing_ok=True)
    return True


def refuse() -> None:
    """An action or a rollback that fails."""
    raise RuntimeError("permission denied")


def die() -> None:
    """Ends the process of the experiment without a word, as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def targets(count: int) -> list[str]:
    """What an extension returns that picked so many targets: none is no error for it."""
    return [f"pod-{number}" for number in range(count)]
