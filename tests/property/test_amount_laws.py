"""Laws of amounts and rows: minor and major units are one amount, nothing is rounded, no float is ever money."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finchaos.ledger.rows import Typing
from pytest_finchaos.model.currency import exponent, major, minor, spell
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Payment

AMOUNTS = st.integers(-(10**20), 10**20)
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "UYW", "XXX"])
PATHS = {"key": "k", "id": "id", "amount_minor": "money.amount", "currency": "money.ccy", "status": "=done"}


@given(AMOUNTS, CURRENCIES)
def test_major_units_and_back_is_the_same_amount(amount: int, currency: str) -> None:
    text = major(amount, currency)

    assert minor(text, currency) == amount
    assert minor(Decimal(text), currency) == amount
    assert Decimal(text).scaleb(exponent(currency)) == amount or abs(amount) > 10**27


@given(AMOUNTS, CURRENCIES, st.integers(1, 9), st.integers(0, 5))
def test_a_digit_more_than_the_currency_has_is_refused_and_never_rounded(
    amount: int, currency: str, digit: int, zeros: int
) -> None:
    text = major(amount, currency)
    whole = text if "." in text else f"{text}."

    assert minor(f"{whole}{'0' * (zeros + 1)}", currency) == amount
    with pytest.raises(ValueError, match="more digits"):
        minor(f"{whole}{'0' * zeros}{digit}", currency)


@given(AMOUNTS, CURRENCIES)
def test_an_amount_is_spelt_with_its_digits(amount: int, currency: str) -> None:
    assert spell(amount, currency).replace(",", "") == f"{major(amount, currency)} {currency}"


@pytest.mark.parametrize("text", ["", "1,5", "1e3", " ", "NaN", "0x1", "1.2.3", "--1", "٣"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        minor(text, "EUR")


@given(AMOUNTS, CURRENCIES, st.sampled_from(["text", "number", "decimal"]))
def test_rows_in_major_units_give_the_payments_minor_units(amount: int, currency: str, form: str) -> None:
    text = major(amount, currency)
    body = json.dumps({"k": "k", "id": 7, "money": {"amount": "AMOUNT", "ccy": currency}})
    body = body.replace('"AMOUNT"', f'"{text}"' if form == "text" else text)
    item = json.loads(body, parse_float=Decimal)

    (payment,) = Typing("here", "major").items(Payment, [item], PATHS)

    assert payment == Payment("k", "7", amount, currency, "", "", "done")


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["minor", "major"]))
def test_a_float_is_never_money(number: float, unit: str) -> None:
    row = ["k", "id", number, "EUR", "", "", "done"]

    with pytest.raises(UserError, match="float"):
        Typing("here", unit).rows(Payment, list("abcdefg"), [row])


@given(st.sampled_from(sorted(PATHS)), st.integers(0, 3))
def test_a_path_that_leads_nowhere_names_item_and_field(field: str, before: int) -> None:
    item = {"k": "k", "id": 7, "money": {"amount": 1, "ccy": "EUR"}}
    paths = {**PATHS, field: "no.where"}

    with pytest.raises(UserError) as caught:
        Typing("here").items(Payment, [item] * (before + 1), paths)

    assert caught.value.where == f"here.fields.{field}"
    assert "item 1 has nothing at 'no.where'" in caught.value.what
