"""Small pictures of the review: results of a drill in order, and a sparkline of an objective against its budget."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.facts import short_id
from pytest_finchaos.reporting.formats import clip
from pytest_finchaos.reporting.palette import BLUE, MUTED, VERDICTS, VERMILLION
from pytest_finchaos.reporting.review import DrillLine, Mark
from pytest_finchaos.reporting.review_recovery import RecoveryLine
from pytest_finchaos.reporting.review_trend import TrendLine
from pytest_finchaos.reporting.svg import Drawing, number, polyline

STEP = 15.0
MAX_MARKS = 40
SPARK_WIDTH = 300.0
SPARK_HEIGHT = 46.0
_SHAPES = {
    Verdict.PASS: "m0 -5a5 5 0 1 0 .01 0z",
    Verdict.FAIL: "m-5 -5h10v10h-10z",
    Verdict.INVALID: "m0 -5l5.5 10h-11z",
    Verdict.INCONCLUSIVE: "m0 -6l6 6l-6 6l-6 -6z",
}
_WORDS = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.INVALID: "invalid",
    Verdict.INCONCLUSIVE: "inconclusive",
}


def strip(line: DrillLine, name: str) -> Markup:
    """The newest 40 results of a drill, oldest at the left; shapes as well as colours tell them apart."""
    shown = line.marks[-MAX_MARKS:]
    hidden = len(line.marks) - len(shown)
    told = ", ".join(_word(mark) for mark in shown)
    earlier = f" {hidden} earlier results are not drawn." if hidden else ""
    drawing = Drawing(
        name, f"Results of {short_id(line.id)}", clip(f"Oldest first: {told}.{earlier}", 800), STEP * len(shown) + 4, 18
    )
    for at, mark in enumerate(shown):
        x = STEP * at + 9
        text = f"{mark.started_at[:16].replace('T', ' ')} {_word(mark)}, run {mark.run}"
        if mark.verdict is None:
            path = f"M{number(x - 4)} 5l8 8m0 -8l-8 8"
            drawing.hover(text, "path", d=path, fill="none", stroke=MUTED, stroke_width=2)
        else:
            path = f"M{number(x)} 9{_SHAPES[mark.verdict]}"
            drawing.hover(text, "path", d=path, fill=VERDICTS[mark.verdict])
    return drawing.render()


def _word(mark: Mark) -> str:
    return "lost" if mark.verdict is None else _WORDS[mark.verdict]


def sparkline(line: TrendLine, name: str) -> Markup:
    """The share of bad events of each run; the dashed line is the budget, a square a run that spent more."""
    shares = [point.share for point in line.points]
    budget = None if line.budget is None else float(line.budget)
    top = max([*shares, (budget or 0.0) * 1.6]) or 1.0
    over = [share > budget for share in shares] if budget is not None else [False] * len(shares)
    drawing = Drawing(
        name,
        f"Share of bad events under {line.objective}",
        _spark_words(shares, sum(over), budget),
        SPARK_WIDTH,
        SPARK_HEIGHT,
    )

    def y(share: float) -> float:
        return SPARK_HEIGHT - 6 - share / top * (SPARK_HEIGHT - 14)

    drawing.add("line", class_="grid", x1=4, x2=SPARK_WIDTH - 4, y1=y(0), y2=y(0))
    if budget is not None:
        drawing.add("line", class_="edge", x1=4, x2=SPARK_WIDTH - 4, y1=y(budget), y2=y(budget))
    points = [(_x(at, len(shares)), y(share)) for at, share in enumerate(shares)]
    drawing.add("path", class_="line", d=polyline(points), stroke=BLUE)
    for at, ((x, height), point) in enumerate(zip(points, line.points, strict=True)):
        when = point.started_at[:16].replace("T", " ")
        text = f"{when}: {point.bad:,} bad of {point.good + point.bad:,}, run {point.run}"
        if over[at]:
            drawing.hover(text, "rect", x=x - 4, y=height - 4, width=8, height=8, fill=VERMILLION)
        else:
            drawing.hover(text, "circle", cx=x, cy=height, r=3, fill=BLUE)
    return drawing.render()


def _x(at: int, amount: int) -> float:
    return SPARK_WIDTH / 2 if amount == 1 else 8 + at * (SPARK_WIDTH - 16) / (amount - 1)


def _spark_words(shares: Sequence[float], over: int, budget: float | None) -> str:
    runs = f"{len(shares)} runs" if len(shares) != 1 else "one run"
    words = f"{runs}, worst {max(shares) * 100:.3g} %, newest {shares[-1] * 100:.3g} %"
    return f"{words}; {over} above the budget of {budget * 100:.3g} %" if budget is not None else words


def times(line: RecoveryLine, name: str) -> Markup:
    """The recovery time of each run as a dot on a scale that the limit is drawn on."""
    limit = line.limit_s or 0.0
    top = max([*line.times_s, limit * 1.25]) * (1.15 if line.never else 1.0) or 1.0
    described = ", ".join(f"{at_s:.2f} s" for at_s in line.times_s) or "no run recovered after the removal"
    described += f"; {line.worst}" if line.never else ""
    drawing = Drawing(
        name, f"Recovery times of {short_id(line.drill)}", clip(f"In order of time: {described}.", 800), 160, 18
    )

    def x(at_s: float) -> float:
        return 5 + at_s / top * 148

    drawing.add("line", class_="grid", x1=5, x2=155, y1=9, y2=9)
    if limit:
        drawing.add("line", class_="edge", x1=x(limit), x2=x(limit), y1=1, y2=17)
    for at_s in line.times_s:
        late = bool(limit) and at_s > limit
        if late:
            drawing.hover(f"{at_s:.2f} s", "rect", x=x(at_s) - 4, y=5, width=8, height=8, fill=VERMILLION)
        else:
            drawing.hover(f"{at_s:.2f} s", "circle", cx=x(at_s), cy=9, r=3.5, fill=BLUE)
    if line.never:
        drawing.hover(line.worst, "path", d="M147 5l8 8m0 -8l-8 8", fill="none", stroke=VERMILLION, stroke_width=2.5)
    return drawing.render()
