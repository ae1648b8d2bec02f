"""What others append, read while they do: a file from where the last look ended, a pipe without waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_CHUNK = 65_536


class GrowingFile:
    """A file that somebody appends to.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def read(self) -> bytes:
        """The bytes that were appended since the last call; empty while there is no file."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return b""
        self._offset += len(data)
        return data

    def lines(self) -> list[bytes]:
        """The lines that became whole since the last call, without their ends; one that is not whole yet waits."""
        *whole, self._rest = (self._rest + self.read()).split(b"\n")
        return whole


def chunks(pipe: IO[bytes]) -> Iterator[bytes]:
    """What a non-blocking pipe holds now, piece by piece; ends when nothing is there, or nobody writes any more."""
    while not pipe.closed:
        try:
            data = os.read(pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return
        if not data:
            return
        yield data
