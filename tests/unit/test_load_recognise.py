"""Reading a request back: what `render` made is recognised with its key and values, and what differs is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finchaos.load.recognise import Sent, recognise
from pytest_finchaos.load.request import render
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import OperationSpec

PAY = OperationSpec(
    "pay",
    "g",
    "POST",
    "/v1/accounts/{customer}/payments",
    headers={"Idempotency-Key": "fc:{key}", "Authorization": "Bearer {token}", "X-Version": "2"},
    body={"amount": {"value": "{amount_minor}", "currency": "EUR"}, "to": "acc {merchant}"},
)
READ = OperationSpec("read", "g", "GET", "/v1/payments/{key}")
LIST = OperationSpec("list", "g", "GET", "/v1/payments/all")
ALL = {operation.name: operation for operation in (PAY, READ, LIST)}
TEXT = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)


def sent(operation: OperationSpec = PAY, **values: object) -> Sent:
    ready = render(
        operation, {"key": "k-1", "customer": "c 1", "merchant": "m1", "token": "s", "amount_minor": 5, **values}
    )
    return Sent(ready.method, f"http://127.0.0.1:1{ready.path}", dict(ready.headers), ready.body)


@given(key=TEXT, customer=TEXT, merchant=TEXT, amount_minor=st.integers(1, 10**9))
def test_what_render_made_is_read_back(key: str, customer: str, merchant: str, amount_minor: int) -> None:
    found = recognise(ALL, sent(key=key, customer=customer, merchant=merchant, amount_minor=amount_minor))
    assert found.operation is PAY
    assert found.key == key
    assert found.values == {"customer": customer, "merchant": merchant, "amount_minor": amount_minor}
    assert found.unlike == ""


def test_no_login_is_kept() -> None:
    assert "token" not in recognise(ALL, sent(token="secret")).values
    assert "secret" not in repr(sent(token="secret"))


def test_nothing_of_a_setup_operation_is_kept() -> None:
    login = OperationSpec("login", "g", "POST", "/login", body={"password": "{password}"}, setup=True)
    found = recognise({"login": login}, Sent("POST", "http://h:1/login", {}, {"password": "theirs"}))
    assert found.operation is login
    assert found.values == {}


def test_the_name_that_the_locustfile_gives_goes_before_the_path() -> None:
    assert recognise(ALL, sent(), "read").operation is READ
    assert recognise(ALL, sent(), "nothing of that name").operation is PAY


def test_a_literal_path_goes_before_one_with_a_placeholder() -> None:
    assert recognise(ALL, Sent("GET", "http://h:1/v1/payments/all")).operation is LIST
    assert recognise(ALL, Sent("GET", "http://h:1/v1/payments/k-9")).key == "k-9"


def test_a_request_of_nobody_keeps_its_key() -> None:
    found = recognise(ALL, Sent("PUT", "http://h:1/else", {"idempotency-key": "k-2"}))
    assert found.operation is None
    assert found.key == "k-2"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"body": b'{"amount": {"value": 5, "currency": "EUR"}}'}, "other fields"),
        ({"body": b'{"amount": {"value": 5, "currency": "USD"}, "to": "acc m"}'}, "not as declared"),
        ({"body": b"no json"}, "no JSON"),
        ({"body": b'{"amount": {"value": [5], "currency": "EUR"}, "to": "acc m"}'}, "no plain value"),
        ({"headers": {"X-Version": "2"}}, "no header Idempotency-Key"),
        ({"headers": {"Idempotency-Key": "k-1", "X-Version": "2"}}, "not as declared"),
    ],
)
def test_what_differs_from_the_declaration_is_said(change: dict[str, object], why: str) -> None:
    found = recognise(ALL, replace(sent(), **change))  # type: ignore[arg-type]
    assert found.operation is PAY
    assert why in found.unlike


def test_a_form_and_parsed_values_are_read_too() -> None:
    form = replace(PAY, encoding="form", body={"amount": "{amount_minor}", "to": "{merchant}"})
    found = recognise({"pay": form}, replace(sent(), body="amount=5&to=m1"))
    assert found.values["amount_minor"] == 5
    assert recognise(ALL, replace(sent(), body={"amount": {"value": 7, "currency": "EUR"}, "to": "acc m"})).unlike == ""


def test_a_value_that_looks_like_a_card_number_is_refused() -> None:
    request = replace(sent(), body={"amount": {"value": 7, "currency": "EUR"}, "to": "acc 4111111111111111"})
    with pytest.raises(UserError, match="card number") as told:
        recognise(ALL, request)
    assert "4111" not in str(told.value)
