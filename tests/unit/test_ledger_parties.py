"""Parties are compared where it is known which ones were asked for, and listed as not checked where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos.environments.config_operations import ledger as parsed
from pytest_finchaos.environments.config_operations import problems
from pytest_finchaos.ledger.adapters import scope
from pytest_finchaos.ledger.capability import not_checked
from pytest_finchaos.ledger.check import Means, check_through
from pytest_finchaos.model.money import Finding, MoneyReport
from pytest_finchaos.model.spec import EndpointSpec, EnvironmentSpec, LedgerSpec, OperationSpec
from pytest_finchaos.model.verdict import Verdict
from tests.systems.books import AUTHORISE, LEDGER, SPEC, Books, busy_day

ELSEWHERE = replace(
    AUTHORISE, path="/{customer}/pay", body={"to": "{merchant}", "sum": "{amount_minor}", "ccy": "{currency}"}
)
MAPPED = replace(LEDGER, parties={"debtor": "customer", "creditor": "merchant"})
FIDELITY = "amount-fidelity"
SPEC_FOLDER = Path()


def spec_of(operation: OperationSpec, ledger: LedgerSpec) -> EnvironmentSpec:
    return replace(SPEC, operations={**SPEC.operations, "authorise": operation}, ledger=ledger)


def checked(books: Books, ledger: LedgerSpec, operation: OperationSpec = ELSEWHERE) -> MoneyReport:
    spec = spec_of(operation, ledger)
    means = Means(books, books, books.clock, scope(spec, ledger))
    return check_through(books.history(), spec=spec, ledger=ledger, means=means)


def fidelity(report: MoneyReport) -> Finding:
    (found,) = [each for each in report.findings if each.invariant == FIDELITY]
    return found


def paid_to_another() -> Books:
    books = busy_day()
    books.payments[0] = replace(books.payments[0], creditor="m-9")
    return books


def test_a_payment_to_another_account_is_found_where_the_parties_are_declared() -> None:
    report = checked(paid_to_another(), MAPPED)

    assert fidelity(report).verdict is Verdict.FAIL
    assert "creditor: asked for m-1, holds m-9" in fidelity(report).text
    assert report.not_checked == {}


def test_declared_parties_of_a_correct_bank_are_green_and_named() -> None:
    report = checked(busy_day(), MAPPED)

    assert fidelity(report).verdict is Verdict.PASS
    assert "(amount, currency, debtor, creditor)" in fidelity(report).text


def test_parties_that_nobody_declared_are_listed_as_not_checked() -> None:
    report = checked(paid_to_another(), LEDGER)

    assert fidelity(report).verdict is Verdict.PASS
    assert "(amount, currency)" in fidelity(report).text
    assert set(report.not_checked) == {"parties"}
    assert "debtor: nothing says" in report.not_checked["parties"]
    assert "environments.bank.ledger.creditor may name the placeholder" in report.not_checked["parties"]


def test_a_party_that_set_up_brings_is_listed_and_no_false_alarm() -> None:
    till = OperationSpec("till", "api", setup=True, provides={"till": "id"})
    operation = replace(ELSEWHERE, body={**(ELSEWHERE.body or {}), "debtor": "{till}"})
    ledger = replace(LEDGER, parties={"creditor": "merchant"})
    spec = spec_of(operation, ledger)
    spec = replace(spec, operations={**spec.operations, "till": till})
    books = busy_day()

    means = Means(books, books, books.clock, scope(spec, ledger))
    report = check_through(books.history(), spec=spec, ledger=ledger, means=means)

    assert fidelity(report).verdict is Verdict.PASS
    assert "(amount, currency, creditor)" in fidelity(report).text
    assert set(report.not_checked) == {"parties"}
    assert "debtor: requests of 'authorise' take it from set-up" in report.not_checked["parties"]


def test_what_the_ledger_does_not_give_is_listed() -> None:
    fields = {"key": "k", "id": "i", "amount_minor": "a", "currency": "c", "status": "s", "creditor": "to"}
    ledger = replace(MAPPED, adapter="rest", endpoints={"payments": EndpointSpec("/p", fields=fields)})

    gaps = not_checked(spec_of(ELSEWHERE, ledger), ledger, ELSEWHERE, None)

    assert gaps["parties"] == "amount-fidelity does not compare debtor: environments.bank.ledger gives none"


@pytest.mark.parametrize(
    ("body", "listed"),
    [
        ({"debtor": "{customer}", "creditor": "{merchant}", "ccy": "{currency}"}, {"amount"}),
        ({"debtor": "{customer}", "creditor": "{merchant}", "sum": "{amount_minor}"}, {"currency"}),
        ({"sku": "ticket"}, {FIDELITY}),
    ],
)
def test_what_the_request_does_not_state_is_listed(body: Mapping[str, str], listed: set[str]) -> None:
    operation = replace(AUTHORISE, path="/pay", body=body)

    gaps = not_checked(spec_of(operation, LEDGER), LEDGER, operation, SPEC.operations["lookup"])

    assert set(gaps) - {"key-reuse-refused"} == listed


def test_the_declaration_is_read_and_a_placeholder_that_the_request_lacks_is_refused() -> None:
    operation = {"component": "api", "path": "/{customer}/pay/{key}", "body": {"value": {"to": "{account.iban}"}}}
    ledger = {
        "adapter": "sql",
        "driver": "sqlite3",
        "connect": {"database": "x"},
        "operation": "pay",
        "queries": {"payments": "select"},
        "debtor": "customer",
        "creditor": "account.iban",
    }
    table = {"components": {"api": {}}, "operations": {"pay": operation}, "ledger": ledger}
    assert parsed(ledger).parties == {"debtor": "customer", "creditor": "account.iban"}
    assert list(problems("x", table, SPEC_FOLDER)) == []

    table["ledger"] = {**ledger, "creditor": "acount.iban"}
    (mistake,) = problems("x", table, SPEC_FOLDER)

    assert "x.ledger.creditor: 'acount.iban' is no placeholder of operation 'pay'" in mistake.render()
    assert "did you mean 'account.iban'?" in mistake.render()
