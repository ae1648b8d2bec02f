"""Ports below the ephemeral range, claimed so that environments that start at once never share one."""

from __future__ import annotations

import fcntl
import os
import random
import socket
from pathlib import Path

from pytest_finchaos.environments.folders import passable
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.files import cache_directory

FIRST, LAST = 20_000, 32_000  # an ephemeral port of some connection can then never sit on a port that restarts
ATTEMPTS = 500


class Ports:
    """Claims of one environment; held by file locks, which the kernel frees however the owner ends."""

    def __init__(self) -> None:
        self._folder = passable(cache_directory() / "ports", 0o711)
        self._held: list[int] = []

    def claim(self) -> int:
        """A port on 127.0.0.1 that nobody listens on and nobody of ours has claimed.

        Raises:
            UserError: None was found.
        """
        for _ in range(ATTEMPTS):
            port = random.SystemRandom().randrange(FIRST, LAST)
            handle = self._lock(self._folder / str(port))
            if handle is None:
                continue
            if is_free(port):
                self._held.append(handle)
                return port
            os.close(handle)
        raise UserError("ports", f"no free port between {FIRST} and {LAST} in {ATTEMPTS} attempts")

    def release(self) -> None:
        """Give all claims back."""
        while self._held:
            os.close(self._held.pop())

    @staticmethod
    def _lock(path: Path) -> int | None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle


def is_free(port: int) -> bool:
    """True when 127.0.0.1:port can be bound."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
