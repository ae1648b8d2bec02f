"""The time axis that all charts of a drill share, with the bands of its faults."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_finchaos.model.result import DrillResult
from pytest_finchaos.reporting.facts import label, offset_s
from pytest_finchaos.reporting.formats import seconds
from pytest_finchaos.reporting.svg import Drawing, linear_ticks, number

WIDTH = 1040.0
LEFT = 190.0
RIGHT = 120.0
AXIS_HEIGHT = 34.0


@dataclass(frozen=True, slots=True)
class Band:
    """A fault while it was armed, in seconds from the drill's start; it ends with the drill when never removed."""

    name: str
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds from the drill's start to pixels."""

    span_s: float

    def x(self, at_s: float) -> float:
        """Pixel of an offset, kept inside the plot."""
        inside = min(max(at_s, 0.0), self.span_s)
        return LEFT + inside * (WIDTH - LEFT - RIGHT) / self.span_s

    def draw(self, drawing: Drawing, top: float, bottom: float) -> None:
        """Grid lines from ``top`` to ``bottom`` and the marks below."""
        ticks = [(tick, self.x(tick)) for tick in linear_ticks(self.span_s, 12)]
        path = "".join(f"M{number(x)} {number(top)}V{number(bottom)}" for _, x in ticks)
        drawing.add("path", class_="grid", d=path)
        for tick, x in ticks:
            drawing.add("text", f"{tick:g} s", class_="x", x=x, y=bottom + 15)


def time_axis(drill: DrillResult) -> TimeAxis:
    """The axis from the drill's start to its end, or to the last point when it has none."""
    ends = [drill.duration_s, offset_s(drill, drill.ended_ns)]
    if drill.series is not None and drill.series.at_s:
        ends.append(drill.series.at_s[-1] + drill.series.width_s)
    ends.extend(offset_s(drill, span.end_ns) for span in drill.phases)
    return TimeAxis(max(1.0, *ends))


def bands(drill: DrillResult, axis: TimeAxis) -> list[Band]:
    """The faults that were armed."""
    found = []
    for at, injection in enumerate(drill.injections):
        if injection.armed_at_ns is None:
            continue
        end_ns = injection.disarmed_at_ns
        end_s = axis.span_s if end_ns is None else offset_s(drill, end_ns)
        found.append(Band(label(at), injection.fault, offset_s(drill, injection.armed_at_ns), end_s))
    return found


def draw_bands(drawing: Drawing, drill: DrillResult, axis: TimeAxis, top: float, bottom: float) -> None:
    """Hatched bands over a plot, each with its label above."""
    fill = drawing.hatch()
    for band in bands(drill, axis):
        x, end = axis.x(band.start_s), axis.x(band.end_s)
        text = (
            f"{band.name} {band.text}: {band.start_s:.2f} s to {band.end_s:.2f} s, {seconds(band.end_s - band.start_s)}"
        )
        drawing.hover(text, "rect", class_="band", x=x, y=top, width=max(end - x, 2.0), height=bottom - top, fill=fill)
        for edge in (x, max(end, x + 2.0)):
            drawing.add("line", class_="edge", x1=edge, x2=edge, y1=top - 4, y2=bottom)
        drawing.add("text", band.name, class_="bandname", x=x + 2, y=top - 6)
