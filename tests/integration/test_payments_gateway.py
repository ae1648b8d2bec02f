"""The payment path of the correct build, over HTTP and in the ledger."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.payments import BUILD, Stand, call, payment_stand

CONFIGURATION = Path(__file__).parent.parent.parent / "experiments" / "finchaos.toml"
AT_ONCE = 16


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with payment_stand() as running:
        yield running


def rows_of(stand: Stand, key: str) -> list[tuple[str, int]]:
    query = f"select id::text, amount_minor from payments where idempotency_key = '{key}'"
    return [(row[0], row[1]) for row in stand.database.rows(query)]


def test_a_payment_moves_money_once_and_can_be_read_by_key_and_by_id(stand: Stand) -> None:
    before = stand.get("/v1/accounts/cust-0011/balance").json

    reply = stand.pay("happy", 1234, debtor="cust-0011")

    assert (reply.status, reply.json["status"], reply.json["amount_minor"]) == (201, "authorised", 1234)
    assert reply.headers["idempotent-replayed"] == "false"
    assert rows_of(stand, "happy") == [(reply.json["id"], 1234)]
    by_key, by_id = stand.get("/v1/payments?key=happy"), stand.get(f"/v1/payments/{reply.json['id']}")
    assert by_key.json == by_id.json
    assert by_key.json["id"] == reply.json["id"]
    after = stand.get("/v1/accounts/cust-0011/balance").json
    assert after["balance_minor"] == before["balance_minor"] - 1234
    assert after["version"] == before["version"] + 1


def test_the_same_key_gets_the_same_answer_and_no_second_payment(stand: Stand) -> None:
    first, second = stand.pay("again"), stand.pay("again")

    assert (second.status, second.text) == (first.status, first.text)
    assert second.headers["idempotent-replayed"] == "true"
    assert len(rows_of(stand, "again")) == 1


def test_a_key_used_again_for_another_order_is_refused_without_effect(stand: Stand) -> None:
    first = stand.pay("reused", 1000)

    other = stand.pay("reused", 1001)

    assert (other.status, other.json["error"]) == (422, "key-reused")
    assert rows_of(stand, "reused") == [(first.json["id"], 1000)]


def test_concurrent_duplicates_become_one_payment_with_one_answer(stand: Stand) -> None:
    stand.authorised()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda _: stand.pay("twins"), range(AT_ONCE)))

    assert {reply.status for reply in replies} == {201}
    assert len({reply.text for reply in replies}) == 1
    assert sum(reply.headers["idempotent-replayed"] == "false" for reply in replies) == 1
    assert len(rows_of(stand, "twins")) == 1


def test_a_decline_is_the_final_answer_of_its_key_and_leaves_no_trace_in_the_ledger(stand: Stand) -> None:
    first = stand.pay("too-much", 150_000, debtor="cust-0001")

    second = stand.pay("too-much", 150_000, debtor="cust-0001")

    assert (first.status, first.json["reason"]) == (402, "insufficient-funds")
    assert (second.status, second.text, second.headers["idempotent-replayed"]) == (402, first.text, "true")
    assert rows_of(stand, "too-much") == []
    assert stand.get("/v1/payments?key=too-much").status == 404
    assert stand.database.rows("select event from audit where idempotency_key = 'too-much'") == [("declined",)]


def test_an_order_that_the_fraud_service_rejects_is_declined(stand: Stand) -> None:
    reply = stand.pay("large", 2_000_000)

    assert (reply.status, reply.json["reason"]) == (402, "fraud-suspected")
    assert rows_of(stand, "large") == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"amount_minor": 12.5}, 400),
        ({"amount_minor": "1200"}, 400),
        ({"amount_minor": True}, 400),
        ({"amount_minor": 0}, 400),
        ({"currency": "eur"}, 400),
        ({"creditor": "cust-0100"}, 400),
        ({"debtor": None}, 400),
        ({"debtor": "nobody"}, 404),
        ({"currency": "USD"}, 400),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(stand: Stand, changes: dict[str, object], status: int) -> None:
    body = {"amount_minor": 1200, "currency": "EUR", "debtor": "cust-0100", "creditor": "shop-0001"} | changes
    key = f"bad-{sorted(changes.items())}".replace("'", "")
    headers = stand.authorised() | {"Idempotency-Key": key}

    reply = call(stand.gateway.port, "POST", "/v1/payments", body=body, headers=headers)

    assert reply.status == status
    assert rows_of(stand, key) == []


def test_a_payment_needs_a_key_and_a_token(stand: Stand) -> None:
    body = {"amount_minor": 1200, "currency": "EUR", "debtor": "cust-0100", "creditor": "shop-0001"}
    post = (stand.gateway.port, "POST", "/v1/payments")

    no_key = call(*post, body=body, headers=stand.authorised())
    no_token = call(*post, body=body, headers={"Idempotency-Key": "no-token"})
    forged = call(*post, body=body, headers={"Idempotency-Key": "no-token", "Authorization": "Bearer bm8.bm8"})

    assert (no_key.status, no_token.status, forged.status) == (400, 401, 401)
    assert rows_of(stand, "no-token") == []


def test_a_wrong_password_gets_no_token(stand: Stand) -> None:
    wrong = call(stand.gateway.port, "POST", "/v1/login", body={"user": "drill", "password": "wrong"})
    unknown = call(stand.gateway.port, "POST", "/v1/login", body={"user": "nobody", "password": "drill-only"})
    malformed = call(stand.gateway.port, "POST", "/v1/login", body=b"not json")

    assert (wrong.status, unknown.status, malformed.status) == (401, 401, 400)
    assert stand.login().json["expires_in_s"] >= 3600


def test_a_token_outlives_the_gateway_that_issued_it(stand: Stand) -> None:
    headers = stand.authorised()

    stand.gateway.restart()

    assert call(stand.gateway.port, "GET", "/v1/accounts/cust-0100/balance", headers=headers).status == 200


def test_every_answer_says_which_instance_and_build_gave_it(stand: Stand) -> None:
    for service in (stand.gateway, stand.fraud, stand.settlement):
        for path in ("/health", "/no/such/path"):
            headers = call(service.port, "GET", path).headers
            assert headers["x-instance"] == f"{service.name}-1"
            assert (headers["x-version"], headers["x-app-digest"]) == ("1.0", BUILD)
        ready = service.wait_ready()
        assert service.process is not None
        assert (ready["pid"], ready["build"], ready["defects"]) == (service.process.pid, BUILD, [])
        assert "http_requests_total" in call(service.port, "GET", "/metrics").text


def test_the_balances_of_one_snapshot_always_hold_the_same_sum_while_payments_run(stand: Stand) -> None:
    stand.authorised()

    def pay(number: int) -> int:
        return stand.pay(f"sum-{number}", 100 + number, f"cust-{number % 5 + 20:04d}", "shop-0002").status

    def total(_number: int) -> int:
        accounts = stand.get("/v1/balances").json["accounts"]
        return sum(account["balance_minor"] for account in accounts)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses, sums = pool.map(pay, range(120)), pool.map(total, range(40))

        assert set(statuses) == {201}
        assert len(set(sums)) == 1


def test_entries_are_double_and_chain_over_versions_without_a_gap(stand: Stand) -> None:
    for number in range(20):
        stand.pay(f"chain-{number}", 100 + number, debtor="cust-0002", creditor="shop-0003")

    unbalanced = stand.database.rows("select payment_id from entries group by payment_id having sum(amount_minor) <> 0")
    single = stand.database.rows("select payment_id from entries group by payment_id having count(*) <> 2")
    broken = stand.database.rows("""
        select account, version from (
            select e.account, e.version, e.balance_after_minor, e.amount_minor,
                   row_number() over w as place,
                   coalesce(lag(e.balance_after_minor) over w, a.opening_minor) as before
            from entries e join accounts a on a.account = e.account
            window w as (partition by e.account order by e.version)) as chain
        where place <> version or before + amount_minor <> balance_after_minor""")
    off = stand.database.rows("""
        select a.account from accounts a left join entries e on e.account = a.account
        group by a.account having a.opening_minor + coalesce(sum(e.amount_minor), 0) <> a.balance_minor
               or a.version <> count(e.*)""")

    assert (unbalanced, single, broken, off) == ([], [], [], [])


def test_hot_accounts_run_dry_and_never_go_below_zero(stand: Stand) -> None:
    stand.authorised()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(pool.map(lambda n: stand.pay(f"hot-{n}", 7_000, debtor="cust-0002").status, range(24)))

    assert set(statuses) == {201, 402}
    assert stand.get("/v1/accounts/cust-0002/balance").json["balance_minor"] >= 0
    assert stand.database.rows("select 1 from entries where balance_after_minor < 0") == []


def test_the_queries_of_the_demo_configuration_fit_the_schema(stand: Stand) -> None:
    reply = stand.pay("configured")
    queries = tomllib.loads(CONFIGURATION.read_text())["environments"]["payments"]["ledger"]["queries"]

    payments = {row[0]: row for row in stand.database.rows(queries["payments"])}
    entries = [row for row in stand.database.rows(queries["entries"]) if row[0] == reply.json["id"]]

    assert payments["configured"][1:] == (reply.json["id"], 1200, "EUR", "cust-0100", "shop-0001", "authorised")
    assert sorted(row[3] for row in entries) == [-1200, 1200]
    assert len(stand.database.rows(queries["balances"])) == 250
    assert isinstance(stand.database.rows(queries["busy"])[0][0], int)


def test_the_score_of_an_order_is_always_the_same(stand: Stand) -> None:
    body = {"amount_minor": 1200, "currency": "EUR", "debtor": "cust-0100", "creditor": "shop-0001"}

    first, second = (call(stand.fraud.port, "POST", "/score", body=body) for _ in range(2))

    assert (first.status, first.text) == (200, second.text)
    assert call(stand.fraud.port, "POST", "/score", body={"amount_minor": 1}).status == 400


def test_a_system_without_traffic_is_quiet_for_the_demo_configuration(stand: Stand) -> None:
    busy = tomllib.loads(CONFIGURATION.read_text())["environments"]["payments"]["ledger"]["queries"]["busy"]

    def quiet() -> bool | Not:
        return stand.database.rows(busy) == [(0,)] or Not(str(stand.database.rows(busy)))

    assert wait_for(quiet, what="a quiet ledger", within_s=10)
