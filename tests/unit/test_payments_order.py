"""Orders, keys and tokens: what is accepted, and what the same order means."""

from __future__ import annotations

import json
import math
import random

import pytest

from pytest_finchaos.payments import tokens
from pytest_finchaos.payments.authorise import prepare, through_floats
from pytest_finchaos.payments.defects import GATEWAY_DEFECTS, SETTLEMENT_DEFECTS, DefectError, chosen_defects
from pytest_finchaos.payments.fraud import REJECT_FROM_MINOR, REJECT_FROM_SCORE, score_of
from pytest_finchaos.payments.order import LARGEST_MINOR, Order, OrderError, parse_key, parse_order

ORDER = Order(1200, "EUR", "cust-0001", "shop-0001")
SECRET = b"unit"


def test_an_order_survives_the_way_through_json() -> None:
    assert parse_order(ORDER.as_json()) == ORDER


def test_the_fingerprint_is_that_of_the_order_not_of_its_json() -> None:
    loose = b'{ "creditor":"shop-0001", "debtor":"cust-0001", "currency":"EUR", "amount_minor":1200, "note":1 }'

    assert parse_order(loose).fingerprint() == ORDER.fingerprint()


@pytest.mark.parametrize(
    "other",
    [
        Order(1201, "EUR", "cust-0001", "shop-0001"),
        Order(1200, "USD", "cust-0001", "shop-0001"),
        Order(1200, "EUR", "cust-0002", "shop-0001"),
        Order(1200, "EUR", "cust-0001", "shop-0002"),
    ],
)
def test_each_part_of_an_order_changes_its_fingerprint(other: Order) -> None:
    assert other.fingerprint() != ORDER.fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 1.0},
        {"amount_minor": -1},
        {"amount_minor": LARGEST_MINOR + 1},
        {"amount_minor": None},
        {"currency": "EURO"},
        {"currency": 978},
        {"debtor": ""},
        {"debtor": "a\nb"},
        {"debtor": "\x00"},
        {"creditor": "x" * 65},
    ],
)
def test_an_order_with_a_wrong_field_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OrderError):
        parse_order(json.dumps(json.loads(ORDER.as_json()) | changes).encode())


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff"])
def test_what_is_no_json_object_is_no_order(body: bytes) -> None:
    with pytest.raises(OrderError):
        parse_order(body)


@pytest.mark.parametrize("key", [None, "", "x" * 256, "a\x00b"])
def test_a_key_that_cannot_be_kept_is_refused(key: str | None) -> None:
    with pytest.raises(OrderError):
        parse_key(key)


def test_both_answers_to_an_order_echo_what_was_asked() -> None:
    call = prepare("key", ORDER, allowed=True, score=1)

    accepted, declined = json.loads(call.accepted), json.loads(call.declined)

    assert accepted["id"] == str(call.id)
    assert accepted["amount_minor"] == declined["amount_minor"] == call.booked_minor == 1200
    assert "id" not in declined


def test_a_token_names_its_user_until_it_expires() -> None:
    token = tokens.issue("drill", secret=SECRET, now_s=1000.0)

    assert tokens.user_of(token, secret=SECRET, now_s=1000.0 + 3600) == "drill"
    assert tokens.user_of(token, secret=SECRET, now_s=1000.0 + tokens.LIFETIME_S) is None


@pytest.mark.parametrize("token", ["", "x", "a.b", "é.é", "....", "MTo.MTo"])
def test_a_damaged_token_names_nobody(token: str) -> None:
    assert tokens.user_of(token, secret=SECRET, now_s=0.0) is None


def test_a_token_of_another_secret_names_nobody() -> None:
    token = tokens.issue("drill", secret=b"other", now_s=0.0)

    assert tokens.user_of(token, secret=SECRET, now_s=0.0) is None


def test_scores_depend_on_the_order_and_reject_only_large_ones() -> None:
    scores = [score_of(Order(amount_minor, "EUR", "cust-0001", "shop-0001")) for amount_minor in range(1, 2000)]

    assert scores[:50] == [score_of(Order(minor, "EUR", "cust-0001", "shop-0001")) for minor in range(1, 51)]
    assert len(set(scores)) > 500
    assert max(scores) < REJECT_FROM_SCORE <= score_of(Order(REJECT_FROM_MINOR, "EUR", "cust-0001", "shop-0001"))


def test_float_rounding_is_wrong_by_one_minor_unit_on_a_quarter_of_card_amounts_and_more() -> None:
    source = random.Random("card amounts")
    amounts = [max(1, round(1200 * math.exp(source.gauss(0, 0.9)))) for _ in range(5000)]

    off = [through_floats(amount) - amount for amount in amounts]

    assert set(off) == {0, -1}
    assert off.count(-1) >= len(amounts) // 4


@pytest.mark.parametrize(("known", "service"), [(GATEWAY_DEFECTS, "gateway"), (SETTLEMENT_DEFECTS, "settlement")])
def test_known_defects_are_chosen_where_they_are_allowed(known: dict[str, str], service: str) -> None:
    environ = {"PAYMENTS_DEFECTS": " , ".join(known), "PAYMENTS_ALLOW_DEFECTS": "1"}

    assert chosen_defects(service, known, environ) == tuple(sorted(known))
    assert chosen_defects(service, known, {"PAYMENTS_DEFECTS": ""}) == ()
    assert chosen_defects(service, known, {}) == ()


@pytest.mark.parametrize(
    "environ",
    [
        {"PAYMENTS_DEFECTS": "key-ignored"},
        {"PAYMENTS_DEFECTS": "key-ignored", "PAYMENTS_ALLOW_DEFECTS": "true"},
        {"PAYMENTS_DEFECTS": "settlement-skips", "PAYMENTS_ALLOW_DEFECTS": "1"},
    ],
)
def test_a_defect_that_is_not_allowed_or_not_there_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(DefectError, match="PAYMENTS_DEFECTS"):
        chosen_defects("gateway", GATEWAY_DEFECTS, environ)
