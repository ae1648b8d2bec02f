"""The review as Markdown, for a wiki, a ticket or a step summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.facts import short_id
from pytest_finchaos.reporting.formats import clip, printable
from pytest_finchaos.reporting.palette import SHAPES
from pytest_finchaos.reporting.review import DrillLine, Review, tally

_MAX_ROWS = 100


def render_review_markdown(review: Review) -> str:
    """GitHub-flavoured Markdown; tables of more than 100 rows say how many are not shown."""
    parts = [
        f"# Reliability review, {_minute(review.since)} to {_minute(review.until)} UTC",
        "",
        _text(review.sentence),
        *(f"\n* {_text(clip(note, 300))}" for note in review.notes[:20]),
        *_section("Required against fresh", _gates(review), "No gate is configured, so nothing is required."),
        *_section("Open failures", _failures(review), "None."),
        *_section("Undecided, and what would decide", _undecided(review), "Nothing."),
        *_section("Recovery against its limit", _recoveries(review), "No recovery was watched."),
        *_section("Objectives over time", _trends(review), "No objective was measured in steady traffic."),
        *_section("Exposure of releases", _releases(review), "No release was tried in these runs."),
        *_section("Not checked", _unchecked(review), "Nothing that was declared was left unchecked."),
        *_section("Every drill", _drills(review), "No drill ran."),
    ]
    return printable("\n".join(parts)).rstrip() + "\n"


def _section(title: str, table: list[str], nothing: str) -> list[str]:
    return ["", f"## {title}", "", *(table or [nothing])]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[_cell(word) for word in row] for row in rows]
    if not cells:
        return []
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in cells[:_MAX_ROWS]]
    if len(cells) > _MAX_ROWS:
        lines.append(f"| … and {len(cells) - _MAX_ROWS} more {'| ' * len(head)}".rstrip())
    return lines


def _gates(review: Review) -> list[str]:
    rows = [
        (gate.name, gate.status, str(gate.required), str(gate.fresh), str(gate.passed), _open(gate.open))
        for gate in review.gates
    ]
    return _table(("Gate", "Says", "Required", "Fresh", "Passed", "What does not pass"), rows)


def _open(rows: Sequence[tuple[str, str, str]]) -> str:
    shown = [f"{state}: {short_id(name)}" for state, name, _ in rows[:10]]
    return "; ".join([*shown, *([f"and {len(rows) - 10} more"] if len(rows) > 10 else [])]) or "nothing"


def _failures(review: Review) -> list[str]:
    rows = [
        (
            short_id(line.id),
            line.why,
            _minute(line.since),
            _minute(line.last_passed) if line.last_passed else "not in this time",
            line.replay,
        )
        for line in review.failures
    ]
    return _table(("Drill", "Why", "Failing since", "Passed last", "To repeat"), rows)


def _undecided(review: Review) -> list[str]:
    rows = [
        (_mark(line), short_id(line.id), line.why, "; ".join(line.needs) or "a new run") for line in review.undecided
    ]
    return _table(("Verdict", "Drill", "Why", "What it needs"), rows)


def _recoveries(review: Review) -> list[str]:
    rows = [
        (short_id(line.drill), line.fault, line.score, line.worst, line.proof, line.rest) for line in review.recoveries
    ]
    return _table(("Drill", "Fault", "Within its limit", "Worst", "Proves (95 %)", "Not counted"), rows)


def _trends(review: Review) -> list[str]:
    rows = [
        (
            line.objective,
            line.environment,
            line.claim,
            f"{line.totals[0]:,} of {line.totals[1]:,}",
            f"{max(point.share for point in line.points) * 100:.3g} %",
            f"{line.points[-1].share * 100:.3g} %",
            line.standing,
        )
        for line in review.trends
    ]
    head = ("Objective", "Environment", "Promise", "Bad", "Worst run", "Newest run", "On the newest build")
    return _table(head, rows)


def _releases(review: Review) -> list[str]:
    head = (
        "When",
        "Release",
        "Outcome",
        "The new version served",
        "Decided after",
        "Gone after",
        "In flight",
        "Same build",
    )
    rows = [
        (
            _minute(line.started_at),
            line.release,
            line.outcome,
            line.exposed,
            line.decided,
            line.back,
            line.in_flight,
            line.same_build,
        )
        for line in review.exposures
    ]
    return _table(head, rows)


def _unchecked(review: Review) -> list[str]:
    return _table(("What", "Why", "Drills"), [(row.what, row.why, str(len(row.drills))) for row in review.unchecked])


def _drills(review: Review) -> list[str]:
    rows = [
        (_mark(line), short_id(line.id), tally(line), _minute(line.last_passed) if line.last_passed else "–")
        for line in review.drills
    ]
    return _table(("Stands at", "Drill", "Results", "Passed last"), rows)


def _mark(line: DrillLine) -> str:
    return "LOST" if line.verdict is None else f"{SHAPES[Verdict(line.verdict)]} {line.verdict.value}"


def _minute(iso: str) -> str:
    return iso[:16].replace("T", " ")


def _cell(text: str) -> str:
    return _text(clip(text, 300)).replace("|", "\\|")


def _text(text: str) -> str:
    """Text that Markdown must not read as markup, on one line."""
    line = " ".join(printable(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]#!~" else letter for letter in line)
