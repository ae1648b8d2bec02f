"""The driver against a real HTTP server on this host: counts, outcomes, retries, probes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import Probe, Retry
from pytest_finchaos.load.session import start_load
from pytest_finchaos.model.history import Attempt, History, Operation, Outcome, Purpose
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.http_target import KEYED, OPERATIONS, PLAIN, TOKEN, Handler, Seen, plan_for, target, until_planned


@pytest.fixture
def seen() -> Iterator[Seen]:
    with target() as state:
        yield state


def run(plan: LoadPlan, folder: Path, number: int = 60, drain_s: float = 5.0) -> History:
    with start_load(plan, folder) as session:
        until_planned(session, number)
        history = session.stop(drain_s)
        assert session.stop() is history
        assert not session.alive
    counts = history.counts
    assert counts.planned == counts.sent + counts.unsent
    assert counts.sent == counts.ok + counts.declined + counts.failed + counts.unknown + counts.censored
    return history


def attempts_of(history: History, purpose: Purpose) -> list[tuple[Operation, Attempt]]:
    return [(op, attempt) for op in history.operations for attempt in op.attempts if attempt.purpose is purpose]


def test_counts_equal_the_servers_own(seen: Seen, tmp_path: Path) -> None:
    history = run(plan_for(seen), tmp_path, number=120)
    assert history.generator.complete, history.generator.problems
    sent = Counter(operation.arrival.operation for operation in history.operations)
    assert seen.counts == {
        "payments": sent["authorise"],
        "balance": sent["balance"],
        "freshness": sent["freshness"],
        "login": sent["login"] + 1,  # the setup
    }
    assert history.counts.ok == history.counts.planned >= 120
    assert {key for key, _ in seen.payments} == {
        op.arrival.key for op in history.operations if op.arrival.operation == "authorise"
    }
    assert {op.attempts[0].value for op in history.operations if op.arrival.operation == "freshness"} == {0.25}


def test_what_setup_provides_stays_in_memory(seen: Seen, tmp_path: Path) -> None:
    with start_load(plan_for(seen), tmp_path) as session:
        assert session.setup_values == {"token": TOKEN}
        assert session.not_mapped == ("score",)
        until_planned(session, 10)
        session.stop()
    for path in tmp_path.iterdir():
        assert TOKEN.encode() not in path.read_bytes()


def test_equal_seeds_send_equal_payments(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    run(plan_for(seen), tmp_path / "a", number=40)
    first = dict(seen.payments)
    seen.payments.clear()
    run(plan_for(seen), tmp_path / "b", number=40)
    second = dict(seen.payments)
    common = first.keys() & second.keys()
    assert len(common) >= 20
    assert all(first[key] == second[key] for key in common)


def test_a_retry_keeps_key_and_body_and_the_operation_is_ok(seen: Seen, tmp_path: Path) -> None:

    def twice_bad(_key: str, nth: int) -> int | str:
        return (503, "cut", 201)[nth - 1]

    seen.act = twice_bad
    history = run(plan_for(seen), tmp_path)
    bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key, body in seen.payments:
        bodies[key].append(body)
    paid = [op for op in history.operations if op.arrival.operation == "authorise"]
    assert history.generator.complete
    assert all(len(bodies[op.arrival.key]) == 3 for op in paid)
    assert all(first == again for first, *others in bodies.values() for again in others)
    assert {tuple(attempt.detail for attempt in op.attempts) for op in paid} == {("http", "reset", "http")}
    assert {op.outcome for op in paid} == {Outcome.OK}
    assert all(op.latency_ns == op.attempts[-1].done_ns - op.intended_ns for op in paid)


def test_nothing_is_repeated_that_is_not_safe_to_repeat(seen: Seen, tmp_path: Path) -> None:
    unkeyed = replace(OPERATIONS["authorise"], headers={**KEYED, "Idempotency-Key": "none"})
    seen.act = lambda _key, _nth: 503
    history = run(plan_for(seen, operations={**OPERATIONS, "authorise": unkeyed}), tmp_path, number=30)
    paid = [op for op in history.operations if op.arrival.operation == "authorise"]
    assert len(seen.payments) == len(paid)
    assert {op.outcome for op in paid} == {Outcome.UNKNOWN}


@pytest.mark.parametrize(("action", "detail"), [("cut", "reset"), ("half", "malformed"), (302, "http")])
def test_an_exchange_that_breaks_is_unknown_and_sent_exactly_once(
    seen: Seen, tmp_path: Path, action: int | str, detail: str
) -> None:
    seen.act = lambda _key, _nth: action
    history = run(plan_for(seen, replace(PLAIN, retry=Retry(1))), tmp_path, number=40)
    paid = [op for op in history.operations if op.arrival.operation == "authorise"]
    assert len(seen.payments) == len(paid) > 0
    assert {(op.outcome, op.attempts[0].detail) for op in paid} == {(Outcome.UNKNOWN, detail)}


def test_a_connection_that_the_server_closed_while_idle_is_no_error_of_the_system(
    seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.05)  # the server hangs up after 50 ms, each poll comes after 300 ms
    profile = replace(PLAIN, polls={"freshness": 0.3}, retry=Retry(1))
    history = run(plan_for(seen, profile, rate_per_s=0.001), tmp_path, number=8)
    assert {attempt.detail for op in history.operations for attempt in op.attempts} == {"http"}
    assert history.counts.ok == history.counts.planned == seen.counts["freshness"]


def test_a_black_hole_is_never_a_success(seen: Seen, tmp_path: Path) -> None:
    seen.act = lambda _key, _nth: "hang"
    with start_load(plan_for(seen, replace(PLAIN, retry=Retry(1)), rate_per_s=30.0), tmp_path) as session:
        wait_for(
            lambda: True if session.progress().unknown else Not(str(session.progress())),
            what="the first operation to have given up",
            within_s=30,
            every_s=0.05,
        )
        history = session.stop(0.2)
    paid = [op for op in history.operations if op.arrival.operation == "authorise"]
    outcomes = Counter(op.outcome for op in paid)
    assert set(outcomes) == {Outcome.UNKNOWN, Outcome.CENSORED}
    assert outcomes[Outcome.CENSORED] > 0
    assert history.counts.ok == len(history.operations) - len(paid)
    assert all(op.latency_ns is None for op in paid if op.outcome is Outcome.CENSORED)
    assert history.generator.complete


def test_a_server_that_is_not_there_gives_failed_not_unknown(seen: Seen, tmp_path: Path) -> None:
    operations = {**OPERATIONS, "authorise": replace(OPERATIONS["authorise"], component="gone")}
    plan = plan_for(seen, operations=operations, base_urls={"g": seen.base_url, "gone": "http://127.0.0.1:1"})
    history = run(plan, tmp_path)
    paid = [op for op in history.operations if op.arrival.operation == "authorise"]
    assert {op.outcome for op in paid} == {Outcome.FAILED}
    assert {attempt.detail for op in paid for attempt in op.attempts} == {"refused-connection"}


def test_replays_and_reuse_probes_reach_the_server_and_do_not_count(seen: Seen, tmp_path: Path) -> None:
    probe = Probe("authorise", 1.0, (0.05, 0.2))
    history = run(plan_for(seen, replace(PLAIN, late_replay=probe, key_reuse=probe)), tmp_path, number=90)
    replays, reuses = attempts_of(history, Purpose.REPLAY), attempts_of(history, Purpose.REUSE)
    assert len(replays) > 20
    assert len(reuses) > 20
    assert len(seen.payments) == len(replays) + len(reuses) + len(attempts_of(history, Purpose.OPERATION)) - sum(
        op.arrival.operation != "authorise" for op in history.operations
    )
    amounts = {op.arrival.key: op.arrival.values["amount_minor"] for op in history.operations}
    other = Counter(key for key, body in seen.payments if body["amount_minor"] != amounts[key])
    assert other == Counter(op.arrival.key for op, _ in reuses)
    assert all(attempt.answer == op.attempts[0].answer != "" for op, attempt in replays)
    assert history.counts.ok == history.counts.planned


def test_arrivals_beyond_the_cap_wait_and_are_dropped_after_the_limit(seen: Seen, tmp_path: Path) -> None:
    seen.act = lambda _key, _nth: "hang"
    plan = plan_for(seen, replace(PLAIN, retry=Retry(1)), max_in_flight=4, drop_after_s=0.5)
    history = run(plan, tmp_path, number=150, drain_s=0.1)
    counts = history.counts
    assert history.generator.max_in_flight == 4
    assert counts.dropped > 20
    assert counts.unsent >= counts.dropped
    assert counts.late > 0
