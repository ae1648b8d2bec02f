"""Time cut into slices of 100 ms, merged while empty or thin."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SLICE_NS = 100_000_000
THIN = 5  # fewer events say nothing of a slice; 5 keeps 100 ms at 50 requests/s and makes 250 ms of 20 requests/s


@dataclass(frozen=True, slots=True)
class Slice:
    """One piece of time with its events.

    Args:
        start_ns, end_ns: CLOCK_MONOTONIC, half-open.
        total: Events.
        bad: Events that were not good.
    """

    start_ns: int
    end_ns: int
    total: int
    bad: int


def cut(events: Iterable[tuple[int, bool]], bounds: Sequence[int]) -> tuple[Slice, ...]:
    """Slices between neighbouring ``bounds``; no slice reaches across a bound.

    Args:
        events: (instant in ns, whether it was bad), in order of time.
        bounds: At least two instants in ns, ascending; events outside them are left out.

    Returns:
        Slices without gaps, each of at least `THIN` events where the stretch between its bounds has as many: a thin
        slice is joined with the next one, at the end of a stretch with the one before.
    """
    waiting = [event for event in events if bounds[0] <= event[0] < bounds[-1]]
    slices: list[Slice] = []
    at = 0
    for start_ns, end_ns in itertools.pairwise(bounds):
        first = at
        while at < len(waiting) and waiting[at][0] < end_ns:
            at += 1
        slices.extend(_stretch(waiting[first:at], start_ns, end_ns))
    return tuple(slices)


def _stretch(events: Sequence[tuple[int, bool]], start_ns: int, end_ns: int) -> list[Slice]:
    slices: list[Slice] = []
    at, from_ns = 0, start_ns
    total = bad = 0
    for edge_ns in range(start_ns + SLICE_NS, end_ns + SLICE_NS, SLICE_NS):
        to_ns = min(edge_ns, end_ns)
        while at < len(events) and events[at][0] < to_ns:
            total, bad = total + 1, bad + events[at][1]
            at += 1
        last = to_ns == end_ns
        if total >= THIN and not (last and to_ns - from_ns < SLICE_NS and slices):
            slices.append(Slice(from_ns, to_ns, total, bad))
            from_ns, total, bad = to_ns, 0, 0
    if from_ns < end_ns:
        if slices:
            before = slices.pop()
            slices.append(Slice(before.start_ns, end_ns, before.total + total, before.bad + bad))
        else:
            slices.append(Slice(from_ns, end_ns, total, bad))
    return slices
