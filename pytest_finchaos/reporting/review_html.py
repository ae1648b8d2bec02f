"""The review as one HTML page, readable without network and without script, in the looks of the run's report."""

from __future__ import annotations

from functools import partial
from typing import Any

from markupsafe import Markup

from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting import facts, formats, palette
from pytest_finchaos.reporting.badges import badge, emblem
from pytest_finchaos.reporting.pages import templates
from pytest_finchaos.reporting.review import Review, tally
from pytest_finchaos.reporting.review_charts import sparkline, strip, times

_TEXT = 600
_MAX_RUNS = 200


def standing(review: Review) -> Verdict:
    """The sign of the review: the worst that a drill stands at; nothing shown is INCONCLUSIVE.

    A gate that does not pass keeps the sign from being green.
    """
    if review.failures or any(gate.status == "fail" for gate in review.gates):
        return Verdict.FAIL
    blocked = any(gate.status not in ("pass", "not concerned") for gate in review.gates)
    if review.undecided or not review.drills or blocked:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


def render_review_html(review: Review) -> str:
    """The page: the same text for the same review."""
    environment = templates(_filters())
    text = environment.get_template("review.html.j2").render(
        review=review,
        sign=standing(review),
        strips={line.id: strip(line, f"s{at}") for at, line in enumerate(review.drills)},
        failed={line.id: strip(line, f"f{at}") for at, line in enumerate(review.failures)},
        sparks=[sparkline(line, f"t{at}") for at, line in enumerate(review.trends)],
        dots=[times(line, f"r{at}") for at, line in enumerate(review.recoveries)],
        max_runs=_MAX_RUNS,
        tally=tally,
        css=Markup(environment.get_template("style.css.j2").render(palette=palette)),  # noqa: S704 - our own file
    )
    return formats.printable(text)


def _named(node_id: str) -> Markup:
    """A drill in a table: its name, which may break after each underscore, and its file below."""
    file, _, name = node_id.partition("::")
    if not name:
        return Markup("{}").format(file)
    parts = Markup("_<wbr>").join(name.split("_"))
    return Markup('{}<span class="file muted">{}</span>').format(parts, file)


def _filters() -> dict[str, Any]:
    return {
        "badge": lambda verdict: Markup('<b class="v none">LOST</b>') if verdict is None else badge(verdict),
        "clip": partial(formats.clip, limit=_TEXT),
        "emblem": emblem,
        "minute": lambda iso: iso[:16].replace("T", " ") if iso else "–",
        "named": _named,
        "short_id": facts.short_id,
        "thousands": lambda value: f"{value:,}",
    }
