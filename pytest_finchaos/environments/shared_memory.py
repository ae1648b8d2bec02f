"""System V shared memory that a killed PostgreSQL leaves behind: the one trace of it outside its data directory.

The harness keeps the rest inside by ``dynamic_shared_memory_type=mmap``.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

_IPC_RMID = 0
_SHMEM_LINE = 6  # of postmaster.pid, counted from 0: "key id" (PostgreSQL: src/include/utils/pidfile.h)
_TABLE = Path("/proc/sysvipc/shm")


def release(data: Path) -> bool:
    """Remove the segment that ``postmaster.pid`` in ``data`` names, unless a process is attached to it.

    Key and id must both fit: after a reboot an id alone may be somebody else's.

    Returns:
        True when a segment was removed.
    """
    try:
        line = (data / "postmaster.pid").read_text().splitlines()[_SHMEM_LINE]
        key, identifier = (int(part) for part in line.split())
        rows = [row.split() for row in _TABLE.read_text().splitlines()[1:]]
    except (OSError, IndexError, ValueError):
        return False  # never served, ended in order, or no such memory on this machine
    fits = any((int(row[0]), int(row[1]), int(row[6])) == (key, identifier, 0) for row in rows)
    return fits and bool(ctypes.CDLL(None).shmctl(identifier, _IPC_RMID, None) == 0)


def release_below(work: Path) -> None:
    """`release` for every data directory of an environment."""
    try:
        folders = list(work.iterdir())
    except OSError:
        return
    for data in folders:
        release(data)
