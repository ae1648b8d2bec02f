"""Ticks off which tests gave their result; a result that got lost on the way fails the session and names the test.

Plain pytest-xdist ends with exit code 0 when a worker cannot send a report: the test is simply not there. Light,
because every pytest run of the machine imports this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_finchaos.integration import options

NEVER_RAN = "it was collected and never ran"
NO_REPORT = "it began and its reports never arrived"
CRASHED = "its worker died while it ran"
NO_VERDICT = "its reports arrived without the drill's result"
# with another exit status somebody stopped the session, which explains what never ran
_NOT_STOPPED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERNAL_ERROR)


class Attendance:
    """Which tests were collected by workers, began, gave their last report, are drills and gave a result."""

    def __init__(self) -> None:
        self.collected: dict[str, None] = {}
        self.began: dict[str, None] = {}
        self.ended: set[str] = set()
        self.crashed: set[str] = set()
        self.drills: set[str] = set()
        self.judged: set[str] = set()
        self.excused: set[str] = set()  # drills that end without a result: skipped, or told as a mistake of the user

    def note(self, report: pytest.TestReport) -> None:
        """Take in one report of any phase."""
        name = report.nodeid
        if report.when == options.PROGRESS:
            return
        self.began.setdefault(name)
        if options.MARK in report.keywords:
            self.drills.add(name)
        if report.when == "setup" and not report.passed:
            self.excused.add(name)
        if any(key == options.PROPERTY for key, _ in report.user_properties):
            self.judged.add(name)
        if report.when == "teardown":
            self.ended.add(name)
        elif report.when not in ("setup", "call"):
            self.crashed.add(name)

    def lost(self, exit_status: int) -> dict[str, str]:
        """Node id to what is missing.

        Args:
            exit_status: Of the session so far. After an interruption or ``-x`` under xdist, what never began is not
                lost; what began and did not end is, always.
        """
        found = {}
        if exit_status in _NOT_STOPPED:
            found = {name: NEVER_RAN for name in self.collected if name not in self.began}
        for name in self.began:
            if name in self.crashed:
                found[name] = CRASHED
            elif name not in self.ended:
                found[name] = NO_REPORT
            elif name in self.drills - self.judged - self.excused:
                found[name] = NO_VERDICT
        return found


class Guard:
    """The controller's attendance list, as hooks.

    Args:
        config: Pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._attendance = Attendance()
        self._deselected: dict[str, None] = {}
        self._workers: dict[str, Any] = {}  # by node id, so that JUnit finds the entry that it began

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        self._attendance.collected.update(dict.fromkeys(ids))

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        self._deselected.update(dict.fromkeys(options.drills_among(items)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._deselected.update(dict.fromkeys(getattr(node, "workeroutput", {}).get(options.DESELECTED, ())))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._attendance.began.setdefault(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._attendance.note(report)
        if worker := getattr(report, "node", None):
            self._workers[report.nodeid] = worker

    @pytest.hookimpl(tryfirst=True)  # before the writers of JUnit and other reports
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._deselected and options.COLLECTED in self._config.stash:
            self._config.stash[options.COLLECTED].leave_out(self._deselected)
        lost = self._attendance.lost(int(exitstatus))
        if not lost or not self._concerns_us():
            return
        from pytest_finchaos.integration import controller

        controller.of(self._config).lose(lost)
        for name, what in lost.items():
            if name not in self._attendance.crashed:  # xdist reported those as failed already
                self._report(name, what)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _concerns_us(self) -> bool:
        """True when drills ran, or could have run in a worker: a configuration is there."""
        if self._attendance.drills or options.COLLECTED in self._config.stash:
            return True
        return bool(self._attendance.collected) and options.configured(self._config)

    def _report(self, name: str, what: str) -> None:
        """A failed test in every report that pytest and others write."""
        place = name.partition("::")[0]
        report: Any = pytest.TestReport(
            nodeid=name,
            location=(place, None, name),
            keywords={},
            outcome="failed",
            longrepr=f"finchaos: the result of {name} is lost: {what}",
            when="???",  # type: ignore[arg-type]  # as pytest-xdist reports a test whose worker crashed
        )
        if worker := self._workers.get(name):
            report.node = worker
        self._config.hook.pytest_runtest_logreport(report=report)
