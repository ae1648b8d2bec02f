"""Each defect is visibly wrong in its own way and in no other; the correct build beside it is in the gateway's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.payments import Stand, payment_stand

ROOT = Path(__file__).parent.parent.parent


def amounts_of(stand: Stand, key: str) -> list[int]:
    rows = stand.database.rows(f"select amount_minor from payments where idempotency_key = '{key}'")
    return [row[0] for row in rows]


def ledger_is_whole(stand: Stand) -> bool:
    unbalanced = stand.database.rows("select 1 from entries group by payment_id having sum(amount_minor) <> 0")
    off = stand.database.rows("""
        select 1 from accounts a left join entries e on e.account = a.account
        group by a.account having a.opening_minor + coalesce(sum(e.amount_minor), 0) <> a.balance_minor""")
    return not unbalanced and not off


def test_key_ignored_pays_twice_for_one_key() -> None:
    with payment_stand({"gateway": "key-ignored"}) as stand:
        first, second = stand.pay("twice", 1200), stand.pay("twice", 1200)
        other = stand.pay("twice", 1300)

        assert (first.status, second.status, other.status) == (201, 201, 201)
        assert len({first.json["id"], second.json["id"], other.json["id"]}) == 3
        assert amounts_of(stand, "twice") == [1200, 1200, 1300]
        assert ledger_is_whole(stand)
        assert stand.gateway.wait_ready()["defects"] == ["key-ignored"]


def test_ack_before_commit_loses_what_it_acknowledged_when_the_database_is_dead() -> None:
    with payment_stand({"gateway": "ack-before-commit"}) as stand:
        stand.authorised()
        stand.database.kill()

        acknowledged = stand.pay("lost")
        stand.gateway.kill()
        stand.database.start()
        stand.gateway.restart()

        assert acknowledged.status == 201
        assert stand.get("/v1/payments?key=lost").status == 404


def test_ack_before_commit_loses_payments_when_the_gateway_is_killed() -> None:
    with payment_stand({"gateway": "ack-before-commit"}) as stand:
        stand.authorised()
        lost = 0
        for burst in range(10):  # one is enough unless this machine stalls for the whole interval
            keys = [f"burst-{burst}-{number}" for number in range(10)]
            statuses = {stand.pay(key).status for key in keys}
            stand.gateway.restart()
            assert statuses == {201}
            lost += sum(not amounts_of(stand, key) for key in keys)
            if lost:
                break

        assert lost
        assert ledger_is_whole(stand)


def test_ack_before_commit_is_right_in_good_weather_and_knows_no_decline() -> None:
    with payment_stand({"gateway": "ack-before-commit"}) as stand:
        first, at_once = stand.pay("fair"), stand.pay("fair")
        reused = stand.pay("fair", 1300)
        overdrawn = stand.pay("overdrawn", 900_000, debtor="cust-0001")

        def written() -> bool | Not:
            answered = stand.database.rows("select key from idempotency_keys where status is not null")
            return {("fair",), ("overdrawn",)} <= set(answered) or Not(str(answered))

        wait_for(written, what="the queue to be written", within_s=10)
        assert (first.status, at_once.text, reused.status) == (201, first.text, 422)
        assert amounts_of(stand, "fair") == [1200]
        assert (overdrawn.status, amounts_of(stand, "overdrawn")) == (201, [])
        assert stand.pay("fair").text == first.text


def test_float_rounding_books_another_amount_than_it_answers() -> None:
    with payment_stand({"gateway": "float-rounding"}) as stand:
        asked = {f"amount-{amount_minor}": amount_minor for amount_minor in range(1100, 1140)}
        replies = {key: stand.pay(key, amount_minor) for key, amount_minor in asked.items()}
        again = {key: stand.pay(key, amount_minor) for key, amount_minor in asked.items()}

        booked = {key: amounts_of(stand, key) for key in asked}
        wrong = [key for key, amount_minor in asked.items() if booked[key] != [amount_minor]]

        assert all(reply.json["amount_minor"] == asked[key] for key, reply in replies.items())
        assert all(again[key].text == reply.text for key, reply in replies.items())
        assert len(wrong) >= len(asked) // 4
        assert all(booked[key] == [asked[key] - 1] for key in wrong)
        assert ledger_is_whole(stand)


def test_settlement_skips_leaves_payments_out_and_states_totals_that_agree_with_the_file() -> None:
    with payment_stand({"settlement": "settlement-skips"}) as stand:
        paid = {stand.pay(f"skip-{number}", 1000 + number).json["id"] for number in range(60)}

        rows, trailer = stand.cut_off()

        assert {row[1] for row in rows} < paid
        assert trailer == ["TOTAL", str(len(rows)), str(sum(int(row[2]) for row in rows))]
        assert stand.database.rows("select count(*) from outbox where relayed_at is null") == [(0,)]


@pytest.mark.parametrize(
    ("service", "variables", "said"),
    [
        ("gateway", {"PAYMENTS_DEFECTS": "key-ignored"}, "set PAYMENTS_ALLOW_DEFECTS=1"),
        ("gateway", {"PAYMENTS_DEFECTS": "key-ignord", "PAYMENTS_ALLOW_DEFECTS": "1"}, "did you mean 'key-ignored'"),
        ("gateway", {"PAYMENTS_DEFECTS": "settlement-skips", "PAYMENTS_ALLOW_DEFECTS": "1"}, "has no defect"),
        ("settlement", {"PAYMENTS_DEFECTS": "settlement-skips"}, "set PAYMENTS_ALLOW_DEFECTS=1"),
        ("fraud", {"PAYMENTS_DEFECTS": "any", "PAYMENTS_ALLOW_DEFECTS": "1"}, "it has: none"),
    ],
)
def test_a_service_refuses_to_start_with_a_defect_that_is_unknown_or_not_allowed(
    service: str, variables: dict[str, str], said: str
) -> None:
    lines = {
        "gateway": ["--database", "127.0.0.1:1", "--fraud", "127.0.0.1:1"],
        "settlement": ["--database", "127.0.0.1:1", "--folder", os.devnull],
        "fraud": [],
    }

    done = subprocess.run(
        [sys.executable, "-m", f"pytest_finchaos.payments.{service}", "--port", "1", *lines[service]],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=variables,
        timeout=30,
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
