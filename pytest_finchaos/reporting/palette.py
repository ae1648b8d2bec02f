"""Colours that colour-blind people can tell apart, with the contrast that graphics need; never the only sign."""

from __future__ import annotations

from pytest_finchaos.model.verdict import Verdict

WHITE = "#ffffff"
INK = "#1a1d21"
BLACK = "#000000"
# Okabe and Ito (2008); their orange, sky blue and yellow fall below 3:1 on white and are left out.
BLUE = "#0072b2"
VERMILLION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
MUTED = "#5a626c"  # secondary text and axes

# Green belongs to PASS alone: what is not decided must not look like it.
VERDICTS = {
    Verdict.PASS: GREEN,
    Verdict.FAIL: VERMILLION,
    Verdict.INVALID: BLACK,
    Verdict.INCONCLUSIVE: PURPLE,
}
SHAPES = {Verdict.PASS: "✓", Verdict.FAIL: "✕", Verdict.INVALID: "▲", Verdict.INCONCLUSIVE: "◆"}
OUTCOMES = {"failed": VERMILLION, "unknown": PURPLE, "declined": BLUE, "ok": GREEN}
LINES = {"max": (BLACK, "1.5 2.5"), "p95": (VERMILLION, "6 3"), "p50": (BLUE, "")}
GRAPHICS = (BLUE, VERMILLION, GREEN, PURPLE, BLACK, MUTED)
TEXTS = (INK, MUTED)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
