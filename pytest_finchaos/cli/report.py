"""``finchaos report``: a run's report made again from its ``report.json``, or a review over many runs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from pytest_finchaos.cli import reports
from pytest_finchaos.environments.config import Configuration, find_configuration, load_configuration
from pytest_finchaos.gates import policy
from pytest_finchaos.gates.decide import decide
from pytest_finchaos.gates.result import GateResult, State
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.reporting import history
from pytest_finchaos.reporting.document import FILE, read_document
from pytest_finchaos.reporting.review import GateLine, Review, build
from pytest_finchaos.reporting.review_html import render_review_html
from pytest_finchaos.reporting.review_markdown import render_review_markdown
from pytest_finchaos.reporting.store import write_made
from pytest_finchaos.runtime.clock import now_utc
from pytest_finchaos.runtime.files import write_atomic
from pytest_finchaos.slo import catalogue
from pytest_finchaos.slo.attempts import instant

_HOURS = {"h": 1, "d": 24, "w": 168}
_UNFRESH = (State.STALE, State.MISSING, State.EMPTY, State.LOST, State.DESELECTED)
_EPILOG = """exit codes: 0 written, 2 wrong use or a report that cannot be read; the review is written all the same
and names it"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "report",
        help="reliability review over a folder of runs, or one run's report made again",
        description="Make report.html and summary.md of a run again, or with --review a reliability review of many.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("run_dir", metavar="RUN_DIR", nargs="?", help="run whose report is made again from report.json")
    parser.add_argument("--review", action="store_true", help="a reliability review over a folder of runs")
    parser.add_argument("--since", metavar="TIME", default="30d", help="12h, 30d, 4w or an ISO date (default: 30d)")
    parser.add_argument("--reports", metavar="DIR", default=reports.DEFAULT, help="folder of runs (default: reports)")
    parser.add_argument("--out", metavar="FILE", help="the page (default: review.html in the folder of runs)")
    parser.add_argument("--markdown", metavar="FILE", help="write the review as Markdown, too")
    parser.add_argument(
        "--history", metavar="FILE", help=f"the history (default: {history.FILE} in the folder of runs)"
    )
    parser.add_argument("--config", metavar="FILE", help="configuration with the gates (default: finchaos.toml here)")
    parser.add_argument("--now", metavar="ISO", help="end of the time that is reviewed (default: now)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make one report again, or write the review.

    Raises:
        UserError: Wrong use, or a report, history or configuration that cannot be read.
    """
    if arguments.review == (arguments.run_dir is not None):
        raise UserError(
            "finchaos report",
            "one of RUN_DIR and --review is wanted",
            cure="finchaos report reports/latest, or finchaos report --review --since 30d",
        )
    return _again(Path(arguments.run_dir)) if arguments.run_dir is not None else _review(arguments)


def _again(place: Path) -> int:
    directory = place.parent if place.name == FILE else place
    parsed = read_document(place)
    try:
        write_made(directory, parsed)
    except OSError as error:
        raise UserError(str(directory), f"cannot be written: {error.strerror or error}") from None
    print(f"report: {directory / 'report.html'}")
    print(f"summary: {directory / 'summary.md'}")
    return 0


def _review(arguments: argparse.Namespace) -> int:
    until = now_utc() if arguments.now is None else arguments.now
    end = instant(until)
    if end is None:
        raise UserError("--now", f"{until!r} is no date", allowed=("ISO 8601, e.g. 2026-03-02T10:00:00+00:00",))
    since = _since(arguments.since, end)
    configuration = _configuration(arguments.config)
    folder = Path(arguments.reports)
    if not folder.is_dir():
        raise UserError("--reports", f"no folder {folder}", cure="name the folder that holds the run folders")
    kept = Path(arguments.history) if arguments.history else folder / history.FILE
    with history.open_history(kept) as past:
        unread, changed = _collect(past, folder)
        found = past.since(since.isoformat())
    runs = tuple(one for one in found.runs if (at := instant(one.run.started_at)) is None or at <= end)
    changed = sorted({*changed, *found.changed})
    notes = [*unread, *(f"run {one} is known with different contents: all of them are shown" for one in changed)]
    review = build(
        runs,
        since=since.isoformat(timespec="minutes"),
        until=end.isoformat(timespec="minutes"),
        gates=_gates(configuration, runs, until),
        targets=_targets(configuration),
        notes=notes,
    )
    _publish(arguments, review, folder)
    for note in notes:
        print(f"note: {note}")
    return 2 if unread else 0


def _collect(past: history.History, folder: Path) -> tuple[list[str], list[str]]:
    """Add every report of a folder: sentences on those that cannot be read, ids of those that changed."""
    unread, changed = [], []
    for file in reports.below(folder):
        try:
            document = read_document(file)
            added = past.add(document)
        except UserError as error:
            if str(error.where).startswith((str(file), FILE)):
                unread.append(f"not read, so not reviewed: {file}: {error.what}")
                continue
            raise
        if added is history.Added.CHANGED:
            changed.append(str(document["run"]["id"]))
    return unread, changed


def _since(text: str, end: datetime) -> datetime:
    spelled = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if spelled:
        return end - timedelta(hours=int(spelled[1]) * _HOURS[spelled[2]])
    at = instant(text)
    if at is None or at > end:
        raise UserError(
            "--since", f"{text!r} is no stretch of time before now", allowed=("12h", "30d", "4w", "2026-03-02")
        )
    return at.astimezone(UTC)


def _configuration(option: str | None) -> Configuration | None:
    """The configuration; None when none is named and none is here: then nothing is required."""
    here = Path.cwd()
    try:
        path = find_configuration(option, here)
    except UserError as error:
        if option is not None or error.where != str(here):
            raise
        return None
    return load_configuration(path)


def _gates(configuration: Configuration | None, runs: Sequence[RunResult], now: str) -> list[GateLine]:
    if configuration is None:
        return []
    specs = [policy.parse(name, table, configuration.source.name) for name, table in configuration.gates.items()]
    return [_line(decide(spec, runs, now)) for spec in specs]


def _line(result: GateResult) -> GateLine:
    return GateLine(
        name=result.name,
        status=result.status.value,
        text=result.text,
        required=len(result.rows),
        fresh=sum(row.state not in _UNFRESH for row in result.rows),
        passed=sum(row.state is State.PASS for row in result.rows),
        open=tuple(
            (item.state.value, getattr(item, "id", "") or getattr(item, "name", ""), item.text) for item in result.open
        ),
    )


def _targets(configuration: Configuration | None) -> dict[tuple[str, str], Fraction]:
    """Targets of the catalogue, and those that an environment changes."""
    targets = {("", name): one.target for name, one in catalogue.load_objectives({}, "catalogue").items()}
    for name, spec in configuration.environments.items() if configuration is not None else ():
        objectives = catalogue.load_objectives(spec.slos, spec.source)
        targets.update({(name, key): one.target for key, one in objectives.items()})
    return targets


def _publish(arguments: argparse.Namespace, review: Review, folder: Path) -> None:
    page = Path(arguments.out) if arguments.out else folder / "review.html"
    _file(page, render_review_html(review))
    if arguments.markdown:
        _file(Path(arguments.markdown), render_review_markdown(review))
    print(review.sentence)
    print(f"review: {page}")


def _file(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise UserError(str(path), f"cannot be written: {error.strerror or error}") from None
