"""``finchaos gate NAME``: decides over one or many runs."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_finchaos.cli import reports
from pytest_finchaos.environments.config import find_configuration, load_configuration
from pytest_finchaos.gates import document, github, gitlab, junit, policy, text
from pytest_finchaos.gates.decide import decide, not_concerned
from pytest_finchaos.gates.result import GateResult
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.runtime.clock import now_utc
from pytest_finchaos.runtime.files import append_line, write_atomic
from pytest_finchaos.slo.attempts import instant

_SUMMARY = "GITHUB_STEP_SUMMARY"
_EPILOG = """exit codes: 0 pass, 1 failed or blocked (missing, stale, empty, deselected, lost, invalid, unchecked,
mixed), 2 wrong use or unreadable input, 3 undecided is the only ground for blocking"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "gate",
        help="decide over one or many runs",
        description="Decide whether the runs satisfy [gates.NAME] of finchaos.toml.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help="name of the gate in finchaos.toml")
    parser.add_argument("runs", metavar="RUN", nargs="*", help="run folders, report.json files, or patterns of them")
    parser.add_argument("--reports", metavar="DIR", help="a folder of runs; every report below it counts")
    parser.add_argument("--config", metavar="FILE", help="configuration (default: finchaos.toml here)")
    parser.add_argument("--change-class", metavar="CLASS", help="class of the change (default: every gate concerns it)")
    parser.add_argument("--commit", metavar="SHA", help="count only runs of this commit")
    parser.add_argument("--now", metavar="ISO", help="the instant that ages are counted from (default: now)")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    parser.add_argument("--gitlab", metavar="FILE", help="write GitLab's code quality report")
    parser.add_argument("--json", metavar="FILE", help="write the decision as JSON")
    parser.add_argument("--github", action="store_true", help="print annotations, write the step summary")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decide, print, write.

    Raises:
        UserError: Unknown gate, unreadable report, wrong option.
    """
    source = find_configuration(arguments.config, Path.cwd())
    configuration = load_configuration(source)
    label = _relative(source)
    spec = policy.gate(configuration.gates, arguments.name, label)
    now = now_utc() if arguments.now is None else arguments.now
    if instant(now) is None:
        raise UserError("--now", f"{now!r} is no date", allowed=("ISO 8601, e.g. 2026-03-02T10:00:00+00:00",))
    if not policy.concerns(spec, arguments.change_class, _classes(configuration.gates)):
        result = not_concerned(spec, arguments.change_class, now)
    else:
        files = reports.find(arguments.reports, arguments.runs)
        runs, note = _of_commit(reports.read(files), arguments.commit)
        result = decide(spec, runs, now, notes=note)
    _write(arguments, result, label)
    return result.exit_code


def _classes(gates: Mapping[str, object]) -> list[str]:
    tables = [table for table in gates.values() if isinstance(table, Mapping)]
    return [str(table["change_class"]) for table in tables if "change_class" in table]


def _of_commit(runs: tuple[RunResult, ...], commit: str | None) -> tuple[tuple[RunResult, ...], tuple[str, ...]]:
    if commit is None:
        return runs, ()
    wanted = commit.strip().lower()
    if len(wanted) < 7 or any(letter not in "0123456789abcdef" for letter in wanted):
        raise UserError("--commit", f"{commit!r} is no commit", allowed=("at least 7 hexadecimal digits",))
    kept = tuple(run for run in runs if run.run.git.get("commit", "").startswith(wanted))
    left = len(runs) - len(kept)
    return kept, (f"{left} of {len(runs)} runs are of another commit than {wanted[:12]} and do not count",) * bool(left)


def _write(arguments: argparse.Namespace, result: GateResult, source: str) -> None:
    for line in text.terminal(result, shutil.get_terminal_size().columns):
        print(line)
    if arguments.github:
        sys.stdout.flush()
        for line in github.commands(result):
            print(line)
        if os.environ.get(_SUMMARY):
            append_line(Path(os.environ[_SUMMARY]), text.markdown(result))
    outputs = (
        (arguments.junit, junit.render(result)),
        (arguments.gitlab, gitlab.code_quality(result, source)),
        (arguments.json, document.to_text(result)),
    )
    for option, content in outputs:
        if option is not None:
            _file(Path(option), content)


def _file(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise UserError(str(path), f"cannot be written: {error.strerror or error}") from None


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
