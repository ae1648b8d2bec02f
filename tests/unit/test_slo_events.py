"""Which arrivals are good, bad or unknown for an objective."""

from __future__ import annotations

import pytest

from pytest_finchaos.model.history import Arrival, Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.money import Resolution
from pytest_finchaos.slo.catalogue import load_objectives
from pytest_finchaos.slo.events import State, Tally, answered_ns, between, judge, not_exercised, tally

MS = 1_000_000
S = 1_000_000_000
OBJECTIVES = load_objectives({"settlement-freshness": {"time_scale": 0.01}}, "finchaos.toml")


def operation(
    outcome: Outcome | None,
    *,
    name: str = "authorise",
    latency_ms: int | None = 10,
    at_ns: int = 0,
    index: int = 0,
    value: float | None = None,
) -> Operation:
    latency_ns = None if latency_ms is None or outcome is None else latency_ms * MS
    done_ns = 0 if latency_ns is None else at_ns + latency_ns
    attempts: tuple[Attempt, ...] = ()
    if outcome is not None:
        attempts = (Attempt(index, 0, Purpose.OPERATION, outcome, "http", 200, at_ns, at_ns, done_ns, value=value),)
    return Operation(Arrival(index, at_ns, name, f"k{index}", {}), at_ns, attempts, outcome, 0, latency_ns)


def state(name: str, one: Operation, *, resolved: str = "", until_ns: int = 10 * S) -> State:
    resolutions = [Resolution(one.arrival.key, resolved, "read")] if resolved else []
    (judged,) = judge(OBJECTIVES[name], [one], resolutions=resolutions, observed_until_ns=until_ns)
    return judged.state


@pytest.mark.parametrize(
    ("outcome", "latency_ms", "resolved", "expected"),
    [
        (Outcome.OK, 10, "", State.GOOD),
        (Outcome.OK, 5_000, "", State.GOOD),
        (Outcome.OK, 5_001, "", State.BAD),
        (Outcome.DECLINED, 10, "", State.GOOD),
        (Outcome.DECLINED, 9_000, "", State.BAD),
        (Outcome.REFUSED, 10, "", State.BAD),
        (Outcome.REFUSED, 10, "applied", State.BAD),
        (Outcome.FAILED, 10, "", State.BAD),
        (Outcome.UNKNOWN, 2_000, "", State.UNKNOWN),
        (Outcome.UNKNOWN, 2_000, "unresolved", State.UNKNOWN),
        (Outcome.UNKNOWN, 2_000, "applied", State.GOOD),
        (Outcome.UNKNOWN, 2_000, "absent", State.BAD),
        (Outcome.CENSORED, None, "", State.UNKNOWN),
        (Outcome.CENSORED, None, "applied", State.GOOD),
        (Outcome.CENSORED, None, "absent", State.BAD),
        (None, None, "", State.BAD),
    ],
)
def test_payment_success_follows_outcome_deadline_and_ledger(
    outcome: Outcome | None, latency_ms: int | None, resolved: str, expected: State
) -> None:
    assert state("payment-success", operation(outcome, latency_ms=latency_ms), resolved=resolved) is expected


@pytest.mark.parametrize(
    ("outcome", "latency_ms", "until_ns", "expected"),
    [
        (Outcome.OK, 99, 10 * S, State.GOOD),
        (Outcome.OK, 100, 10 * S, State.BAD),
        (Outcome.DECLINED, 5, 10 * S, State.GOOD),
        (Outcome.UNKNOWN, 5, 10 * S, State.BAD),
        (Outcome.FAILED, 5, 10 * S, State.BAD),
        (Outcome.REFUSED, 5, 10 * S, State.BAD),
        (Outcome.CENSORED, None, 101 * MS, State.BAD),
        (Outcome.CENSORED, None, 100 * MS, State.UNKNOWN),
        (None, None, 10 * S, State.BAD),
    ],
)
def test_latency_counts_errors_as_slow_and_censored_by_how_long_it_waited(
    outcome: Outcome | None, latency_ms: int | None, until_ns: int, expected: State
) -> None:
    one = operation(outcome, name="balance", latency_ms=latency_ms)

    assert state("balance-latency", one, until_ns=until_ns) is expected


@pytest.mark.parametrize(
    ("outcome", "value", "expected"),
    [
        (Outcome.OK, 2.9, State.GOOD),
        (Outcome.OK, 3.0, State.BAD),
        (Outcome.OK, None, State.UNKNOWN),
        (Outcome.UNKNOWN, 1.0, State.UNKNOWN),
        (None, None, State.BAD),
    ],
)
def test_freshness_is_judged_by_the_value_in_the_answer(
    outcome: Outcome | None, value: float | None, expected: State
) -> None:
    assert state("settlement-freshness", operation(outcome, name="freshness", value=value)) is expected


def test_only_arrivals_of_the_objectives_operation_count_in_order_of_intended_time() -> None:
    operations = [
        operation(Outcome.OK, at_ns=3 * S, index=0),
        operation(Outcome.FAILED, at_ns=1 * S, index=1),
        operation(Outcome.OK, name="balance", at_ns=2 * S, index=2),
    ]

    judged = judge(OBJECTIVES["payment-success"], operations, observed_until_ns=10 * S)

    assert [(one.index, one.state) for one in judged] == [(1, State.BAD), (0, State.GOOD)]


def test_the_window_is_half_open_and_doubt_counts_as_not_good() -> None:
    outcomes = (Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN, Outcome.OK)
    operations = [operation(outcome, at_ns=at * S, index=at) for at, outcome in enumerate(outcomes)]

    inside = between(judge(OBJECTIVES["payment-success"], operations, observed_until_ns=9 * S), 0, 3 * S)

    assert tally(inside) == Tally(good=1, bad=1, unknown=1)
    assert (tally(inside).not_good, tally(inside).total) == (2, 3)


def test_an_answer_counts_although_another_try_is_still_open() -> None:
    arrival = Arrival(0, 0, "authorise", "k", {})
    answered = Attempt(0, 0, Purpose.OPERATION, Outcome.OK, "http", 201, 0, 0, 40 * MS)
    still_open = Attempt(0, 1, Purpose.OPERATION, Outcome.CENSORED, "none", 0, 0, 50 * MS, 0)

    assert answered_ns(Operation(arrival, 0, (answered, still_open), Outcome.OK, 0, None)) == 40 * MS


def test_objectives_without_traffic_are_listed_as_not_checked() -> None:
    rows = not_exercised(OBJECTIVES, [operation(Outcome.OK), operation(None, name="score")])

    assert [row.what for row in rows] == [
        f"objective {name}" for name in ("auth-success", "balance-latency", "fraud-latency", "settlement-freshness")
    ]
