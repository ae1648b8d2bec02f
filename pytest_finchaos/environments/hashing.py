"""Digests of files, remembered for as long as a file's inode, size and times stay the same."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

CHUNK_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """sha256 hex of a file's content.

    Remembered by device, inode, size, time of modification and of change; the last cannot be set back, so that a file
    that was changed and given its old times is read again.

    Raises:
        OSError: As the system says.
    """
    status = path.stat()
    return _digest(str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@functools.lru_cache(maxsize=50_000)
def _digest(path: str, *_status: int) -> str:
    total = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            total.update(chunk)
    return total.hexdigest()
