"""Look-ups as the only ledger: what is looked up, what is left out and said, what an answer tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_finchaos.ledger.adapter_api import MAX_LOOKED_UP, ApiLedger, Learning, Sample
from pytest_finchaos.ledger.adapters import scope
from pytest_finchaos.ledger.check import Means, check_through
from pytest_finchaos.ledger.reader import LedgerUnreachable
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.spec import LedgerSpec, OperationSpec
from pytest_finchaos.model.verdict import Verdict
from tests.systems.books import AUTHORISE, SPEC, Books, busy_day

BY_KEY = OperationSpec("lookup", "api", path="/pay?key={key}", items="found", reference="id")
BY_ID = OperationSpec("by-id", "api", path="/pay/{reference}", reference="id")
FIELDS = {"amount_minor": "cents", "currency": "ccy", "status": "state", "debtor": "from", "creditor": "to"}
LEDGER = LedgerSpec("api", None, "authorise", "lookup", {}, quiet_within_s=10.0, fields=FIELDS)


class Shop(Books):
    """The bank, seen through look-ups that answer with lists, and through others that go by id."""

    def send(
        self, operation: OperationSpec, values: Mapping[str, Any], timeout_s: float, *, direct: bool = False
    ) -> Answer:
        if operation.name not in ("lookup", "by-id") or operation.name in self.statuses:
            return super().send(operation, values, timeout_s, direct=direct)
        self.asked.append(operation.name)
        wanted = [
            each
            for each in self.payments
            if (each.key == values["key"] if operation.name == "lookup" else each.id == values["reference"])
        ]
        items = [
            {"id": each.id, "cents": each.amount_minor, "ccy": each.currency, "state": each.status, "from": each.debtor, "to": each.creditor}
            for each in wanted
        ]  # fmt: skip
        found = operation.name == "lookup" or bool(items)
        body = {"found": items} if operation.name == "lookup" else (items[0] if items else {})
        return Answer(
            Outcome.OK if found else Outcome.REFUSED,
            "http",
            200 if found else 404,
            "",
            "",
            None,
            self.clock.now_ns(),
            self.clock.now_ns(),
            json.dumps(body).encode(),
        )


def day(books: Books) -> Shop:
    """``books`` as a shop."""
    return Shop(
        clock=books.clock,
        payments=books.payments,
        entries=books.entries,
        balances=books.balances,
        answers=books.answers,
        operations=books.operations,
    )


def checked(shop: Shop, lookup: OperationSpec = BY_KEY, references: dict[int, list[str]] | None = None) -> MoneyReport:
    """The money of ``shop`` by look-ups; by default with the ids that its answers told."""
    ledger = replace(LEDGER, lookup=lookup.name)
    spec = replace(SPEC, operations={"authorise": AUTHORISE, lookup.name: lookup}, ledger=ledger)
    known = references_of(shop) if references is None else references
    api = Learning(shop, AUTHORISE, known)
    sample = Sample.of(shop.history(), AUTHORISE, lookup, known)
    reader = ApiLedger(
        spec, ledger, lookup=lookup, sample=sample.operations, api=api, clock=shop.clock, references=api.references
    )
    means = Means(reader, api, shop.clock, scope(spec, ledger))
    return check_through(sample.history, spec=spec, ledger=ledger, means=means)


def references_of(shop: Shop) -> dict[int, list[str]]:
    """What the driver would have kept: the ids that answers told."""
    told = {digest_reference(payment.id): payment.id for payment in shop.payments}
    return {
        each.arrival.index: [told[attempt.reference] for attempt in each.attempts if attempt.reference in told][:1]
        for each in shop.operations
        if any(attempt.reference in told for attempt in each.attempts)
    }


def of(report: MoneyReport, verdict: Verdict) -> set[str]:
    return {finding.invariant for finding in report.findings if finding.verdict is verdict}


DECIDED = {"acknowledged-durable", "refused-no-effect", "same-key-same-answer", "key-reuse-refused", "amount-fidelity"}


def test_a_busy_day_is_green_in_all_that_look_ups_can_decide() -> None:
    report = checked(day(busy_day()))

    assert of(report, Verdict.PASS) == DECIDED | {"exactly-once"}
    assert of(report, Verdict.FAIL) == set()
    states = {resolution.key[-2:]: resolution.state for resolution in report.resolutions}
    assert states == {"04": "applied", "05": "absent", "06": "applied", "07": "absent"}


def test_a_doubled_payment_is_counted_by_a_look_up_that_lists() -> None:
    books = busy_day()
    books.payments.append(replace(books.payments[0], id="again"))

    assert "exactly-once" in of(checked(day(books)), Verdict.FAIL)


def test_a_look_up_by_id_sees_no_double_and_says_so() -> None:
    books = busy_day()
    books.payments.append(replace(books.payments[0], id="again"))

    report = checked(day(books), BY_ID)

    assert "exactly-once" in report.not_checked
    assert of(report, Verdict.FAIL) == set()


@pytest.mark.parametrize("lookup", [BY_KEY, BY_ID])
def test_an_acknowledged_payment_that_is_gone_and_a_wrong_amount_are_found(lookup: OperationSpec) -> None:
    books = busy_day()
    shop = day(books)
    kept = references_of(shop)
    lost, other = books.payments[0], books.payments[1]
    books.payments[1] = replace(other, amount_minor=other.amount_minor + 1)
    books.payments.remove(lost)

    report = checked(shop, lookup, kept)

    assert of(report, Verdict.FAIL) >= {"acknowledged-durable", "amount-fidelity"}


def test_a_look_up_without_a_word_leaves_the_ledger_unread() -> None:
    shop = day(busy_day())
    shop.statuses["lookup"] = 503

    with pytest.raises(LedgerUnreachable, match="got no answer that says anything: HTTP 503"):
        checked(shop)


def test_the_sample_is_bounded_takes_the_doubtful_first_and_says_what_it_left_out() -> None:
    books = Books()
    for number in range(500):
        books.pay("lost-answer" if number % 10 == 0 else "ok")
    history = books.history()

    sample = Sample.of(history, AUTHORISE, BY_KEY, {})

    assert len(sample.operations) == MAX_LOOKED_UP
    doubtful = {each.arrival.index for each in history.operations if each.outcome is Outcome.UNKNOWN}
    assert doubtful <= {each.arrival.index for each in sample.operations}
    assert sample.left_out == "200 operations not looked up: the limit is 300"
    assert {each.arrival.index for each in sample.history.operations} == {
        each.arrival.index for each in sample.operations
    }


def test_without_an_id_there_is_nothing_to_look_up_by_id() -> None:
    books = busy_day()

    sample = Sample.of(books.history(), AUTHORISE, BY_ID, {0: ["p-0"]})

    assert [each.arrival.index for each in sample.operations] == [0]
    assert "got no id of the system to look up" in sample.left_out


def test_a_replay_that_tells_another_id_is_looked_up_by_that_too() -> None:
    shop = day(Books())
    shop.pay()
    shop.key_ignored = True

    report = checked(shop, BY_ID)

    assert "acknowledged-durable" not in of(report, Verdict.FAIL)
    assert "exactly-once" in of(report, Verdict.FAIL)  # both are there: what cannot acquit can convict
