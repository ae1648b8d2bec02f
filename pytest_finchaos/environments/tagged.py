"""Processes of an environment, found by the tag in their environment variables, and their end by pidfd."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock

TAG = "FINCHAOS_ENVIRONMENT"


def pids_of(environment: str) -> list[int]:
    """Every process that carries the tag, double-forked daemons included; zombies have no environment any more."""
    wanted = f"{TAG}={environment}".encode()
    return [pid for pid in _all_pids() if wanted in _variables(pid) and pid != os.getpid()]


def all_tags() -> dict[str, list[int]]:
    """Environment id to its processes, for every environment on this machine that may be read."""
    found: dict[str, list[int]] = {}
    for pid in _all_pids():
        for variable in _variables(pid):
            name, _, value = variable.partition(b"=")
            if name == TAG.encode():
                found.setdefault(value.decode(errors="replace"), []).append(pid)
    return found


def kill_all(environment: str, *, within_s: float = 5.0) -> list[int]:
    """SIGKILL every tagged process until none is left.

    Returns:
        Pids that were still there at the deadline; empty when all are gone.
    """
    clock = SystemClock()
    deadline_ns = clock.now_ns() + int(within_s * NS_PER_S)
    while pids := pids_of(environment):
        for pid in pids:
            send(pid, signal.SIGKILL)
        reap()
        if clock.now_ns() > deadline_ns:
            return pids
        clock.sleep_s(0.002)
    reap()
    return []


def send(pid: int, number: int, *, started_ticks: int | None = None) -> bool:
    """Signal a process through a pidfd, so that a pid that was given to somebody else is never hit.

    Returns:
        False when the process is gone, or is not the one that ``started_ticks`` names.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if started_ticks is not None and start_ticks(pid) != started_ticks:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def start_ticks(pid: int) -> int | None:
    """Start time in clock ticks since boot (``/proc/PID/stat`` field 22), or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])


def tree_of(pid: int) -> tuple[int, ...]:
    """A process with all its living descendants, itself first; empty when it is gone."""
    parents: dict[int, list[int]] = {}
    for other in _all_pids():
        try:
            text = Path(f"/proc/{other}/stat").read_text()
        except OSError:
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents.setdefault(int(parent), []).append(other)
    if start_ticks(pid) is None:
        return ()
    found, rest = [pid], [pid]
    while rest:
        children = parents.get(rest.pop(), [])
        found.extend(children)
        rest.extend(children)
    return tuple(found)


def reap() -> None:
    """Collect children that ended; a subreaper gets orphans that nobody else waits for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _all_pids() -> Iterable[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _variables(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
