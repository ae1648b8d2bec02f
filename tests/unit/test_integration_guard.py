"""The attendance list: what counts as lost, and what has an explanation."""

from __future__ import annotations

import pytest

from pytest_finchaos.integration import guard, options


def report(
    name: str, when: str, *, outcome: str = "passed", drill: bool = False, judged: bool = False
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=name,
        location=("t.py", 1, name),
        keywords={options.MARK: 1} if drill else {},
        outcome=outcome,  # type: ignore[arg-type]
        longrepr=None,
        when=when,  # type: ignore[arg-type]
        user_properties=[(options.PROPERTY, "{}")] if judged else [],
    )


def attendance(*reports: pytest.TestReport, collected: tuple[str, ...] = ()) -> guard.Attendance:
    made = guard.Attendance()
    made.collected.update(dict.fromkeys(collected))
    for one in reports:
        made.note(one)
    return made


def whole(name: str, *, drill: bool = False, judged: bool = False) -> list[pytest.TestReport]:
    return [report(name, when, drill=drill, judged=judged) for when in ("setup", "call", "teardown")]


def test_nothing_is_lost_when_every_test_gave_its_last_report() -> None:
    seen = attendance(*whole("a"), *whole("d", drill=True, judged=True), collected=("a", "d"))
    assert seen.lost(0) == {}
    assert seen.lost(1) == {}


def test_a_test_without_its_last_report_is_lost_whatever_ended_the_session() -> None:
    seen = attendance(report("a", "setup"), report("a", "call"), collected=("a",))
    for status in (0, 1, 2, 3, 143):
        assert seen.lost(status) == {"a": guard.NO_REPORT}


def test_a_test_whose_worker_died_is_lost_although_it_was_reported_as_failed() -> None:
    seen = attendance(report("a", "setup"), report("a", "???", outcome="failed"), collected=("a",))
    assert seen.lost(1) == {"a": guard.CRASHED}


def test_a_test_that_never_ran_is_lost_unless_the_session_was_stopped() -> None:
    seen = attendance(*whole("a"), collected=("a", "b"))
    assert seen.lost(0) == {"b": guard.NEVER_RAN}
    assert seen.lost(3) == {"b": guard.NEVER_RAN}
    assert seen.lost(int(pytest.ExitCode.INTERRUPTED)) == {}  # Ctrl-C, and -x under xdist
    assert seen.lost(143) == {}


def test_a_drill_whose_reports_come_without_its_result_is_lost() -> None:
    assert attendance(*whole("d", drill=True)).lost(0) == {"d": guard.NO_VERDICT}
    assert attendance(*whole("a")).lost(0) == {}  # no drill


def test_a_drill_that_was_skipped_or_failed_before_it_began_has_no_result_to_lose() -> None:
    for outcome in ("skipped", "failed"):
        seen = attendance(report("d", "setup", outcome=outcome, drill=True), report("d", "teardown", drill=True))
        assert seen.lost(0) == {}


def test_a_line_of_progress_is_no_report_of_a_test() -> None:
    assert attendance(report("a", options.PROGRESS)).lost(0) == {}
