"""The only module that reads the time or sleeps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Time as the harness sees it; tests pass a fake."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC in nanoseconds, one clock for all processes of a host."""
        ...

    def sleep_s(self, duration_s: float) -> None:
        """Wait ``duration_s`` seconds."""
        ...


class SystemClock:
    """The real clock."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()

    def sleep_s(self, duration_s: float) -> None:
        """Wait ``duration_s`` seconds."""
        time.sleep(duration_s)


@dataclass(frozen=True, slots=True)
class Anchor:
    """One instant on both clocks, so that monotonic times of a file can be dated.

    Args:
        wall_ns: CLOCK_REALTIME.
        monotonic_ns: CLOCK_MONOTONIC.
    """

    wall_ns: int
    monotonic_ns: int

    def date(self, monotonic_ns: int) -> str:
        """ISO 8601 UTC with milliseconds for an instant on the monotonic clock."""
        wall_s = (self.wall_ns + monotonic_ns - self.monotonic_ns) / NS_PER_S
        return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")


def anchor() -> Anchor:
    """An anchor taken now."""
    return Anchor(time.time_ns(), time.monotonic_ns())


def now_utc() -> str:
    """Now, ISO 8601 UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
