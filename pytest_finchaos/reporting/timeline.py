"""The timeline of a drill as swim lanes: phases, faults, components, recoveries."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from markupsafe import Markup

from pytest_finchaos.model.result import DrillResult, InjectionResult, RecoveryResult
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.reporting import facts
from pytest_finchaos.reporting.canvas import AXIS_HEIGHT, LEFT, WIDTH, TimeAxis, time_axis
from pytest_finchaos.reporting.formats import clip, count, seconds
from pytest_finchaos.reporting.svg import Drawing, fits

LANE = 30.0
TOP = 6.0
MAX_FAULTS, MAX_COMPONENTS, MAX_RECOVERIES = 20, 12, 20
_GUTTER_LETTERS = 30


@dataclass(frozen=True, slots=True)
class _Lane:
    """Where something is drawn: the picture, the drill, its time axis, the lane's upper edge, the fill of faults."""

    drawing: Drawing
    drill: DrillResult
    axis: TimeAxis
    y: float
    fill: str

    @property
    def middle(self) -> float:
        return self.y + LANE / 2

    def offset_s(self, at_ns: int) -> float:
        return facts.offset_s(self.drill, at_ns)

    def gutter(self, text: str, shown: str = "") -> None:
        edge = self.y + LANE
        self.drawing.add("line", class_="lane", x1=0, x2=WIDTH, y1=edge, y2=edge)
        self.drawing.hover(text, "rect", class_="clear", x=0, y=self.y, width=LEFT - 6, height=LANE)
        self.drawing.add("text", clip(shown or text, _GUTTER_LETTERS), class_="lanename", x=4, y=self.y + 19)

    def beside(self, text: str, *, right: float, left: float, bad: bool) -> None:
        """A note to the right of a bar, or to its left where the right has no room."""
        kind = "note bad" if bad else "note"
        if fits(text, WIDTH - right):
            self.drawing.add("text", text, class_=kind, x=right, y=self.y + 19)
        else:
            self.drawing.add("text", text, class_=f"{kind} left", x=left, y=self.y + 19)


def timeline(drill: DrillResult, name: str) -> Markup:
    """Swim lanes over the drill's time."""
    axis = time_axis(drill)
    components = _components(drill)
    faults, recoveries = drill.injections[:MAX_FAULTS], drill.recoveries[:MAX_RECOVERIES]
    bottom = TOP + (1 + len(faults) + len(components) + len(recoveries)) * LANE
    title = f"Timeline of {facts.short_id(drill.id)}"
    drawing = Drawing(name, title, _description(drill), WIDTH, bottom + AXIS_HEIGHT)
    axis.draw(drawing, TOP, bottom)
    fill = drawing.hatch()
    lanes = (_Lane(drawing, drill, axis, TOP + at * LANE, fill) for at in itertools.count())
    _phases(next(lanes))
    for at, injection in enumerate(faults):
        _fault(next(lanes), facts.label(at), injection)
    for component, events in components.items():
        _component(next(lanes), component, events)
    for recovery in recoveries:
        _recovery(next(lanes), recovery)
    return drawing.render()


def _description(drill: DrillResult) -> str:
    told = "; ".join(f"{moment.at_s:.1f} s: {moment.text}" for moment in facts.moments(drill)[:30])
    return clip(f"{count(len(drill.phases), 'phase')}, {count(len(drill.injections), 'fault')}. {told}", 1500)


def _phases(lane: _Lane) -> None:
    lane.gutter("phases")
    for at, span in enumerate(lane.drill.phases):
        start_s, end_s = lane.offset_s(span.start_ns), lane.offset_s(span.end_ns)
        x, name = lane.axis.x(start_s), span.phase.value
        width = max(1.0, lane.axis.x(end_s) - x)
        text = f"{name}: {start_s:.2f} s to {end_s:.2f} s, {seconds(end_s - start_s)}"
        lane.drawing.hover(text, "rect", class_=f"phase p{at % 2}", x=x, y=lane.y + 5, width=width, height=LANE - 10)
        if fits(name, width - 6):
            lane.drawing.add("text", name, class_="inside", x=x + width / 2, y=lane.y + 19)


