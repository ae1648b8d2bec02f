"""The controller's side: collects results, writes the run, prints the summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pytest

from pytest_finchaos.integration import identity, options, provenance
from pytest_finchaos.integration import session as sessions
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import DrillResult, RunInfo, RunResult
from pytest_finchaos.model.verdict import Verdict, merge
from pytest_finchaos.reporting.store import write_run
from pytest_finchaos.reporting.story import junit_properties, summary_lines
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import now_utc

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


class Collected:
    """Results by node id, and what becomes of them when the session ends.

    Args:
        config: Pytest's configuration on the controller.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._identity = identity.of(config)
        self._results: dict[str, DrillResult] = {}
        self._lost: dict[str, str] = {}
        self._left_out: dict[str, None] = {}
        self._unwritten = ""
        self._run: RunResult | None = None

    def take(self, report: pytest.TestReport) -> None:
        """Take a result out of a teardown report and leave short properties for JUnit in its place."""
        rest = [(name, value) for name, value in report.user_properties if name != options.PROPERTY]
        for name, value in report.user_properties:
            if name == options.PROPERTY and report.when == "teardown":
                result = codec.loads(DrillResult, str(value))
                self._results[result.id] = result
                rest.extend(junit_properties(result))
        report.user_properties[:] = rest

    def lose(self, lost: Mapping[str, str]) -> None:
        """Note tests whose result never arrived, node id to what is missing: nothing green can be said of the run."""
        self._lost.update(lost)

    def leave_out(self, deselected: Iterable[str]) -> None:
        """Note drills that were collected and left out on purpose: a gate tells them from those that do not exist."""
        self._left_out.update(dict.fromkeys(deselected))

    def write(self, session: pytest.Session, exit_status: int) -> None:
        """Write ``report.json`` and everything made from it; a report that cannot be written fails the session."""
        drills = tuple(self._results.values())
        base = self._config.rootpath
        info = RunInfo(
            id=self._identity.id,
            seed=self._identity.seed,
            started_at=self._identity.anchor.date(self._identity.monotonic_ns),
            ended_at=now_utc(),
            host=provenance.host(),
            replay=provenance.replay(self._config, self._identity.seed),
            versions=provenance.versions(),
            git=provenance.git(base),
            exit_status=exit_status,
        )
        unsound = [Verdict.INVALID] if self._lost else []
        self._run = RunResult(
            info,
            merge([*(drill.verdict for drill in drills), *unsound]),
            drills,
            lost=tuple(self._lost),
            problems=tuple(f"{name}: {what}" for name, what in self._lost.items()),
            deselected=tuple(name for name in self._left_out if name not in self._results),
        )
        try:
            directory = sessions.of(self._config).directory
            directory.mkdir(parents=True, exist_ok=True)
            write_run(directory, self._run)
        except (UserError, OSError) as error:
            self._unwritten = str(error)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def summarise(self, reporter: TerminalReporter) -> None:
        """The summary section; only the verdicts that are no PASS under ``-q``."""
        if self._run is None:
            return
        reporter.section("finchaos", sep="=")
        colours = {Verdict.PASS: {"green": True}, Verdict.FAIL: {"red": True}}
        for line in summary_lines(self._run):
            word = next((verdict for verdict in Verdict if line.startswith(verdict.value)), None)
            if self._config.option.verbose < 0 and word is Verdict.PASS:
                continue
            markup = {} if word is None else colours.get(word, {"yellow": True})
            reporter.write_line(line, **markup)
        if self._unwritten:
            reporter.write_line(f"no report: {self._unwritten}", red=True)
        else:
            reporter.write_line(f"report: {sessions.of(self._config).directory / 'report.html'}")


def of(config: pytest.Config) -> Collected:
    """The collector of this session; made when the first result arrives."""
    known = config.stash.get(options.COLLECTED, None)
    if known is None:
        known = config.stash[options.COLLECTED] = Collected(config)
    return known
