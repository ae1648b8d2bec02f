"""The host lease: at most so many measured drills at a time on one host, whoever runs them.

Two measured drills on a small host falsify each other's latency (seen: lag of the generator p99 2 to 67 ms alone, 59 to
1,220 ms with four). A slot is a locked file in the cache; the kernel releases it when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock
from pytest_finchaos.runtime.files import cache_directory
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

SETTING = "FINCHAOS_SLOTS"
MOST_SLOTS = 64
WITHIN_S = 1800.0
EVERY_S = 0.05
TELL_EVERY_S = 15.0


def slots_of_host(variables: Mapping[str, str] | None = None) -> int:
    """How many drills may be measured at a time: half of the usable cores, at least one.

    Args:
        variables: Environment variables; this process's by default. ``FINCHAOS_SLOTS`` overrides.

    Raises:
        UserError: The setting is no number of slots.
    """
    named = (os.environ if variables is None else variables).get(SETTING)
    if not named:
        return max(1, len(os.sched_getaffinity(0)) // 2)
    if not named.isascii() or not named.isdigit() or not 1 <= int(named) <= MOST_SLOTS:
        raise UserError(SETTING, f"a whole number from 1 to {MOST_SLOTS} is wanted, not {named!r}")
    return int(named)


@dataclass(slots=True)
class HostLease:
    """A slot that is held until `release` or the end of the process.

    Args:
        slots: Slots of the host.
        waited_s: Seconds that it took to get one.
    """

    slots: int
    waited_s: float
    _handle: int

    def release(self) -> None:
        """Give the slot back; safe to call twice."""
        if self._handle >= 0:
            os.close(self._handle)  # the kernel unlocks with the last descriptor; it is not inherited
            self._handle = -1


def take(
    holder: str,
    *,
    tell: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
    slots: int | None = None,
    within_s: float = WITHIN_S,
    clock: Clock | None = None,
) -> HostLease:
    """Wait for a free slot and hold it.

    Args:
        holder: Who wants it, e.g. a node id; shown to those who wait.
        tell: Called with a sentence when it has to wait, and every 15 s then.
        folder: Where the slots' files are; in the cache by default.
        slots: Number of slots; `slots_of_host` by default.
        within_s: Deadline in seconds.
        clock: The clock; the system's by default.

    Returns:
        The lease.

    Raises:
        UserError: The deadline passed; names who holds the slots. Or the slots' files cannot be opened.
    """
    clock = clock or SystemClock()
    slots = slots_of_host() if slots is None else slots
    folder = folder or cache_directory() / "slots"
    start_ns = clock.now_ns()
    told_ns = start_ns - int(TELL_EVERY_S * NS_PER_S)

    def free() -> int | Not:
        nonlocal told_ns
        handle = _lock_any(folder, slots, holder)
        if handle is not None:
            return handle
        state = f"held by {'; '.join(_holders(folder, slots))}"
        now_ns = clock.now_ns()
        if now_ns - told_ns >= TELL_EVERY_S * NS_PER_S:
            told_ns = now_ns
            tell(
                f"waiting for one of {slots} slots of this host, {(now_ns - start_ns) / NS_PER_S:.0f} s so far: {state}"
            )
        return Not(state)

    try:
        folder.mkdir(mode=0o711, exist_ok=True)
        what = f"one of {slots} slots for measured drills of this host"
        handle = wait_for(free, what=what, within_s=within_s, every_s=EVERY_S, clock=clock)
    except Waited as late:
        raise UserError(
            "host lease", str(late), cure=f"wait for the others, or set {SETTING} where the host has room for more"
        ) from None
    except OSError as error:
        raise UserError("host lease", f"{folder}: {error}", cure="FINCHAOS_CACHE names another cache") from None
    return HostLease(slots, round((clock.now_ns() - start_ns) / NS_PER_S, 3), handle)


def _lock_any(folder: Path, slots: int, holder: str) -> int | None:
    """The locked descriptor of a free slot, or None."""
    for number in range(slots):
        handle = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}, {holder}"[:300].encode(errors="replace"), 0)
        return handle
    return None


def _holders(folder: Path, slots: int) -> list[str]:
    """Who says to hold the slots; only for messages."""
    return [(folder / str(number)).read_text(errors="replace") or "somebody" for number in range(slots)]
