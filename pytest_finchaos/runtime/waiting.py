"""Waiting with a deadline and a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock

T = TypeVar("T")


class Waited(TimeoutError):
    """A wait that reached its deadline: what for, how long, the last state seen."""


@dataclass(frozen=True, slots=True)
class Not:
    """Returned by a probe that is not there yet; ``state`` says what it saw."""

    state: str


def wait_for(
    probe: Callable[[], T | Not],
    *,
    what: str,
    within_s: float,
    every_s: float = 0.01,
    clock: Clock | None = None,
) -> T:
    """Call ``probe`` until it returns something other than `Not`.

    Args:
        probe: Returns the awaited value, or ``Not(state)``.
        what: What is awaited, for the message.
        within_s: Deadline in seconds.
        every_s: Pause between calls in seconds.
        clock: The clock; the system's by default.

    Returns:
        The awaited value.

    Raises:
        Waited: When the deadline passed.
    """
    clock = clock or SystemClock()
    start_ns = clock.now_ns()
    while True:
        seen = probe()
        if not isinstance(seen, Not):
            return seen
        waited_s = (clock.now_ns() - start_ns) / NS_PER_S
        if waited_s >= within_s:
            raise Waited(f"waited {waited_s:.1f} s (limit {within_s:g} s) for {what}; last seen: {seen.state}")
        clock.sleep_s(min(every_s, within_s - waited_s))
