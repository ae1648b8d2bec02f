"""Rendering and classification."""

from __future__ import annotations

import json

import pytest

from pytest_finchaos.load.request import (
    carries_key,
    check_template,
    classify,
    digest_reference,
    refuse_card_number,
    render,
    safe_to_retry,
)
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules

PAY = OperationSpec(
    "pay",
    "gateway",
    "POST",
    "/v1/{customer}?key={key}",
    headers={"Idempotency-Key": "{key}", "Authorization": "Bearer {token}"},
    body={"amount_minor": "{amount_minor}", "text": "for {customer}", "deep": [{"c": "{currency}"}], "fixed": 7},
    outcomes=OutcomeRules(
        ok=("2xx",), declined=("402",), refused=("4xx",), unknown=("409", "5xx", "timeout", "reset", "malformed")
    ),
    reference="payment.id",
    answer=("payment.id", "status"),
)
VALUES = {"key": "k 1/2", "amount_minor": 1234, "currency": "EUR", "customer": "a&b", "token": "t"}
GOOD = json.dumps({"payment": {"id": 17}, "status": "done", "noise": 1}).encode()


def test_a_body_string_that_is_one_placeholder_takes_the_values_type() -> None:
    body = json.loads(render(PAY, VALUES).body or b"")
    assert body == {"amount_minor": 1234, "text": "for a&b", "deep": [{"c": "EUR"}], "fixed": 7}


def test_path_values_are_percent_encoded_and_header_values_are_not() -> None:
    ready = render(PAY, VALUES)
    assert ready.path == "/v1/a%26b?key=k%201%2F2"
    assert dict(ready.headers)["Idempotency-Key"] == "k 1/2"
    assert dict(ready.headers)["Content-Type"] == "application/json"


def test_the_wire_form_states_host_and_length() -> None:
    head, _, body = render(PAY, VALUES).wire("h:1").partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/a%26b?key=k%201%2F2 HTTP/1.1\r\nHost: h:1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_request_shows_no_secret_in_its_repr() -> None:
    assert "Bearer" not in repr(render(PAY, {**VALUES, "token": "s3cret"}))


def test_an_unknown_placeholder_names_operation_and_allowed_ones() -> None:
    with pytest.raises(UserError) as caught:
        check_template(PAY, ["key", "amount_minor", "currency", "customers", "token"], "operation 'pay'")
    assert "operation 'pay'" in str(caught.value)
    assert caught.value.suggestion == "customers"
    with pytest.raises(UserError, match=r"unknown placeholder \{token\}"):
        render(PAY, {name: value for name, value in VALUES.items() if name != "token"})


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "tab\t", "é"])
def test_a_header_that_cannot_hold_its_value_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="header"):
        render(PAY, {**VALUES, "token": text})


@pytest.mark.parametrize("text", ["4111111111111111", "pay 4111-1111-1111-1111 now", "4111 1111 1111 1111"])
def test_what_looks_like_a_card_number_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UserError, match="card number") as caught:
        render(PAY, {**VALUES, "customer": text})
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize("text", ["4111111111111112", "cust-0001", "1234", "run-20260101-000001", "a4111111111111111"])
def test_other_numbers_pass(text: str) -> None:
    refuse_card_number(text, "here")


@pytest.mark.parametrize(
    ("status", "detail", "body", "outcome", "said"),
    [
        (201, "http", GOOD, Outcome.OK, "http"),
        (402, "http", b"{}", Outcome.DECLINED, "http"),
        (422, "http", b"", Outcome.REFUSED, "http"),
        (409, "http", b"{}", Outcome.UNKNOWN, "http"),  # an exact status goes before its class
        (503, "http", b"", Outcome.UNKNOWN, "http"),
        (302, "http", b"", Outcome.UNKNOWN, "http"),  # no rule: not known
        (201, "http", b"{", Outcome.UNKNOWN, "malformed"),  # an ok that cannot be read proves nothing
        (201, "http", b'{"status": "done"}', Outcome.UNKNOWN, "malformed"),  # nor one without its reference
        (None, "timeout", b"", Outcome.UNKNOWN, "timeout"),
        (None, "reset", b"", Outcome.UNKNOWN, "reset"),
        (None, "refused-connection", b"", Outcome.FAILED, "refused-connection"),
    ],
)
def test_answers_are_read_by_the_rules(
    status: int | None, detail: str, body: bytes, outcome: Outcome, said: str
) -> None:
    reading = classify(PAY, status, detail, body)
    assert (reading.outcome, reading.detail) == (outcome, said)


def test_a_rule_may_call_a_refused_connection_unknown() -> None:
    careful = OperationSpec("x", "g", outcomes=OutcomeRules(unknown=("refused-connection",)))
    assert classify(careful, None, "refused-connection", b"").outcome is Outcome.UNKNOWN


def test_answers_that_differ_only_outside_the_projection_are_the_same_answer() -> None:
    first = classify(PAY, 201, "http", GOOD)
    same = classify(PAY, 200, "http", GOOD.replace(b'"noise": 1', b'"noise": 2'))
    other = classify(PAY, 201, "http", GOOD.replace(b"done", b"open"))
    assert first.answer == same.answer != other.answer
    assert first.reference == digest_reference("17")
    assert (len(first.reference), len(first.answer)) == (32, 16)


def test_a_value_is_taken_as_a_number_or_not_at_all() -> None:
    age = OperationSpec("age", "s", value="age_s")
    assert classify(age, 200, "http", b'{"age_s": 3}').value == 3.0
    assert classify(age, 200, "http", b'{"age_s": null}').value is None
    assert classify(age, 200, "http", b'{"age_s": true}').value is None


def test_only_reads_and_keyed_operations_are_safe_to_retry() -> None:
    assert carries_key(PAY)
    assert safe_to_retry(PAY)
    assert safe_to_retry(OperationSpec("read", "g", "GET", "/x"))
    assert not safe_to_retry(OperationSpec("login", "g", "POST", "/x", body={"user": "u"}))
    assert safe_to_retry(OperationSpec("pay", "g", "PUT", "/x", body={"ref": {"k": "{key}"}}))
