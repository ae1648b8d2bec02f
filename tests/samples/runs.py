"""Whole runs."""

from __future__ import annotations

from pytest_finchaos.model.result import DrillResult, RunInfo, RunResult
from pytest_finchaos.model.verdict import merge
from tests.samples.not_passed import failing_drill, invalid_drill, undecided_drill, unstarted_drill
from tests.samples.passed import looking_drill, passing_drill


def run_of(*drills: DrillResult) -> RunResult:
    """A run of these drills."""
    info = RunInfo(
        id="20260302T101400-a41c",
        seed=1742,
        started_at="2026-03-02T10:14:00.000+00:00",
        ended_at="2026-03-02T10:16:31.480+00:00",
        host={"system": "Linux 6.1.0 x86_64", "python": "3.11.2", "cores": "2", "load_average": "1.20 0.90 0.70"},
        replay="pytest experiments --finchaos-seed=1742",
        versions={"pytest-finchaos": "0.1.0", "pytest": "8.4.1", "locust": "2.43.0"},
        git={"commit": "40c8f1c53a77d1e2b9a604c71c55d2e4f7a91b30", "tree": "clean"},
        exit_status=0,
    )
    return RunResult(info, merge(drill.verdict for drill in drills), tuple(drills))


def sample_run() -> RunResult:
    """Seven drills: one that failed with lost money, two undecided, one invalid, three that passed."""
    return run_of(
        passing_drill(),
        failing_drill(),
        undecided_drill(),
        invalid_drill(),
        looking_drill(),
        unstarted_drill(),
        passing_drill("test_components_killed.py::test_a_database_killed_with_sigkill_loses_no_payment"),
    )
