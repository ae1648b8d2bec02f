"""The only module of the payment system that reads the time; the system shares no code with the harness."""

from __future__ import annotations

import time


def wall_s() -> float:
    """Seconds since the epoch, for the expiry of tokens."""
    return time.time()


def monotonic_s() -> float:
    """Seconds on a clock that never goes back, for durations."""
    return time.perf_counter()


def processor_s() -> float:
    """CPU time of this process in seconds."""
    return time.process_time()
