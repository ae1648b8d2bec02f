"""Amounts, times and counts as people read them; never a float for money."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pytest_finchaos.runtime.clock import Anchor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ELLIPSIS = "…"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def count(number: int, singular: str, plural: str = "") -> str:
    """``1 payment``, ``1,480 payments``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def seconds(duration_s: float) -> str:
    """``0.24 s`` below one second, ``12.3 s`` below 120, then ``3 min 05 s``."""
    if abs(duration_s) < 1:
        return f"{duration_s:.2f} s"
    if abs(duration_s) < 120:
        return f"{duration_s:.1f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return f"{minutes} min {rest:02d} s"


def milliseconds(duration_ms: float) -> str:
    """Three significant figures: ``0.42 ms``, ``12.3 ms``, ``1,240 ms``."""
    if duration_ms < 10:
        return f"{duration_ms:.2f} ms"
    return f"{duration_ms:.1f} ms" if duration_ms < 100 else f"{duration_ms:,.0f} ms"


def share(part: float) -> str:
    """``12.3 %`` for 0.123."""
    return f"{part * 100:.1f} %"


def dated(started_at: str, started_ns: int, at_ns: int | None) -> str | None:
    """ISO 8601 UTC of an instant on the monotonic clock, from the drill's start on both clocks.

    Args:
        started_at: ISO 8601 UTC of the start.
        started_ns: The same instant, CLOCK_MONOTONIC.
        at_ns: The instant to date.

    Returns:
        None when there is no instant, or the start has no date.
    """
    if at_ns is None:
        return None
    try:
        start = datetime.fromisoformat(started_at)
        wall_ns = (start.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
        return Anchor(wall_ns, started_ns).date(at_ns)
    except (ValueError, OverflowError, OSError):
        return None


def time_of_day(iso: str | None) -> str:
    """``10:00:05.123`` of an ISO instant, ``–`` when there is none."""
    return "–" if iso is None or "T" not in iso else iso.split("T")[1].split("+")[0]


def between(start: str, end: str) -> str:
    """``2 min 31 s`` from one ISO instant to another; "" when one is none."""
    try:
        span = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    except (ValueError, TypeError):
        return ""
    return seconds(span.total_seconds())


def clip(text: str, limit: int) -> str:
    """``text`` on one line of at most ``limit`` characters, without control characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + _ELLIPSIS


def printable(text: str) -> str:
    """``text`` without control characters and lone surrogates: node ids and server answers may hold both."""
    return "".join(
        letter
        if letter in "\n\t" or (letter.isprintable() and not 0xD800 <= ord(letter) <= 0xDFFF)
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
