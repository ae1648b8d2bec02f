"""Latency and outcomes over time, on the time axis of the timeline, with the faults as hatched bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pytest_finchaos.model.result import DrillResult, Series
from pytest_finchaos.reporting import facts
from pytest_finchaos.reporting.canvas import AXIS_HEIGHT, LEFT, RIGHT, WIDTH, draw_bands, time_axis
from pytest_finchaos.reporting.formats import clip, milliseconds, seconds
from pytest_finchaos.reporting.palette import LINES, OUTCOMES
from pytest_finchaos.reporting.svg import Drawing, linear_ticks, log_ticks, number, polyline

TOP = 22.0
BOTTOM = 190.0
MAX_BARS = 100
MAX_ROWS = 30
_STACK = ("failed", "unknown", "declined", "ok")  # harm stands on the base line, where the eye compares best


@dataclass(frozen=True, slots=True)
class Bucket:
    """Some slices as one: counts are added, latencies are the highest of the slices."""

    start_s: float
    width_s: float
    counts: dict[str, int]
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None


def buckets(series: Series, at_most: int) -> list[Bucket]:
    """The series in at most ``at_most`` buckets of equal width; the last one may be narrower."""
    size = max(1, math.ceil(len(series.at_s) / at_most))
    return [_bucket(series, start, min(start + size, len(series.at_s))) for start in range(0, len(series.at_s), size)]


def _bucket(series: Series, start: int, end: int) -> Bucket:
    return Bucket(
        start_s=series.at_s[start],
        width_s=series.width_s * (end - start),
        counts={
            "failed": sum(series.failed[start:end]),
            "unknown": sum(series.unknown[start:end]),
            "declined": sum(series.declined[start:end]),
            "ok": sum(series.ok[start:end]),
        },
        p50_ms=_highest(series.p50_ms[start:end]),
        p95_ms=_highest(series.p95_ms[start:end]),
        max_ms=_highest(series.max_ms[start:end]),
    )


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def latency_chart(drill: DrillResult, series: Series, name: str) -> Markup:
    """p50, p95 and maximum of each slice on a logarithmic axis."""
    known = [
        value
        for row in (series.p50_ms, series.p95_ms, series.max_ms)
        for value in row
        if value is not None and value > 0
    ]
    title = f"Latency of {facts.short_id(drill.id)}"
    drawing = Drawing(name, title, _latency_words(series), WIDTH, BOTTOM + AXIS_HEIGHT)
    axis = time_axis(drill)
    axis.draw(drawing, TOP, BOTTOM)
    marks = log_ticks(max(min(known, default=1.0), 0.05), max(known, default=10.0))
    low, high = math.log10(marks[0]), math.log10(marks[-1])

    def y(value_ms: float) -> float:
        inside = min(max(math.log10(max(value_ms, 1e-6)), low), high)
        return BOTTOM - (inside - low) / (high - low) * (BOTTOM - TOP)

    whole = [mark for mark in marks if abs(math.log10(mark) - round(math.log10(mark))) < 1e-9]
    drawing.rules("grid faint", [y(mark) for mark in marks], LEFT, WIDTH - RIGHT)
    drawing.rules("grid", [y(mark) for mark in whole], LEFT, WIDTH - RIGHT)
    for mark in marks if len(marks) <= 8 else whole:
        drawing.add("text", f"{mark:g} ms", class_="y", x=LEFT - 8, y=y(mark) + 4)
    _axis_name(drawing, "latency from the", "intended time")
    draw_bands(drawing, drill, axis, TOP, BOTTOM)
    ends: list[tuple[float, str, str]] = []
    for key, values in (("max", series.max_ms), ("p95", series.p95_ms), ("p50", series.p50_ms)):
        colour, dashes = LINES[key]
        points = [
            None if value is None else (axis.x(at_s + series.width_s / 2), y(value))
            for at_s, value in zip(series.at_s, values, strict=True)
        ]
        drawing.add("path", class_="line", d=polyline(points), stroke=colour, stroke_dasharray=dashes or "none")
        last = next((point for point in reversed(points) if point is not None), None)
        if last is not None:
            ends.append((last[1], key, colour))
    _line_labels(drawing, ends)
    return drawing.render()


def _axis_name(drawing: Drawing, *lines: str) -> None:
    for at, text in enumerate(lines):
        drawing.add("text", text, class_="lanename", x=4, y=TOP + 12 + at * 14)


def _line_labels(drawing: Drawing, ends: list[tuple[float, str, str]]) -> None:
    """Names at the right end of the lines, pushed apart; a short sample of the line shows its dashes."""
    floor = TOP
    for y, key, colour in sorted(ends):
        at = max(y, floor)
        floor = at + 15
        x = WIDTH - RIGHT + 8
        drawing.add(
            "line",
            class_="line",
            x1=x,
            x2=x + 22,
            y1=at,
            y2=at,
            stroke=colour,
            stroke_dasharray=LINES[key][1] or "none",
        )
        drawing.add("text", key, class_="endname", x=x + 28, y=at + 4)


def _latency_words(series: Series) -> str:
    parts = []
    for key, values in (("p50", series.p50_ms), ("p95", series.p95_ms), ("maximum", series.max_ms)):
        known = [(value, at_s) for at_s, value in zip(series.at_s, values, strict=True) if value is not None]
        if known:
            worst, at_s = max(known)
            parts.append(
                f"{key} between {milliseconds(min(known)[0])} and {milliseconds(worst)}, highest at {at_s:.1f} s"
            )
    return clip(
        f"Slices of {seconds(series.width_s)}, logarithmic axis. " + ("; ".join(parts) or "No answer was measured."),
        800,
    )


def outcome_chart(drill: DrillResult, series: Series, name: str) -> Markup:
    """Operations a second by outcome, stacked, harm at the bottom."""
    shown = buckets(series, MAX_BARS)
    totals = {key: sum(bucket.counts[key] for bucket in shown) for key in _STACK}
    harm = _harm(shown)
    drawing = Drawing(
        name, f"Outcomes of {facts.short_id(drill.id)}", _outcome_words(totals, harm), WIDTH, BOTTOM + AXIS_HEIGHT
    )
    axis = time_axis(drill)
    axis.draw(drawing, TOP, BOTTOM)
    highest = max((sum(bucket.counts.values()) / bucket.width_s for bucket in shown), default=1.0) or 1.0
    ticks = linear_ticks(highest * 1.05, 4)

    def y(rate: float) -> float:
        return BOTTOM - rate / (highest * 1.05) * (BOTTOM - TOP)

    drawing.rules("grid", [y(tick) for tick in ticks], LEFT, WIDTH - RIGHT)
    for tick in ticks:
        drawing.add("text", f"{tick:g}/s", class_="y", x=LEFT - 8, y=y(tick) + 4)
    _axis_name(drawing, "operations", "a second", *_harm_lines(totals, harm))
    for key in _STACK:
        path = "".join(
            _bar(axis.x(bucket.start_s), axis.x(bucket.start_s + bucket.width_s), *_heights(bucket, key, y))
            for bucket in shown
            if bucket.counts[key]
        )
        if path:
            drawing.add("path", class_=f"bar {key}", d=path, fill=OUTCOMES[key])
    draw_bands(drawing, drill, axis, TOP, BOTTOM)
    for at, key in enumerate(reversed(_STACK)):
        at_y, x = TOP + 12 + at * 20, WIDTH - RIGHT + 8
        drawing.add("rect", class_=f"bar {key}", x=x, y=at_y - 9, width=12, height=12, fill=OUTCOMES[key])
        drawing.add("text", f"{key} {totals[key]:,}", class_="endname", x=x + 18, y=at_y + 1)
    return drawing.render()


def _heights(bucket: Bucket, key: str, y: Callable[[float], float]) -> tuple[float, float]:
    below = sum(bucket.counts[other] for other in _STACK[: _STACK.index(key)])
    return y(below / bucket.width_s), y((below + bucket.counts[key]) / bucket.width_s)


def _bar(x: float, end: float, bottom: float, top: float) -> str:
    """A bar with a gap of half a pixel to its neighbour, so that bars can be told apart."""
    width, height = number(max(end - x - 0.5, 0.5)), number(bottom - top)
    return f"M{number(x)} {number(bottom)}v-{height}h{width}v{height}z"


def _harm(shown: Sequence[Bucket]) -> tuple[float, float] | None:
    """From the first to the end of the last bucket with a failed or unknown operation."""
    harmed = [bucket for bucket in shown if bucket.counts["failed"] + bucket.counts["unknown"]]
    return (harmed[0].start_s, harmed[-1].start_s + harmed[-1].width_s) if harmed else None


def _outcome_words(totals: Mapping[str, int], harm: tuple[float, float] | None) -> str:
    words = ", ".join(f"{totals[key]:,} {key}" for key in reversed(_STACK))
    if harm is None:
        return f"{words}. No slice holds a failed or unknown operation."
    return f"{words}. Failed or unknown operations between {harm[0]:.1f} s and {harm[1]:.1f} s."


def _harm_lines(totals: Mapping[str, int], harm: tuple[float, float] | None) -> list[str]:
    if harm is None:
        return ["", "none failed or unknown"]
    parts = [f"{totals[key]:,} {key}" for key in ("failed", "unknown") if totals[key]]
    return ["", *parts, f"{harm[0]:.1f} s to {harm[1]:.1f} s"]
