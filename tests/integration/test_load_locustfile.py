"""A team's locustfile on a real target: its requests recorded like ours, its mistakes told without a traceback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.session import LoadSession, start_load
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.http_target import OPERATIONS, TOKEN, Seen, target

HEAD = """
import uuid
from locust import FastHttpUser, HttpUser, constant, constant_throughput, task

print("a locustfile may print")
"""
PAYER = (
    HEAD
    + """
class Payer({base}):
    wait_time = constant_throughput(20)

    @task
    def pay(self):
        body = {{"amount_minor": 1250, "from": "c-1"}}
        headers = {{"Idempotency-Key": str(uuid.uuid4()), "Authorization": "Bearer {token}"}}
        self.client.post("/payments", json=body, headers=headers)

    @task
    def look(self):
        self.client.get("/balance/c-1")
"""
)
SPECIFICATIONS = {name: replace(operation) for name, operation in OPERATIONS.items()}


def payer(base: str = "HttpUser") -> str:
    return PAYER.format(base=base, token=TOKEN)


def plan_for(seen: Seen, folder: Path, text: str, **changes: Any) -> LocustPlan:
    path = folder / "locustfile.py"
    path.write_text(text)
    plan = LocustPlan(
        path=str(path),
        users=4,
        spawn_per_s=100.0,
        host="g",
        operations=SPECIFICATIONS,
        base_urls={"g": seen.base_url},
        seed="7/test",
        key_prefix="run-test",
        max_duration_s=60.0,
    )
    return replace(plan, **changes)


def until_sent(session: LoadSession, number: int) -> None:
    def probe() -> bool | Not:
        if not session.alive:
            return True
        progress = session.progress()
        return True if progress.sent >= number else Not(str(progress))

    wait_for(probe, what=f"{number} requests", within_s=30, every_s=0.05)


def folder(tmp_path: Path) -> Path:
    made = tmp_path / "records"
    made.mkdir()
    return made


@pytest.mark.parametrize("base", ["HttpUser", "FastHttpUser"])
def test_requests_are_recorded_as_the_operations_that_they_are(base: str, tmp_path: Path) -> None:
    with target() as seen:
        with start_load(plan_for(seen, tmp_path, payer(base)), folder(tmp_path)) as session:
            until_sent(session, 60)
            history = session.stop()
        assert history.generator.complete, history.generator.problems
        names = {operation.arrival.operation for operation in history.operations}
        assert names == {"authorise", "balance"}
        assert history.counts.sent == history.counts.planned == len(history.operations)
        assert history.counts.ok == history.counts.sent
        keys = {each.arrival.key for each in history.operations if each.arrival.operation == "authorise"}
        assert keys == {key for key, _ in seen.payments}  # what the target saw is what was recorded
        values = [dict(each.arrival.values) for each in history.operations if each.arrival.operation == "authorise"]
        assert {value["amount_minor"] for value in values} == {1250}
        assert TOKEN not in (tmp_path / "records" / "arrivals.jsonl").read_text()
        assert session.closed_loop
        assert session.unreadable_money("authorise") == ""


def test_a_black_hole_is_no_success_its_requests_are_in_flight(tmp_path: Path) -> None:
    with target() as seen:
        seen.act = lambda _key, _nth: "hang"
        only = payer().replace("    @task\n    def look", "    def look")
        with start_load(plan_for(seen, tmp_path, only), folder(tmp_path)) as session:
            until_sent(session, 4)
            history = session.stop(drain_s=0.2)
    assert history.counts.sent == history.counts.censored == 4  # Locust itself would report none at all
    assert history.generator.complete, history.generator.problems


def test_outcomes_are_read_by_the_declared_rules_and_by_the_teams_own_judgement(tmp_path: Path) -> None:
    text = payer() + (
        "\n    @task\n    def strict(self):\n"
        "        with self.client.get('/freshness', catch_response=True) as answer:\n"
        "            answer.failure('too old')\n"
    )
    with target() as seen:
        seen.act = lambda key, _nth: 402 if key[0] in "01234567" else 503
        with start_load(plan_for(seen, tmp_path, text), folder(tmp_path)) as session:
            until_sent(session, 90)
            history = session.stop()
    found = {(each.arrival.operation, each.outcome) for each in history.operations}
    assert found == {
        ("authorise", Outcome.DECLINED),
        ("authorise", Outcome.UNKNOWN),
        ("balance", Outcome.OK),
        ("freshness", Outcome.UNKNOWN),
    }


def test_a_key_that_is_sent_again_is_another_attempt_of_the_same_operation(tmp_path: Path) -> None:
    text = payer().replace("str(uuid.uuid4())", "'the-one-key'").replace("    @task\n    def look", "    def look")
    with target() as seen, start_load(plan_for(seen, tmp_path, text, users=1), folder(tmp_path)) as session:
        until_sent(session, 1)
        wait_for(lambda: seen.per_key["the-one-key"] >= 3 or Not("fewer"), what="three tries", within_s=30)
        history = session.stop()
    (operation,) = history.operations
    assert len(operation.attempts) == seen.per_key["the-one-key"]
    assert operation.arrival.key == "the-one-key"


def test_a_payment_that_no_operation_describes_leaves_the_money_unchecked(tmp_path: Path) -> None:
    text = payer().replace('"from": "c-1"', '"from": "c-1", "extra": 1')
    with target() as seen, start_load(plan_for(seen, tmp_path, text), folder(tmp_path)) as session:
        until_sent(session, 20)
        session.stop()
    assert "other fields than declared" in session.unreadable_money("authorise")
    assert any("other fields" in row.why for row in session.not_checked)


def test_a_host_that_the_environment_does_not_name_is_never_contacted(tmp_path: Path) -> None:
    with target() as seen, target() as other:
        text = payer().replace('"/balance/c-1"', f'"{other.base_url}/balance/c-1"')
        with start_load(plan_for(seen, tmp_path, text), folder(tmp_path)) as session:
            wait_for(lambda: not session.alive or Not("alive"), what="the load to end", within_s=30)
            history = session.stop()
    assert not history.generator.complete
    assert other.base_url in "; ".join(history.generator.problems)
    assert not other.counts


def test_a_value_that_looks_like_a_card_number_is_never_sent(tmp_path: Path) -> None:
    text = (
        payer()
        .replace('"from": "c-1"', '"from": "4111111111111111"')
        .replace("    @task\n    def look", "    def look")
    )
    with target() as seen:
        with start_load(plan_for(seen, tmp_path, text), folder(tmp_path)) as session:
            wait_for(lambda: not session.alive or Not("alive"), what="the load to end", within_s=30)
            history = session.stop()
        assert "card number" in "; ".join(history.generator.problems)
        assert seen.payments == []
    for path in (tmp_path / "records").iterdir():
        assert b"4111111111111111" not in path.read_bytes()


MISTAKES = {
    "an import that fails": ("import nonexistent_module_of_theirs\n", "No module named 'nonexistent_module_of_theirs'"),
    "a name that is not there": (HEAD + "\nraise KeyError('theirs')\n", "KeyError: 'theirs'"),
    "no Python": ("def broken(:\n", "SyntaxError"),
    "an exit": ("import sys\nsys.exit('not today')\n", "not today"),
    "no user": (HEAD, "no user class"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_locustfile_is_told_with_its_own_words(name: str, tmp_path: Path) -> None:
    text, told = MISTAKES[name]
    with target() as seen, pytest.raises(UserError) as raised:
        start_load(plan_for(seen, tmp_path, text), folder(tmp_path))
    assert told in raised.value.what
    assert "locustfile.py" in raised.value.where
    assert "Traceback" not in str(raised.value)


def test_a_file_that_does_not_exist_and_a_component_that_is_none_are_told(tmp_path: Path) -> None:
    with target() as seen:
        plan = plan_for(seen, tmp_path, payer())
        with pytest.raises(UserError, match="nowhere"):
            start_load(replace(plan, path="/nowhere/locustfile.py"), folder(tmp_path))
        with pytest.raises(UserError, match="gg"):
            start_load(replace(plan, host="gg"), tmp_path / "records")


def test_users_that_stop_their_own_run_are_told(tmp_path: Path) -> None:
    text = payer().replace("        self.client.get", "        self.environment.runner.quit()\n        self.client.get")
    with target() as seen, start_load(plan_for(seen, tmp_path, text), folder(tmp_path)) as session:
        wait_for(lambda: not session.alive or Not("alive"), what="the load to end", within_s=30)
        history = session.stop()
    assert "the locustfile stopped its own run" in "; ".join(history.generator.problems)


def test_errors_of_tasks_are_counted_and_listed(tmp_path: Path) -> None:
    text = payer().replace(
        "        self.client.get", "        raise ValueError('in their task')\n        self.client.get"
    )
    with target() as seen, start_load(plan_for(seen, tmp_path, text), folder(tmp_path)) as session:
        until_sent(session, 30)
        history = session.stop()
    assert history.generator.complete
    assert any("in their task" in row.why for row in session.not_checked)
