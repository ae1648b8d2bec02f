"""Charts and the late-generator rule."""

from __future__ import annotations

import pytest

from pytest_finchaos.model.history import Arrival, Attempt, GeneratorReport, Operation, Outcome, Purpose
from pytest_finchaos.model.verdict import Claim
from pytest_finchaos.slo.series import MAX_POINTS, nearest_rank, series
from pytest_finchaos.slo.soundness import late_generator

MS = 1_000_000
S = 1_000_000_000


def operation(at_ns: int, outcome: Outcome | None, latency_ms: int = 10) -> Operation:
    attempt = Attempt(
        0, 0, Purpose.OPERATION, outcome or Outcome.OK, "http", 200, at_ns, at_ns, at_ns + latency_ms * MS
    )
    sent = outcome is not None and outcome is not Outcome.CENSORED
    return Operation(
        Arrival(0, at_ns, "authorise", "k", {}),
        at_ns,
        (attempt,) if sent else (),
        outcome,
        0,
        latency_ms * MS if sent else None,
    )


def test_operations_are_spread_by_intended_time_and_outcome() -> None:
    outcomes = (Outcome.OK, Outcome.DECLINED, Outcome.FAILED, Outcome.REFUSED, Outcome.UNKNOWN, Outcome.CENSORED, None)
    operations = [operation(7 * S + 150 * MS, outcome) for outcome in outcomes]

    chart = series(operations, origin_ns=7 * S, end_ns=8 * S)

    assert (chart.width_s, len(chart.at_s), chart.at_s[1]) == (0.1, 10, 0.1)
    assert (chart.ok[1], chart.declined[1], chart.failed[1], chart.unknown[1]) == (1, 1, 3, 2)
    assert sum(chart.ok + chart.declined + chart.failed + chart.unknown) == len(operations)


def test_latency_quantiles_are_by_nearest_rank_and_none_where_nothing_was_answered() -> None:
    operations = [operation(at * MS, Outcome.OK, latency_ms=at + 1) for at in range(100)]

    chart = series(operations, origin_ns=0, end_ns=200 * MS)

    assert (chart.p50_ms, chart.p95_ms, chart.max_ms) == ((50.0, None), (95.0, None), (100.0, None))
    assert [nearest_rank([1, 2, 3, 4], per_cent) for per_cent in (1, 25, 50, 51, 99, 100)] == [1, 1, 2, 3, 4, 4]


@pytest.mark.parametrize(("seconds", "width_s"), [(10, 0.1), (45, 0.1), (46, 0.2), (400, 1.0), (3_600, 8.0)])
def test_a_chart_never_has_more_than_its_points(seconds: int, width_s: float) -> None:
    chart = series([operation(0, Outcome.OK)], origin_ns=0, end_ns=seconds * S)

    assert chart.width_s == width_s
    assert len(chart.at_s) <= MAX_POINTS


def test_operations_outside_the_chart_are_left_out() -> None:
    chart = series([operation(-1, Outcome.OK), operation(S, Outcome.OK)], origin_ns=0, end_ns=S)

    assert sum(chart.ok) == 0


@pytest.mark.parametrize(("lag_ms", "late"), [(0, False), (10, False), (11, True), (200, True)])
def test_a_lag_above_a_fifth_of_the_limit_voids_latency_and_nothing_else(lag_ms: int, late: bool) -> None:
    found = late_generator(GeneratorReport(complete=True, lag_p99_ns=lag_ms * MS), 50.0)

    assert (found is not None) is late
    if found is not None:
        assert found.voids == {Claim.LATENCY}
        assert f"{lag_ms:.1f} ms" in found.reason.text
