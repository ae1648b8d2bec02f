"""Processes of an environment, found however they try to get away, and their end by pidfd.

Three marks find a process: its environment variables; its working directory (PostgreSQL's children overwrite their
variables with their title, and a backend that is busy does not notice that its postmaster died); its descent from the
supervisor, which as a subreaper inherits whatever double-forks.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock

TAG = "FINCHAOS_ENVIRONMENT"
INSTANCE = "FINCHAOS_INSTANCE"
KILL_WITHIN_S = 5.0
EMPTY_LOOKS = 3
_EVERY_S = 0.002


def pids_of(environment: str, folder: Path | None = None) -> list[int]:
    """Every process that carries the environment's tag or works inside its data directory, without the caller.

    Args:
        environment: Environment id.
        folder: Its data directory.
    """
    return _marked(f"{TAG}={environment}", folder)


def pids_of_instance(instance: str, workdir: Path) -> list[int]:
    """Every process of one instance of a component: by its tag, or by its working directory."""
    return _marked(f"{INSTANCE}={instance}", workdir)


def _marked(variable: str, folder: Path | None) -> list[int]:
    wanted, own = variable.encode(), os.getpid()
    inside = "" if folder is None else str(folder)
    found = []
    for pid in _all_pids():
        if pid != own and (wanted in _variables(pid) or (inside and _works_in(pid, inside))):
            found.append(pid)
    return found


def _works_in(pid: int, folder: str) -> bool:
    try:
        place = str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)")
    except OSError:
        return False
    return place == folder or place.startswith(f"{folder}/")


def all_tags() -> dict[str, list[int]]:
    """Environment id to its processes, for every environment on this machine that may be read."""
    found: dict[str, list[int]] = {}
    for pid in _all_pids():
        for variable in _variables(pid):
            name, _, value = variable.partition(b"=")
            if name == TAG.encode():
                found.setdefault(value.decode(errors="replace"), []).append(pid)
    return found


def kill_all(environment: str, folder: Path | None = None, *, within_s: float = KILL_WITHIN_S) -> list[int]:
    """SIGKILL every process of an environment until none is left.

    Returns:
        Pids that were still there at the deadline; empty when all are gone.
    """
    return kill_found(lambda: pids_of(environment, folder), within_s)


def kill_descendants(environment: str, folder: Path, *, within_s: float = KILL_WITHIN_S) -> list[int]:
    """As `kill_all`, and every descendant of this process, marked or not: for a supervisor, which has no others."""
    return kill_found(lambda: sorted({*pids_of(environment, folder), *tree_of(os.getpid())[1:]}), within_s)


def kill_found(find: Callable[[], Iterable[int]], within_s: float) -> list[int]:
    """SIGKILL whatever ``find`` finds until it finds nothing.

    One empty look proves nothing: what was seen in the list of pids may fork a daemon and be gone before its
    variables are read, and the daemon is not in that list. So nothing must be found several times in a row.

    Returns:
        Pids that were still there at the deadline; empty when all are gone.
    """
    clock = SystemClock()
    deadline_ns = clock.now_ns() + int(within_s * NS_PER_S)
    empty_looks = 0
    while empty_looks < EMPTY_LOOKS:
        pids = [pid for pid in find() if lives(pid)]
        empty_looks = 0 if pids else empty_looks + 1
        for pid in pids:
            send(pid, signal.SIGKILL)
        if pids and clock.now_ns() > deadline_ns:
            return pids
        clock.sleep_s(_EVERY_S)
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
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def lives(pid: int) -> bool:
    """True when the process exists and is no zombie."""
    fields = _stat(pid)
    return fields is not None and fields[0] not in ("Z", "X")


def tree_of(pid: int) -> tuple[int, ...]:
    """A process with all its living descendants, itself first; empty when it is gone."""
    parents: dict[int, list[int]] = {}
    for other in _all_pids():
        fields = _stat(other)
        if fields is not None and fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(other)
    if start_ticks(pid) is None:
        return ()
    found, rest = [pid], [pid]
    while rest:
        children = parents.get(rest.pop(), [])
        found.extend(children)
        rest.extend(children)
    return tuple(found)


def reap(known: Collection[int] = ()) -> None:
    """Collect children that ended, except ``known`` ones, whose status somebody else waits for.

    A subreaper gets orphans that nobody else waits for.
    """
    own = str(os.getpid())
    for pid in _all_pids():
        if pid in known:
            continue
        fields = _stat(pid)
        if fields is not None and fields[0] == "Z" and fields[1] == own:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def _stat(pid: int) -> list[str] | None:
    """Fields of ``/proc/PID/stat`` from the third on; the name before them may hold blanks and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _all_pids() -> Iterable[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a third of the time of iterdir


def _variables(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - scanned for each process of the machine
            return file.read().split(b"\0")
    except OSError:
        return []
