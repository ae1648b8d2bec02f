"""Processes as the kernel names them for good: pid and start time; signals that cannot hit a stranger."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.proxy.undo import descendants, started_ticks

STOPPED = ("T", "t")
DEAD = ("Z", "X", "x")


@dataclass(frozen=True, slots=True)
class Process:
    """A process; ``ticks`` is its start time in clock ticks since boot."""

    pid: int
    ticks: int

    @property
    def alive(self) -> bool:
        """True while it exists and is no zombie."""
        return self.state not in ("", *DEAD)

    @property
    def state(self) -> str:
        """Its state letter of ``/proc/PID/stat``, "" when it is gone."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()
        return fields[0] if int(fields[19]) == self.ticks else ""


def tree(root_pid: int, more: Iterable[int] = ()) -> tuple[Process, ...]:
    """The process, everything below it, and ``more`` with everything below them; the root first."""
    pids: dict[int, None] = {root_pid: None}
    for pid in (root_pid, *more):
        pids[pid] = None
        pids.update(dict.fromkeys(descendants(pid)))
    found = ((pid, started_ticks(pid)) for pid in pids if pid != os.getpid())
    return tuple(Process(pid, ticks) for pid, ticks in found if ticks is not None)


def open_pidfd(process: Process) -> int | None:
    """A descriptor of exactly this process, None when it has ended.

    The start time is compared after opening: from then on the descriptor cannot come to mean another process.

    Raises:
        OSError: When the kernel has no pidfd, or it may not be opened.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if started_ticks(process.pid) != process.ticks:
        os.close(handle)
        return None
    return handle


def signal_process(process: Process, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; False when it has ended."""
    handle = open_pidfd(process)
    if handle is None:
        return False
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
            return True
        return False
    finally:
        os.close(handle)


def exited(handle: int, within_s: float) -> bool:
    """True when the process of a pidfd has exited, waiting at most ``within_s`` seconds."""
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(max(0, round(within_s * 1000))))
