"""What a request states of a payment, whatever shape its body has; and how money is spelt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_finchaos.ledger.requested import Requested
from pytest_finchaos.model.spec import OperationSpec

VALUES = {"amount_minor": 1200, "currency": "EUR", "customer": "c-1", "merchant": "m-1", "key": "k"}


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        (
            {
                "amount_minor": "{amount_minor}",
                "currency": "{currency}",
                "debtor": "{customer}",
                "creditor": "{merchant}",
            },
            {"amount_minor": 1200, "currency": "EUR", "debtor": "c-1", "creditor": "m-1"},
        ),
        (
            {"amount": {"value": "{amount_minor}", "unit": "{currency}"}, "parties": [{"debtor": "acct/{customer}"}]},
            {"amount_minor": 1200, "currency": "EUR", "debtor": "acct/c-1"},
        ),
        ({"sum": "{amount_minor}", "currency": "USD"}, {"amount_minor": 1200, "currency": "USD"}),
        ({"amount_minor": "{amount_minor} cents"}, {}),
        ({"note": "x"}, {}),
        (None, {}),
    ],
)
def test_stated_fields_are_found_by_name_at_any_depth(body: Mapping[str, Any] | None, stated: dict[str, Any]) -> None:
    assert Requested.by(OperationSpec("pay", "api", body=body), {}).of(VALUES) == stated


def test_an_amount_in_the_path_counts() -> None:
    assert Requested.by(OperationSpec("pay", "api", path="/pay/{amount_minor}"), {}).of(VALUES) == {
        "amount_minor": 1200
    }


REMIT = OperationSpec("pay", "api", path="/{customer}/pay/{key}", body={"to": "{merchant}", "sum": "{amount_major}"})


def test_parties_that_stand_elsewhere_are_declared_by_their_placeholder() -> None:
    assert Requested.by(REMIT, {}).of(VALUES) == {"amount_minor": 1200}

    stated = Requested.by(REMIT, {"debtor": "customer", "creditor": "merchant"}).of(VALUES)

    assert stated == {"amount_minor": 1200, "debtor": "c-1", "creditor": "m-1"}


def test_a_declared_party_is_stronger_than_a_field_of_that_name() -> None:
    operation = OperationSpec("pay", "api", body={"debtor": "the bank", "from": "{customer}"})

    assert Requested.by(operation, {"debtor": "customer"}).of(VALUES) == {"debtor": "c-1"}


def test_what_the_arrival_does_not_hold_is_left_out_and_not_compared_as_a_template() -> None:
    operation = OperationSpec("pay", "api", body={"debtor": "{till}", "creditor": "{merchant}"})

    assert Requested.by(operation, {}).of(VALUES) == {"creditor": "m-1"}


def test_an_account_that_is_a_number_is_compared_as_the_text_that_the_ledger_holds() -> None:
    assert Requested.by(REMIT, {"debtor": "customer"}).of({**VALUES, "customer": 7})["debtor"] == "7"
