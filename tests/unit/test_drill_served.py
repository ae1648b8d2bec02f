"""Which version served which arrival, and what a release makes of it: order, watermark, figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_finchaos.drill.exposure import Window, figures, unlogged
from pytest_finchaos.drill.money_watch import final_before
from pytest_finchaos.drill.served import LOGGED_WITHIN_NS, SENT_WITHIN_NS, Following, Served, named, tag_of
from pytest_finchaos.environments.router.configuration import ARRIVAL_HEADER
from pytest_finchaos.environments.router.log import RouterLog
from pytest_finchaos.model.history import Arrival, Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.release import Exposure
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.rollout.judge import Evidence
from pytest_finchaos.runtime.clock import NS_PER_MS, Anchor

TAG = "t"
OK, UNKNOWN, CENSORED = Outcome.OK, Outcome.UNKNOWN, Outcome.CENSORED


def attempt(index: int, outcome: Outcome, at_ms: int, *, took_ms: int = 5, number: int = 0, purpose: Purpose = Purpose.OPERATION) -> Attempt:  # fmt: skip
    done = 0 if outcome is CENSORED else (at_ms + took_ms) * NS_PER_MS
    status = {OK: 201, UNKNOWN: 500}.get(outcome, 0)
    return Attempt(index, number, purpose, outcome, "http", status, at_ms * NS_PER_MS, at_ms * NS_PER_MS, done)


def operation(index: int, *attempts: Attempt, name: str = "authorise", outcome: Outcome | None = None) -> Operation:
    values = {"amount_minor": 100 + index, "currency": "EUR"}
    arrival = Arrival(index, index * NS_PER_MS, name, f"k-{index}", values)
    last = outcome or (attempts[-1].outcome if attempts else None)
    return Operation(arrival, index * NS_PER_MS, attempts, last, 0, None)


class Log:
    """A router's log that tests write."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "log"
        self.served = Served(RouterLog(self.path, Anchor(0, 0)), TAG)

    def write(self, index: int | str, version: str, at_ms: int, *, weights: str = "2/500", took_ms: int = 4) -> None:
        name = f"{TAG}-{index}" if isinstance(index, int) else index
        line = {
            "started": f"0.{at_ms * NS_PER_MS:09d}",
            "duration_ms": took_ms,
            "arrival": name,
            "version": version,
            "weights": weights,
            "status": 201,
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.served.read()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def following(*, since: int = 2) -> Following:
    wanted = {"authorise", "balance"}
    return Following("new", operations=wanted, payments={"authorise"}, evidence=Evidence(), since=since)


def test_only_requests_to_routed_components_are_named_and_no_set_up_step() -> None:
    operations = {
        "pay": OperationSpec("pay", "gateway", headers={"Idempotency-Key": "{key}"}),
        "login": OperationSpec("login", "gateway", setup=True),
        "score": OperationSpec("score", "fraud"),
    }

    found = named(operations, ["gateway"], "ab")

    assert found["pay"].headers == {"Idempotency-Key": "{key}", ARRIVAL_HEADER: "ab-{index}"}
    assert found["login"] is operations["login"]
    assert found["score"] is operations["score"]
    assert named(operations, [], "ab") == operations


def test_two_seeds_name_their_arrivals_differently() -> None:
    assert tag_of("1/a") != tag_of("1/b")
    assert tag_of("1/a") == tag_of("1/a")


def test_the_earliest_request_of_an_arrival_counts_whenever_it_is_logged(log: Log) -> None:
    log.write(3, "old", 20)
    log.write(3, "new", 10)
    log.write("somebody-else-3", "old", 5)
    log.write("t-x", "old", 5)

    assert log.served.first[3].version == "new"
    assert log.served.versions == {3: {"old", "new"}}


def test_errors_are_judged_in_the_order_of_arrival_and_never_before_an_open_one(log: Log) -> None:
    slow_open = operation(0, attempt(0, CENSORED, 1))
    quick_errors = [operation(index, attempt(index, UNKNOWN, index + 1)) for index in range(1, 6)]
    for index in range(1, 6):
        log.write(index, "new", index + 1)
    follow = following()

    follow.follow([slow_open, *quick_errors], log.served, 100 * NS_PER_MS)
    assert follow.evidence.errors == 0

    log.write(0, "old", 1)
    follow.follow([operation(0, attempt(0, UNKNOWN, 1)), *quick_errors], log.served, 100 * NS_PER_MS)
    assert (follow.evidence.errors, follow.evidence.on_canary) == (6, 5)
    assert follow.failed == 5


def test_a_request_without_a_log_line_waits_a_second_and_is_then_left_out(log: Log) -> None:
    lost, seen = operation(0, attempt(0, UNKNOWN, 1)), operation(1, attempt(1, UNKNOWN, 2))
    log.write(1, "new", 2)
    follow = following()

    follow.follow([lost, seen], log.served, 6 * NS_PER_MS + LOGGED_WITHIN_NS)
    assert follow.evidence.errors == 0
    follow.follow([lost, seen], log.served, 7 * NS_PER_MS + LOGGED_WITHIN_NS)
    assert (follow.unrouted, follow.evidence.on_canary) == (1, 1)


def test_an_arrival_that_was_dropped_does_not_stop_the_judge_for_good(log: Log) -> None:
    log.write(1, "new", 2)
    never, seen = operation(0), operation(1, attempt(1, OK, 2))
    follow = following()

    follow.follow([never, seen], log.served, SENT_WITHIN_NS)
    assert not follow.on_canary
    follow.follow([never, seen], log.served, SENT_WITHIN_NS + 1)
    assert set(follow.on_canary) == {1}


def test_an_arrival_counts_once_however_often_it_is_tried(log: Log) -> None:
    log.write(0, "new", 1)
    log.write(0, "new", 10)
    tried = operation(0, attempt(0, UNKNOWN, 1), attempt(0, UNKNOWN, 10, number=1), outcome=UNKNOWN)
    follow = following()

    follow.follow([tried], log.served, 100 * NS_PER_MS)

    assert follow.evidence.errors == 1
    assert (follow.steps["2/500"].requests, follow.steps["2/500"].on_canary) == (1, 1)


def test_what_went_by_other_weights_is_none_of_this_release(log: Log) -> None:
    log.write(0, "new", 1, weights="1/500")
    log.write(1, "old", 2, weights="3/0")
    log.write(2, "new", 3, weights="4/10000")
    operations = [operation(index, attempt(index, UNKNOWN, index + 1)) for index in range(3)]
    follow = following(since=2)

    follow.follow(operations, log.served, 100 * NS_PER_MS)

    assert follow.on_canary == {2: "4/10000"}
    assert follow.evidence.log == pytest.approx(0.0, abs=1e-12)  # at full share an error says nothing


def test_other_operations_are_compared_and_are_no_payments(log: Log) -> None:
    log.write(0, "new", 1)
    follow = following()

    follow.follow([operation(0, attempt(0, UNKNOWN, 1), name="balance")], log.served, 100 * NS_PER_MS)

    assert follow.evidence.on_canary == 1
    assert not follow.on_canary


def test_a_payment_is_looked_at_only_when_it_is_final_and_long_enough() -> None:
    done, late, unknown, replayed = (
        operation(0, attempt(0, OK, 1)),
        operation(1, attempt(1, OK, 50)),
        operation(2, attempt(2, UNKNOWN, 1)),
        operation(3, attempt(3, OK, 1), attempt(3, CENSORED, 40, number=1, purpose=Purpose.REPLAY), outcome=OK),
    )

    found = final_before(20 * NS_PER_MS, [done, late, unknown, replayed], {0, 1, 2, 3})

    assert [each.arrival.index for each in found] == [0]
    assert final_before(20 * NS_PER_MS, [done], set()) == []


def window(loser: str = "new", taken_ms: int = 30) -> Window:
    return Window("new", "old", loser, {"authorise"}, 2, 25 * NS_PER_MS, taken_ms * NS_PER_MS)


def test_exposure_and_times_come_from_the_log_and_the_load(log: Log) -> None:
    log.write(0, "new", 10)
    log.write(1, "old", 12)
    log.write(2, "new", 28, took_ms=10)
    log.write(3, "old", 40, weights="3/0")
    operations = [
        operation(0, attempt(0, UNKNOWN, 10)),
        operation(1, attempt(1, OK, 12)),
        operation(2, attempt(2, OK, 28, took_ms=10)),
        operation(3, attempt(3, OK, 40)),
    ]

    found = figures(operations, log.served, window(), resolved=())

    assert found.by_version["new"] == Exposure(2, 2, 1, {"EUR": 202})
    assert found.by_version["old"] == Exposure(1, 1, 0, {"EUR": 101})  # what came after the release is not in it
    times = found.times
    assert (times.t0_ns, times.t3_ns, times.t4_ns) == (10 * NS_PER_MS, 28 * NS_PER_MS, 38 * NS_PER_MS)
    assert times.t5_ns == 15 * NS_PER_MS
    assert (found.in_flight, found.in_flight_lost) == (1, 0)


def test_a_payment_in_flight_at_the_switch_is_lost_when_nobody_knows_its_end(log: Log) -> None:
    log.write(0, "new", 28)
    operations = [operation(0, attempt(0, UNKNOWN, 28))]

    lost = figures(operations, log.served, window(), resolved=())
    known = figures(operations, log.served, window(), resolved={"k-0"})

    assert (lost.in_flight, lost.in_flight_lost) == (1, 1)
    assert (known.in_flight, known.in_flight_lost) == (1, 0)


def test_a_release_that_served_nothing_has_no_times_of_requests(log: Log) -> None:
    found = figures([], log.served, window(), resolved=())

    assert (found.times.t0_ns, found.times.t3_ns, found.times.t5_ns) == (None, None, None)
    assert found.by_version["new"].requests == 0


def test_an_answer_that_the_log_does_not_hold_is_counted(log: Log) -> None:
    log.write(0, "new", 1)
    twice = operation(0, attempt(0, OK, 1), attempt(0, OK, 9, number=1, purpose=Purpose.REPLAY), outcome=OK)

    assert unlogged([twice], log.served, {"authorise"}) == 1
    log.write(0, "new", 9)
    assert unlogged([twice], log.served, {"authorise"}) == 0
    assert unlogged([operation(5, attempt(5, OK, 1))], log.served, {"balance"}) == 0
