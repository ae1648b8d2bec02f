"""Verdicts as a word with a shape and a colour, so that none of the three is needed alone."""

from __future__ import annotations

from markupsafe import Markup

from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.palette import BLACK, VERDICTS, WHITE
from pytest_finchaos.reporting.svg import Drawing

_MEANING = {
    Verdict.PASS: "decided, for the system",
    Verdict.FAIL: "the system broke its promise",
    Verdict.INVALID: "the run itself was unsound, so it proves nothing",
    Verdict.INCONCLUSIVE: "the data cannot decide",
}
_OUTLINES = {
    Verdict.PASS: "M24 2a22 22 0 1 0 .01 0z",
    Verdict.FAIL: "M15 2h18l13 13v18l-13 13h-18l-13 -13v-18z",
    Verdict.INVALID: "M24 2l23 43h-46z",
    Verdict.INCONCLUSIVE: "M24 1l23 23l-23 23l-23 -23z",
}
_SIGNS = {
    Verdict.PASS: "M13 25l8 8l15 -17",
    Verdict.FAIL: "M15 15l18 18m0 -18l-18 18",
    Verdict.INVALID: "M24 17v14m0 5v3",
    Verdict.INCONCLUSIVE: "M18 19a6 6 0 1 1 9 5q-3 2 -3 5m0 4v3",
}


def badge(verdict: Verdict) -> Markup:
    """A verdict in a table: the word; the style sheet puts its shape in its colour before it."""
    return Markup('<b class="v {}">{}</b>').format(verdict.value.lower(), verdict.value)


def emblem(verdict: Verdict, name: str) -> Markup:
    """The large sign of a verdict: circle, octagon, triangle or diamond.

    Args:
        verdict: The verdict.
        name: Unique in the page.
    """
    drawing = Drawing(name, verdict.value, f"{verdict.value}: {_MEANING[verdict]}", 48, 48)
    drawing.add("path", d=_OUTLINES[verdict], fill=VERDICTS[verdict])
    ink = BLACK if verdict is Verdict.INCONCLUSIVE else WHITE
    drawing.add("path", class_="sign", d=_SIGNS[verdict], stroke=ink)
    return drawing.render()
