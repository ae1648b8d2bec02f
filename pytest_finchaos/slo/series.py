"""Points for charts: what happened to the operations of each slice, by intended time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_finchaos.model.history import Operation, Outcome
from pytest_finchaos.model.result import Series
from pytest_finchaos.slo.events import answered_ns

MAX_POINTS = 450  # one point for two pixels of the report's chart
_NS_PER_MS = 1_000_000
_WIDTHS_MS = (100, 200, 250, 500, 1000)
_COLUMN = {
    Outcome.OK: "ok",
    Outcome.DECLINED: "declined",
    Outcome.REFUSED: "failed",
    Outcome.FAILED: "failed",
    None: "failed",  # never sent: the client was not served
    Outcome.UNKNOWN: "unknown",
    Outcome.CENSORED: "unknown",
}


@dataclass(slots=True)
class _Point:
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("ok", "declined", "failed", "unknown"), 0))
    latencies_ns: list[int] = field(default_factory=list)


def series(operations: Iterable[Operation], *, origin_ns: int, end_ns: int) -> Series:
    """Points of equal width from ``origin_ns`` to ``end_ns``, at most 450.

    Args:
        operations: What the load did; those intended outside the range are left out.
        origin_ns: CLOCK_MONOTONIC of the drill's start: offset 0.
        end_ns: End of the chart.
    """
    width_ns = _width_ns(end_ns - origin_ns)
    points = [_Point() for _ in range(max(1, -(-(end_ns - origin_ns) // width_ns)))]
    for operation in operations:
        if not origin_ns <= operation.intended_ns < end_ns:
            continue
        point = points[(operation.intended_ns - origin_ns) // width_ns]
        point.counts[_COLUMN[operation.outcome]] += 1
        latency_ns = answered_ns(operation)
        if latency_ns is not None:
            point.latencies_ns.append(latency_ns)
    for point in points:
        point.latencies_ns.sort()
    return Series(
        width_s=width_ns / 1e9,
        at_s=tuple(round(at * width_ns / 1e9, 3) for at in range(len(points))),
        ok=tuple(point.counts["ok"] for point in points),
        declined=tuple(point.counts["declined"] for point in points),
        failed=tuple(point.counts["failed"] for point in points),
        unknown=tuple(point.counts["unknown"] for point in points),
        p50_ms=tuple(_quantile_ms(point.latencies_ns, 50) for point in points),
        p95_ms=tuple(_quantile_ms(point.latencies_ns, 95) for point in points),
        max_ms=tuple(_quantile_ms(point.latencies_ns, 100) for point in points),
    )


def nearest_rank(ordered: Sequence[int], per_cent: int) -> int:
    """The smallest of ``ordered`` (ascending, not empty) that ``per_cent`` % do not exceed; no interpolation."""
    return ordered[max(0, -(-len(ordered) * per_cent // 100) - 1)]


def _quantile_ms(ordered: Sequence[int], per_cent: int) -> float | None:
    return round(nearest_rank(ordered, per_cent) / _NS_PER_MS, 3) if ordered else None


def _width_ns(span_ns: int) -> int:
    for width_ms in _WIDTHS_MS:
        if span_ns <= MAX_POINTS * width_ms * _NS_PER_MS:
            return width_ms * _NS_PER_MS
    second_ns = 1000 * _NS_PER_MS
    return -(-span_ns // (MAX_POINTS * second_ns)) * second_ns
