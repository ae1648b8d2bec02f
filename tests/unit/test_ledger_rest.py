"""The REST adapter: pages in all their spellings, bounded; answers that do not fit are named; nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_finchaos.ledger import adapter_rest
from pytest_finchaos.ledger.adapter_rest import RestLedger
from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.request import classify, render
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Entry, Payment
from pytest_finchaos.model.spec import EndpointSpec, OperationSpec
from tests.systems.books import LEDGER, SPEC, FakeClock

FIELDS = {"key": "ref", "id": "no", "amount_minor": "sum.cents", "currency": "sum.ccy", "status": "=booked"}


@dataclass
class Pages:
    """An API that answers paths with what a test says, and notes what it was asked."""

    answers: Mapping[str, object]
    clock: FakeClock = field(default_factory=FakeClock)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    takes_s: float = 0.0

    def send(
        self, operation: OperationSpec, values: Mapping[str, Any], timeout_s: float, *, direct: bool = False
    ) -> Answer:
        assert direct
        assert operation.component == "bank"
        path = render(operation, values).path
        self.asked.append(path)
        self.clock.sleep_s(self.takes_s)
        plain = self.answers.get(path, "no such path")
        body = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
        reading = classify(operation, self.status, "http", body)
        return Answer(reading.outcome, "http", self.status, "", "", None, 0, 0, body)


def item(number: int) -> dict[str, Any]:
    return {"ref": f"k-{number}", "no": number, "sum": {"cents": 100 * number, "ccy": "EUR"}}


def payment(number: int) -> Payment:
    return Payment(f"k-{number}", str(number), 100 * number, "EUR", "", "", "booked")


def ledger(pages: Pages, endpoint: EndpointSpec, busy: EndpointSpec | None = None, **options: Any) -> RestLedger:
    endpoints = {"payments": endpoint} | ({} if busy is None else {"busy": busy})
    spec = replace(LEDGER, adapter="rest", component="bank", queries={}, endpoints=endpoints)
    return RestLedger(SPEC, spec, pages, clock=pages.clock, **options)


def read(pages: Pages, endpoint: EndpointSpec, **options: Any) -> tuple[Payment, ...]:
    look = ledger(pages, endpoint, **options).look()
    assert look.extract is not None
    assert not look.whole
    return look.extract.payments


@pytest.mark.parametrize(
    ("path", "following", "second"),
    [
        ("/p", "/p?at=2", "/p?at=2"),
        ("/p", "http://127.0.0.1:9/p?at=2", "/p?at=2"),
        ("/p", "https://elsewhere.example/p?at=2", "/p?at=2"),  # another host is never asked
        ("/p?after={cursor}", "a b", "/p?after=a%20b"),
        ("/p?after={cursor}", 2, "/p?after=2"),
    ],
)
def test_pages_follow_a_path_a_url_or_a_cursor(path: str, following: object, second: str) -> None:
    first = path.replace("{cursor}", "")
    pages = Pages(
        {first: {"rows": [item(1)], "next": following}, second: {"rows": [item(2)], "next": None}},
    )

    found = read(pages, EndpointSpec(path, "rows", FIELDS, "next"))

    assert found == (payment(1), payment(2))
    assert pages.asked == [first, second]


@pytest.mark.parametrize("end", [None, "", False])
def test_the_last_page_names_no_next_one(end: object) -> None:
    assert read(Pages({"/p": {"rows": [], "next": end}}), EndpointSpec("/p", "rows", FIELDS, "next")) == ()


def test_an_answer_may_be_the_list_itself() -> None:
    assert read(Pages({"/p": [item(3)]}), EndpointSpec("/p", fields=FIELDS)) == (payment(3),)


def test_braces_in_what_the_ledger_gave_are_no_placeholders() -> None:
    pages = Pages({"/p": {"rows": [], "next": "/p?{key}"}, "/p?%7Bkey%7D": {"rows": [], "next": None}})

    assert read(pages, EndpointSpec("/p", "rows", FIELDS, "next")) == ()


@pytest.mark.parametrize(
    ("answer", "endpoint", "said"),
    [
        ({"rows": [], "next": "/p"}, EndpointSpec("/p", "rows", FIELDS, "next"), "its pages lead back to /p"),
        ({"rows": [], "next": "c"}, EndpointSpec("/p", "rows", FIELDS, "next"), "gave 'c', which is no path"),
        ({"rows": {}}, EndpointSpec("/p", "rows", FIELDS), "no list at 'rows'"),
        (b"<html>", EndpointSpec("/p", "rows", FIELDS), "answered no JSON"),
        ([{"no": 1}], EndpointSpec("/p", fields=FIELDS), "nothing at 'ref'"),
        (
            [item(1) | {"sum": {"cents": 1.5, "ccy": "EUR"}}],
            EndpointSpec("/p", fields=FIELDS),
            "must be int, not Decimal",
        ),
        ([item(1) | {"sum": {"cents": "1", "ccy": "EUR"}}], EndpointSpec("/p", fields=FIELDS), "must be int, not str"),
    ],
)
def test_an_answer_that_does_not_fit_is_named(answer: object, endpoint: EndpointSpec, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read(Pages({"/p": answer}), endpoint)

    assert said in str(caught.value)
    assert "environments.bank.ledger.endpoints.payments" in caught.value.where


def test_too_many_rows_and_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = {f"/p?at={number}": {"rows": [item(number)], "next": f"/p?at={number + 1}"} for number in range(50)}
    endpoint = EndpointSpec("/p?at=0", "rows", FIELDS, "next")

    with pytest.raises(UserError, match="more than 10 rows"):
        read(Pages(endless), endpoint, max_rows=10)
    monkeypatch.setattr(adapter_rest, "MAX_PAGES", 5)
    with pytest.raises(UserError, match="more than 5 pages"):
        read(Pages(endless), endpoint)


def test_a_look_has_a_deadline() -> None:
    endless = {f"/p?at={number}": {"rows": [], "next": f"/p?at={number + 1}"} for number in range(50)}
    pages = Pages(endless, takes_s=1.0)

    with pytest.raises(LedgerUnreachable, match="was not read within 5 s"):
        read(pages, EndpointSpec("/p?at=0", "rows", FIELDS, "next"), look_s=5.0)
    assert len(pages.asked) == 5


@pytest.mark.parametrize(
    ("status", "error"), [(401, UserError), (404, UserError), (429, LedgerUnreachable), (503, LedgerUnreachable)]
)
def test_a_refusal_is_a_mistake_and_an_overload_is_not(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"GET /p: HTTP {status}"):
        read(Pages({}, status=status), EndpointSpec("/p", fields=FIELDS))


def test_a_busy_system_is_not_read_unless_asked_for() -> None:
    pages = Pages({"/busy": {"queue": {"waiting": 3}}, "/p": []})
    busy = ledger(pages, EndpointSpec("/p", fields=FIELDS), EndpointSpec("/busy", value="queue.waiting"))

    assert busy.look() == Look(3, None, whole=False)
    assert pages.asked == ["/busy"]
    assert busy.look(though_busy=True).extract is not None


ENTRIES = {
    "payment_id": "^.no",
    "account": "iban",
    "version": "nth",
    "amount_minor": "cents",
    "currency": "^.sum.ccy",
    "balance_after_minor": "after",
}


def posting(number: int, cents: int) -> dict[str, Any]:
    return {"iban": f"a-{number}", "nth": number, "cents": cents, "after": 1000 + cents}


def nested(pages: Pages) -> tuple[Entry, ...]:
    entries = EndpointSpec("/p", items="rows", next="next", fields=ENTRIES, nested="postings")
    endpoints = {"payments": EndpointSpec("/p", items="rows", next="next", fields=FIELDS), "entries": entries}
    spec = replace(LEDGER, adapter="rest", component="bank", queries={}, endpoints=endpoints)
    look = RestLedger(SPEC, spec, pages, clock=pages.clock).look()
    assert look.extract is not None
    return look.extract.entries


def test_entries_within_their_payment_are_read_with_what_the_payment_says() -> None:
    first = {**item(1), "postings": [posting(1, -100), posting(2, 100)]}
    pages = Pages(
        {"/p": {"rows": [first, item(2)], "next": "/q"}, "/q": {"rows": [{**item(3), "postings": [posting(3, 5)]}]}}
    )

    assert nested(pages) == (
        Entry("1", "a-1", 1, -100, "EUR", 900),
        Entry("1", "a-2", 2, 100, "EUR", 1100),
        Entry("3", "a-3", 3, 5, "EUR", 1005),
    )


@pytest.mark.parametrize("inner", [{"iban": "a-1"}, ["a-1"], "a-1"])
def test_what_is_no_list_of_entries_is_named_and_not_passed_over(inner: object) -> None:
    with pytest.raises(UserError, match=r"entries\.nested: item 1 has no list of objects at 'postings'"):
        nested(Pages({"/p": {"rows": [{**item(1), "postings": inner}]}}))
