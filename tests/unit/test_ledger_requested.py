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
    assert Requested.by(OperationSpec("pay", "api", body=body)).of(VALUES) == stated


def test_an_amount_in_the_path_counts() -> None:
    assert Requested.by(OperationSpec("pay", "api", path="/pay/{amount_minor}")).of(VALUES) == {"amount_minor": 1200}
