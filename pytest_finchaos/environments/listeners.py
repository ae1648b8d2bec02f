"""Who listens on a port: from the kernel's socket tables to the owning process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_LISTEN = "0A"


def inodes_on(port: int) -> set[str]:
    """Inodes of sockets that listen on ``port``, IPv4 and IPv6."""
    found = set()
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            if wanted not in line:
                continue
            fields = line.split()
            if fields[3] == _LISTEN and fields[1].endswith(wanted):
                found.add(fields[9])
    return found


def owned_by(port: int, pids: Iterable[int]) -> bool | None:
    """True when one of ``pids`` listens on ``port``; False when somebody else does; None when nobody does.

    ``pids`` is only read when somebody listens, so that an expensive search may be passed lazily.
    """
    inodes = inodes_on(port)
    if not inodes:
        return None
    return any(inodes & _socket_inodes(pid) for pid in pids)


def owners_of(port: int, pids: Iterable[int]) -> tuple[int, ...]:
    """Those of ``pids`` that hold a socket that listens on ``port``: a server, and workers that inherited it."""
    inodes = inodes_on(port)
    return tuple(pid for pid in pids if inodes & _socket_inodes(pid)) if inodes else ()


def describe_owner(port: int) -> str:
    """The process that listens on ``port``, in words, for an error message."""
    inodes = inodes_on(port)
    for folder in Path("/proc").iterdir():
        name = folder.name
        if name.isdigit() and inodes & _socket_inodes(int(name)):
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                command = "ended meanwhile"
            return f"process {name} ({command.strip()[:120]})"
    return "a process of another user" if inodes else "nobody"


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - scanned for each look at each component
    except OSError:
        return set()
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - as above
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
