"""Logs of components: their end for a message, and their size within bounds."""

from __future__ import annotations

import os
from pathlib import Path

LIMIT_BYTES = 64 * 1024 * 1024
KEPT_BYTES = 1024 * 1024
_TAIL_BYTES = 4096


def tail(path: str, lines: int = 4) -> str:
    """The last lines of a file, in one; "" when there is none."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace").strip()
    except OSError:
        return ""
    return " | ".join(text.splitlines()[-lines:])[-600:]


def bound(path: str, limit_bytes: int = LIMIT_BYTES, kept_bytes: int = KEPT_BYTES) -> bool:
    """Cut a log that has grown beyond ``limit_bytes`` down to its last ``kept_bytes``, and say so in it.

    Its writer appends, so that it goes on behind what was kept. What is written between the reading and the cutting is
    lost; a limit on the process's files instead would kill it.

    Returns:
        True when it was cut.
    """
    try:
        if Path(path).stat().st_size <= limit_bytes:
            return False
        with Path(path).open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(size - kept_bytes)
            kept = file.read(kept_bytes)
            file.truncate(0)
    except OSError:
        return False
    with Path(path).open("ab") as file:
        file.write(f"[cut: {size - kept_bytes} bytes before this]\n".encode() + kept)
    return True
