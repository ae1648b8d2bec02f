"""Outcomes by status, header and JSON value; bodies as forms; the key wherever a system wants it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from pytest_finchaos.load.request import carries_key, classify, items_of, provided, render
from pytest_finchaos.model import matchers
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules

RULES = OutcomeRules(
    ok=("200",),
    declined=("200 & json:state=DECLINED", "header:X-Outcome=declined"),
    refused=("4xx", "200 & json:error.code=*"),
    unknown=("409", "5xx", "timeout", "malformed"),
)
PAY = OperationSpec("pay", "api", "POST", outcomes=RULES)


@pytest.mark.parametrize(
    ("status", "body", "headers", "outcome"),
    [
        (200, {"state": "DONE"}, {}, Outcome.OK),
        (200, {"state": "DECLINED"}, {}, Outcome.DECLINED),
        (200, {"error": {"code": 7}}, {}, Outcome.REFUSED),
        (200, {"error": {"code": None}}, {}, Outcome.OK),
        (200, {"error": {}}, {}, Outcome.OK),
        (200, {"state": "DONE"}, {"x-outcome": "declined"}, Outcome.DECLINED),
        (418, {}, {"X-OUTCOME": " declined "}, Outcome.DECLINED),
        (404, {}, {}, Outcome.REFUSED),
        (409, {}, {}, Outcome.UNKNOWN),
        (302, {}, {}, Outcome.UNKNOWN),
    ],
)
def test_the_most_specific_rule_decides(status: int, body: Any, headers: dict[str, str], outcome: Outcome) -> None:
    assert classify(PAY, status, "http", json.dumps(body).encode(), headers.items()).outcome is outcome


def test_equally_specific_rules_that_disagree_leave_it_unknown() -> None:
    rules = OutcomeRules(ok=("json:paid=true",), refused=("json:late=true",))
    operation = OperationSpec("pay", "api", outcomes=rules)

    assert classify(operation, 200, "http", b'{"paid": true}').outcome is Outcome.OK
    assert classify(operation, 200, "http", b'{"paid": true, "late": true}').outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("value", "text"), [("x y", "x y"), (True, "true"), (7, "7"), (None, "null"), (1.5, "1.5"), ("a=b", "a=b")]
)
def test_json_values_are_compared_as_json_spells_them(value: Any, text: str) -> None:
    rules = OutcomeRules(ok=(f"json:a.0={text}",), refused=())
    operation = OperationSpec("pay", "api", outcomes=rules)

    assert classify(operation, 200, "http", json.dumps({"a": [value]}).encode()).outcome is Outcome.OK
    assert classify(operation, 200, "http", b'{"a": ["other"]}').outcome is Outcome.UNKNOWN
    assert classify(operation, 200, "http", b"{}").outcome is Outcome.UNKNOWN


def test_an_ok_whose_body_a_rule_must_read_and_cannot_is_malformed() -> None:
    reading = classify(PAY, 200, "http", b'{"state": "DECL')

    assert (reading.outcome, reading.detail) == (Outcome.UNKNOWN, "malformed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jason:a=1", "is no matcher"),
        ("200 & 402", "two statuses"),
        ("200 & timeout", "cannot be joined"),
        ("json:a", "names no value"),
        ("header:=x", "names no value"),
        ("600", "is no matcher"),
    ],
)
def test_a_matcher_that_means_nothing_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        matchers.parse(text)


def test_a_form_carries_key_and_amount_as_fields() -> None:
    form = OperationSpec(
        "pay", "api", "POST", encoding="form", body={"ref": "{key}", "cents": "{amount_minor}", "tag": ["a&b", "é"]}
    )

    ready = render(form, {"key": "k 1", "amount_minor": 12})

    assert carries_key(form)
    assert dict(ready.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs((ready.body or b"").decode()) == {"ref": ["k 1"], "cents": ["12"], "tag": ["a&b", "é"]}


def test_a_form_cannot_hold_a_table() -> None:
    nested = OperationSpec("pay", "api", "POST", encoding="form", body={"a": {"b": "c"}})

    with pytest.raises(UserError, match="field 'a' of a form"):
        render(nested, {})


@pytest.mark.parametrize(
    "operation",
    [
        OperationSpec("pay", "api", "POST", headers={"Idempotency-Key": "{key}"}),
        OperationSpec("pay", "api", "PUT", path="/payments/{key}"),
        OperationSpec("pay", "api", "POST", body={"meta": {"request_id": "{key}"}}),
        OperationSpec("pay", "api", "POST", body={"request_id": "{key}"}, encoding="form"),
    ],
)
def test_the_key_may_stand_in_a_header_the_path_or_the_body(operation: OperationSpec) -> None:
    ready = render(operation, {"key": "key-17"})

    assert carries_key(operation)
    assert sum(part.count("key-17") for part in (ready.path, str(ready.headers), str(ready.body))) == 1


def test_a_set_up_keeps_values_of_body_and_headers() -> None:
    login = OperationSpec("login", "api", setup=True, provides={"token": "auth.token", "csrf": "header:X-CSRF"})

    assert provided(login, b'{"auth": {"token": "t"}}', [("x-csrf", " c ")]) == {"token": "t", "csrf": "c"}
    with pytest.raises(UserError, match="nothing at 'header:X-CSRF'"):
        provided(login, b'{"auth": {"token": "t"}}', [])


def test_a_set_up_that_keeps_headers_only_needs_no_json() -> None:
    login = OperationSpec("login", "api", setup=True, provides={"csrf": "header:X-CSRF"})

    assert classify(login, 200, "http", b"<html>", [("X-CSRF", "c")]).outcome is Outcome.OK
    assert provided(login, b"<html>", [("X-CSRF", "c")]) == {"csrf": "c"}


def test_a_look_up_with_a_list_is_read_when_the_list_is_there() -> None:
    lookup = OperationSpec("lookup", "api", items="data.payments", reference="id")

    assert classify(lookup, 200, "http", b'{"data": {"payments": []}}').outcome is Outcome.OK
    assert classify(lookup, 200, "http", b'{"data": {}}').detail == "malformed"
    assert items_of([1, 2], ".") == [1, 2]
