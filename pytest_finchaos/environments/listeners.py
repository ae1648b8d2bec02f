"""Who listens on a port: from the kernel's socket tables to the owning process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_LISTEN = "0A"


def inodes_on(port: int) -> set[str]:
    """Inodes of sockets that listen on ``port``, IPv4 and IPv6."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def owned_by(port: int, pids: Iterable[int]) -> bool | None:
    """True when one of ``pids`` listens on ``port``; False when somebody else does; None when nobody does."""
    inodes = inodes_on(port)
    if not inodes:
        return None
    return any(inodes & _socket_inodes(pid) for pid in pids)


def describe_owner(port: int) -> str:
    """The process that listens on ``port``, in words, for an error message."""
    inodes = inodes_on(port)
    for folder in Path("/proc").iterdir():
        name = folder.name
        if name.isdigit() and inodes & _socket_inodes(int(name)):
            command = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            return f"process {name} ({command[:120]})"
    return "a process of another user" if inodes else "nobody"


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        return set()
    return found
