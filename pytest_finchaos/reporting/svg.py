"""Hand-written SVG: escaped, titled, described, deterministic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from pytest_finchaos.reporting.formats import printable

TEXT_WIDTH = 6.1  # pixels of a letter at 11 px in common sans-serif faces; for deciding whether a label fits


class Drawing:
    """One SVG picture; the page's style sheet gives its classes their looks.

    Args:
        name: Unique in the page; ids of title, description and patterns begin with it.
        title: What it is.
        description: What it shows, in words, for those who cannot see it.
        width, height: In pixels of the view box.
    """

    def __init__(self, name: str, title: str, description: str, width: float, height: float) -> None:
        self.name = name
        self.width = width
        self.height = height
        self._head = Markup('<title id="{0}-t">{1}</title><desc id="{0}-d">{2}</desc>').format(
            name, printable(title), printable(description)
        )
        self._parts: list[Markup] = []

    def add(self, tag: str, text: str = "", /, **attributes: str | float) -> None:
        """An element; underscores in names stand for hyphens, a trailing one is dropped (``class_``)."""
        self._element(tag, escape(printable(text)), attributes)

    def hover(self, text: str, tag: str, /, **attributes: str | float) -> None:
        """A shape with a text that shows when pointed at."""
        self._element(tag, Markup("<title>{}</title>").format(printable(text)), attributes)

    def _element(self, tag: str, inner: Markup, attributes: Mapping[str, str | float]) -> None:
        words = Markup("").join(
            Markup(' {}="{}"').format(
                key.rstrip("_").replace("_", "-"), printable(value) if isinstance(value, str) else number(value)
            )
            for key, value in attributes.items()
        )
        form = Markup("<{0}{1}>{2}</{0}>") if inner else Markup("<{0}{1}/>")
        self._parts.append(form.format(tag, words, inner))

    def rules(self, class_: str, heights: Sequence[float], start: float, end: float) -> None:
        """Horizontal lines as one path."""
        path = "".join(f"M{number(start)} {number(y)}H{number(end)}" for y in heights)
        self.add("path", class_=class_, d=path)

    def hatch(self) -> str:
        """A pattern of diagonal strokes for bands of faults; returns the fill to use."""
        name = f"{self.name}-h"
        form = (
            '<defs><pattern id="{}" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern></defs>'
        )
        self._parts.append(Markup(form).format(name))  # noqa: S704 - a constant
        return f"url(#{name})"

    def render(self) -> Markup:
        """The markup."""
        return Markup(
            '<svg role="img" aria-labelledby="{0}-t {0}-d" viewBox="0 0 {1} {2}" width="{1}" height="{2}">{3}{4}</svg>'
        ).format(self.name, number(self.width), number(self.height), self._head, Markup("").join(self._parts))


def number(value: float) -> str:
    """One decimal, without a trailing ``.0``: enough for a pixel."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def polyline(points: Sequence[tuple[float, float] | None]) -> str:
    """A path in relative steps through the points; None is a gap, a lone point a dot."""
    parts: list[str] = []
    at: tuple[int, int] | None = None
    for point in points:
        if point is None:
            at = None
            continue
        x, y = round(point[0] * 10), round(point[1] * 10)
        if at is None:
            parts.append(f"M{number(x / 10)} {number(y / 10)}l0 0")
        else:
            parts.append(f" {number((x - at[0]) / 10)} {number((y - at[1]) / 10)}")
        at = (x, y)
    return "".join(parts)


def linear_ticks(limit: float, at_most: int) -> list[float]:
    """Round values from 0 to ``limit``, at most ``at_most`` + 1 of them, in steps of 1, 2 or 5 times a power of ten."""
    if limit <= 0:
        return [0.0]
    rough = limit / at_most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [step * at for at in range(int(limit / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Bounds and marks of a logarithmic axis: 1, 2, 5 times powers of ten around [low, high], at least two."""
    marks = [factor * 10.0**power for power in range(-3, 8) for factor in (1, 2, 5)]
    first = max((at for at, mark in enumerate(marks) if mark <= low * 1.0001), default=0)
    last = min((at for at, mark in enumerate(marks) if mark >= high * 0.9999), default=len(marks) - 1)
    return marks[first : max(last, first + 1) + 1]


def fits(text: str, width: float) -> bool:
    """True when ``text`` at 11 px is likely to fit into ``width`` pixels."""
    return len(text) * TEXT_WIDTH <= width
