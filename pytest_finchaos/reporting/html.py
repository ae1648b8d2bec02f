"""``report.html``: one file, readable without network and without script, made from ``report.json`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup

from pytest_finchaos.model import currency
from pytest_finchaos.model.money import Finding, MoneyReport
from pytest_finchaos.model.result import DrillResult, RunResult, Series
from pytest_finchaos.model.verdict import Reason, Verdict
from pytest_finchaos.reporting import facts, formats, palette, releases, story
from pytest_finchaos.reporting.badges import badge, emblem
from pytest_finchaos.reporting.charts import MAX_ROWS, Bucket, buckets, latency_chart, outcome_chart
from pytest_finchaos.reporting.pages import templates
from pytest_finchaos.reporting.timeline import proof, timeline

TEXT_LIMIT = 600
_MAX_RESOLUTIONS = 30
_MAX_EVENTS = 80
_MAX_WITNESSES = 3


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """An invariant as the report shows it.

    Args:
        name: Invariant.
        verdict: As found, or None when it was not checked.
        looked_for: The drill declared beforehand to look for its violation.
        finding: What was found, or None.
        why: Why it was not checked, or "".
    """

    name: str
    verdict: Verdict | None
    looked_for: bool
    finding: Finding | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class DrillView:
    """One drill, with all that the template needs beside the result itself."""

    anchor: str
    name: str
    file: str
    drill: DrillResult
    lead: tuple[str, ...]
    reasons: tuple[Reason, ...]
    timeline: Markup
    latency: Markup | None
    outcomes: Markup | None
    rows: tuple[Bucket, ...]
    money: tuple[MoneyRow, ...]
    unchecked: tuple[tuple[str, str], ...]
    adds_up: bool


def render_html(run: RunResult) -> str:
    """The page.

    Args:
        run: As read from ``report.json``.

    Returns:
        HTML with style and pictures inside; the same text for the same run.
    """
    environment = templates(_filters())
    template = environment.get_template("report.html.j2")
    text = template.render(
        run=run,
        views=[_view(at, drill) for at, drill in enumerate(sorted(run.drills, key=facts.strength), 1)],
        sentence=facts.run_sentence(run),
        counts=facts.verdict_counts(run),
        missing=facts.not_checked(run),
        checked=_checked(run),
        took=formats.between(run.run.started_at, run.run.ended_at),
        palette=palette,
        releases=releases,
        resolutions=story.resolutions,
        utc=facts.utc,
        offset=facts.offset_s,
        dated=formats.dated,
        proof=proof,
        fault_words=facts.fault_words,
        label=facts.label,
        load_start_s=facts.load_start_s,
        max_resolutions=_MAX_RESOLUTIONS,
        max_events=_MAX_EVENTS,
        max_witnesses=_MAX_WITNESSES,
        css=Markup(environment.get_template("style.css.j2").render(palette=palette)),  # noqa: S704 - our own file
    )
    return formats.printable(text)


def _filters() -> dict[str, Any]:
    return {
        "amount": currency.spell,
        "amounts": currency.spell_all,
        "badge": badge,
        "breakable": _breakable,
        "clip": partial(formats.clip, limit=TEXT_LIMIT),
        "day": lambda iso: iso.split("T")[0],
        "emblem": emblem,
        "ms": lambda value: "–" if value is None else formats.milliseconds(value),
        "seconds": lambda value: "–" if value is None else formats.seconds(value),
        "short_id": facts.short_id,
        "thousands": lambda value: f"{value:,}",
        "time_of_day": formats.time_of_day,
    }


def _breakable(name: str) -> Markup:
    """A name that may be broken after each underscore."""
    return Markup("_<wbr>").join(name.split("_"))


def _view(at: int, drill: DrillResult) -> DrillView:
    series, counts = drill.series, drill.traffic
    file, _, name = drill.id.partition("::")
    lead = tuple(facts.lead(drill))
    has_points = series is not None and bool(series.at_s)
    return DrillView(
        anchor=f"d{at}",
        name=name or file,
        file=file,
        drill=drill,
        lead=lead,
        reasons=tuple(reason for reason in drill.reasons if not any(reason.text.strip() in told for told in lead)),
        timeline=timeline(drill, f"d{at}t"),
        latency=latency_chart(drill, series, f"d{at}l") if series is not None and has_points else None,
        outcomes=outcome_chart(drill, series, f"d{at}o") if series is not None and has_points else None,
        rows=_rows(series),
        money=_money_rows(drill.money, drill.expected),
        unchecked=tuple(facts.unchecked(drill)),
        adds_up=counts.planned == counts.sent + counts.unsent
        and counts.sent == counts.ok + counts.declined + counts.failed + counts.unknown + counts.censored,
    )


def _rows(series: Series | None) -> tuple[Bucket, ...]:
    return () if series is None else tuple(buckets(series, MAX_ROWS))


def _money_rows(money: MoneyReport, expected: Sequence[str]) -> tuple[MoneyRow, ...]:
    """Violated first, then undecided, not checked, and those that hold."""
    rows = [MoneyRow(found.invariant, found.verdict, found.invariant in expected, found) for found in money.findings]
    known = {row.name for row in rows}
    rows.extend(
        MoneyRow(name, None, name in expected, None, why)
        for name, why in money.not_checked.items()
        if name not in known
    )
    order = {Verdict.FAIL: 0, Verdict.INVALID: 1, Verdict.INCONCLUSIVE: 2, None: 3, Verdict.PASS: 4}
    return tuple(sorted(rows, key=lambda row: order[row.verdict]))


def _checked(run: RunResult) -> list[tuple[str, int, int]]:
    """What was checked over the whole run: name, in how many drills, how often with another answer than PASS."""
    answers: dict[str, list[Verdict]] = {}
    for drill in run.drills:
        for row in drill.objectives:
            if row.asserted:
                answers.setdefault(f"{row.question} {row.name}", []).append(row.verdict)
        for recovery in drill.recoveries:
            if recovery.asserted:
                answers.setdefault("recovery within its limit", []).append(recovery.verdict)
        for found in drill.money.findings:
            if found.verdict.decided:
                looked_for = found.invariant in drill.expected
                verdict = Verdict.PASS if looked_for and found.verdict is Verdict.FAIL else found.verdict
                answers.setdefault(f"money: {found.invariant}", []).append(verdict)
        for name, verdict, _ in drill.checks:
            answers.setdefault(f"automatic: {name}", []).append(verdict)
    rows = [
        (name, len(given), sum(verdict is not Verdict.PASS for verdict in given)) for name, given in answers.items()
    ]
    return sorted(rows, key=lambda row: row[0].startswith("money: ") + 2 * row[0].startswith("automatic: "))
