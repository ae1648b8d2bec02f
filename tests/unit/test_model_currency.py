"""Money as people read it."""

from __future__ import annotations

import pytest

from pytest_finchaos.model.currency import spell, spell_all


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (123_456, "EUR", "1,234.56 EUR"),
        (5, "EUR", "0.05 EUR"),
        (-123_456, "EUR", "-1,234.56 EUR"),
        (500, "JPY", "500 JPY"),
        (1_234_567, "KWD", "1,234.567 KWD"),
        (12_345, "CLF", "1.2345 CLF"),
        (10**20 + 1, "EUR", "1,000,000,000,000,000,000.01 EUR"),
        (1_200, "", "1,200 minor units"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount_minor: int, currency: str, text: str) -> None:
    assert spell(amount_minor, currency) == text


def test_amounts_of_several_currencies_are_never_added() -> None:
    assert spell_all({"JPY": 500, "EUR": 100, "KWD": 1}) == "1.00 EUR, 500 JPY and 0.001 KWD"
    assert spell_all({}) == ""