def _fault(lane: _Lane, name: str, injection: InjectionResult) -> None:
    lane.gutter(f"{name} {injection.fault}")
    if injection.armed_at_ns is None:
        lane.drawing.add("text", "never armed", class_="note bad", x=LEFT + 4, y=lane.y + 19)
        return
    start_s = lane.offset_s(injection.armed_at_ns)
    end_ns = injection.disarmed_at_ns
    end_s = lane.axis.span_s if end_ns is None else lane.offset_s(end_ns)
    x = lane.axis.x(start_s)
    end = max(lane.axis.x(end_s), x + 3)
    text = f"{name} {injection.fault}: armed {start_s:.2f} s to {end_s:.2f} s"
    box = {"x": x, "y": lane.y + 6, "width": end - x, "height": LANE - 12}
    lane.drawing.hover(text, "rect", class_="fault", fill=lane.fill, **box)
    for at_ns, up in ((injection.acted_at_ns, True), (injection.gone_at_ns, False)):
        if at_ns is not None:
            _mark(lane, lane.axis.x(lane.offset_s(at_ns)), up=up)
    note, bad = proof(injection)
    if injection.gone_at_ns is not None:
        end = max(end, lane.axis.x(lane.offset_s(injection.gone_at_ns)) + 6)
    lane.beside(note, right=end + 6, left=x - 8, bad=bad)


def proof(injection: InjectionResult) -> tuple[str, bool]:
    """What was proven of a fault in words, and whether something is missing."""
    acted = {True: "acted", False: "DID NOT ACT", None: "effect not checked"}[injection.acted]
    gone = {True: "gone", False: "STILL THERE", None: "removal not checked"}[injection.gone]
    return f"{acted}, {gone}", injection.acted is not True or injection.gone is not True


def _mark(lane: _Lane, x: float, *, up: bool) -> None:
    step = -9 if up else 9
    path = f"M{x - 6:.1f} {lane.middle - step / 2:.1f}h12l-6 {step}z"
    lane.drawing.hover("seen to act" if up else "proven gone", "path", class_="mark", d=path)


def _components(drill: DrillResult) -> dict[str, list[Event]]:
    """Components with events during the drill, most eventful first; those that never changed need no lane."""
    found: dict[str, list[Event]] = {}
    for event in drill.events:
        if event.kind.startswith("component-") and event.at_ns >= drill.started_ns:
            found.setdefault(event.subject, []).append(event)
    ordered = sorted(found, key=lambda name: (-len(found[name]), name))[:MAX_COMPONENTS]
    return {name: found[name] for name in ordered}


def _component(lane: _Lane, component: str, events: list[Event]) -> None:
    lane.gutter(component)
    middle = lane.middle
    down_s: float | None = None
    for event in events:
        at_s = lane.offset_s(event.at_ns)
        x = lane.axis.x(at_s)
        words = f"{event.kind.removeprefix('component-')} at {at_s:.2f} s {event.text}"
        if event.kind == "component-exited":
            down_s = at_s if down_s is None else down_s
            path = f"M{x - 5:.1f} {middle - 5:.1f}l10 10m0 -10l-10 10"
            lane.drawing.hover(words, "path", class_="exited", d=path)
        elif event.kind == "component-ready":
            lane.drawing.hover(words, "circle", class_="ready", cx=x, cy=middle, r=5)
            _down(lane, down_s, at_s)
            down_s = None
        else:
            lane.drawing.hover(words, "circle", class_="started", cx=x, cy=middle, r=4)
    _down(lane, down_s, lane.axis.span_s)


def _down(lane: _Lane, start_s: float | None, end_s: float) -> None:
    if start_s is None:
        return
    x, end = lane.axis.x(start_s), lane.axis.x(end_s)
    lane.drawing.add("line", class_="down", x1=x + 7, x2=max(end - 6, x + 8), y1=lane.middle, y2=lane.middle)
    lane.beside(f"down {seconds(end_s - start_s)}", right=end + 9, left=x - 9, bad=True)


def _recovery(lane: _Lane, recovery: RecoveryResult) -> None:
    words = facts.fault_words(lane.drill, recovery.injection)
    lane.gutter(f"recovery from {words}", f"recovery from {words.partition(' ')[0]}")
    if recovery.impact_at_ns is None:
        text = f"no impact seen ({recovery.outcome.replace('_', ' ')})"
        lane.drawing.add("text", text, class_="note", x=LEFT + 4, y=lane.y + 19)
        return
    start_s = lane.offset_s(recovery.impact_at_ns)
    never = recovery.recovered_at_ns is None
    end_s = lane.axis.span_s if recovery.recovered_at_ns is None else lane.offset_s(recovery.recovered_at_ns)
    x, end, middle = lane.axis.x(start_s), lane.axis.x(end_s), lane.middle
    lane.drawing.add("path", class_="bracket", d=f"M{x:.1f} {middle - 6:.1f}v12m0 -6H{end:.1f}")
    tip = f"M{end - 7:.1f} {middle - 5:.1f}l7 5l-7 5" if never else f"M{end:.1f} {middle - 6:.1f}v12"
    lane.drawing.add("path", class_="bracket", d=tip)
    words = "not recovered" if never else f"{seconds(end_s - start_s)} from impact to recovery"
    lane.beside(words, right=end + 6, left=x - 6, bad=never)
