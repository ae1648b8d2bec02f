"""A ledger that others use as well: what they did before is nobody's finding, and what they do meanwhile is not ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_finchaos.ledger.adapters import scope
from pytest_finchaos.ledger.check import OF_OTHERS, Means, check_through
from pytest_finchaos.ledger.facts import Scope
from pytest_finchaos.ledger.invariants import QUIESCENCE
from pytest_finchaos.ledger.reader import Look
from pytest_finchaos.model.money import Balance, Entry, Extract, MoneyReport, Payment
from pytest_finchaos.model.spec import LedgerSpec
from pytest_finchaos.model.verdict import Verdict
from tests.systems.books import LEDGER, SPEC, Books, busy_day

WITHOUT_FILE = replace(LEDGER, settlement=None)


def checked(books: Books, before: Extract | None, *, others: bool, ledger: LedgerSpec = WITHOUT_FILE) -> MoneyReport:
    spec = replace(SPEC, ledger=ledger)
    means = Means(books, books, books.clock, Scope(others=others))
    return check_through(books.history(), spec=spec, ledger=ledger, means=means, before=before)


def violated(report: MoneyReport) -> set[str]:
    return {finding.invariant for finding in report.findings if finding.violations}


def foreign(books: Books, number: int) -> str:
    """A payment of somebody else, under a key of any kind, booked right."""
    key = f"{number:032x}"
    books.decide(key, {"amount_minor": 500 + number, "customer": "their-1", "merchant": "their-2"})
    return key


def broken_payment(books: Books) -> None:
    books.payments.append(Payment("old", "old-1", 700, "EUR", "x", "y", "authorised"))
    books.entries.append(Entry("old-1", "x", 1, -700, "EUR", 300))
    books.balances["x"] = Balance("x", "EUR", 1000, 300, 1)


def broken_chain(books: Books) -> None:
    books.balances["y"] = Balance("y", "EUR", 1000, 1300, 0)


def paid_twice(books: Books) -> None:
    for number in (1, 2):
        books.payments.append(Payment("old", f"old-{number}", 700, "EUR", "x", "y", "authorised"))


Break = Callable[[Books], None]


@pytest.mark.parametrize("plant", [broken_payment, broken_chain, paid_twice])
@pytest.mark.parametrize("others", [False, True])
def test_what_was_wrong_before_the_load_is_no_finding(plant: Break, others: bool) -> None:
    books = Books()
    foreign(books, 1)
    plant(books)
    before = books.extract(settlement=False)
    books.operations = []
    for _ in range(5):
        books.pay()
    foreign(books, 2) if others else None

    assert violated(checked(books, before, others=others)) == set()


@pytest.mark.parametrize(("plant", "invariant"), [(broken_payment, "double-entry"), (broken_chain, "balance-chain")])
@pytest.mark.parametrize("others", [False, True])
def test_what_breaks_during_the_load_is_one(plant: Break, invariant: str, others: bool) -> None:
    books = Books()
    foreign(books, 1)
    before = books.extract(settlement=False)
    books.pay()
    plant(books)

    assert invariant in violated(checked(books, before, others=others))


def test_money_that_was_off_before_is_not_counted_and_what_came_is() -> None:
    books = Books()
    broken_chain(books)
    before = books.extract(settlement=False)
    books.pay()
    first = books.balance("c-1")
    books.balances["c-1"] = replace(first, balance_minor=first.balance_minor + 7)

    report = checked(books, before, others=False)

    (found,) = [finding for finding in report.findings if finding.invariant == "conservation"]
    assert found.amount_minor == {"EUR": 7}


def test_payments_of_others_that_arrive_meanwhile_are_unasked_only_in_a_system_of_our_own() -> None:
    books = Books()
    foreign(books, 1)
    before = books.extract(settlement=False)
    books.pay()
    theirs = foreign(books, 2)

    alone = checked(books, before, others=False)
    shared = checked(books, before, others=True)

    assert violated(alone) == {"nothing-unasked"}
    assert theirs in next(finding.text for finding in alone.findings if finding.violations)
    assert violated(shared) == set()
    assert OF_OTHERS in shared.not_checked
    assert QUIESCENCE in shared.not_checked


def test_a_payment_under_one_of_our_keys_that_nobody_sent_is_unasked_in_a_shared_system_too() -> None:
    books = Books()
    books.pay()
    before = books.extract(settlement=False)
    books.decide("run-drill-999999", {"amount_minor": 5, "customer": "a", "merchant": "b"})

    assert violated(checked(books, before, others=True)) == {"nothing-unasked"}


class Market(Books):
    """Others pay without a pause, so the ledger as a whole is never at rest and something is always under way."""

    def look(self, *, though_busy: bool = False) -> Look:
        foreign(self, len(self.payments))
        self.busy = 3
        return super().look(though_busy=though_busy)


def market_day() -> Market:
    books = busy_day()
    return Market(
        clock=books.clock,
        payments=books.payments,
        entries=books.entries,
        balances=books.balances,
        answers=books.answers,
        operations=books.operations,
    )


def test_the_drills_own_payments_come_to_rest_while_others_go_on() -> None:
    market = market_day()
    before = Extract((), (), ())

    report = checked(market, before, others=True)

    assert report.quiet_after_s is not None
    assert violated(report) == set()
    decided = {finding.invariant for finding in report.findings if finding.verdict is Verdict.PASS}
    assert {"acknowledged-durable", "exactly-once", "refused-no-effect", "amount-fidelity", "double-entry"} <= decided


def test_rows_of_others_that_were_read_one_after_another_convict_nobody() -> None:
    class Torn(Market):
        def look(self, *, though_busy: bool = False) -> Look:
            seen = super().look(though_busy=though_busy)
            assert seen.extract is not None
            late = foreign(self, len(self.payments))  # booked after the payments were read, before the entries
            extract = self.extract(settlement=False)
            older = tuple(payment for payment in extract.payments if payment.key != late)
            return replace(seen, extract=replace(extract, payments=older), whole=False)

    day = market_day()
    torn = Torn(
        clock=day.clock,
        payments=day.payments,
        entries=day.entries,
        balances=day.balances,
        answers=day.answers,
        operations=day.operations,
    )

    report = checked(torn, Extract((), (), ()), others=True)

    assert violated(report) == set()
    assert {"balance-chain", "conservation"} <= set(report.not_checked)
    assert "double-entry" in {finding.invariant for finding in report.findings if finding.verdict is Verdict.PASS}


def test_a_loss_is_found_in_a_busy_market() -> None:
    market = market_day()
    market.payments.remove(next(each for each in market.payments if each.key.endswith("000000")))

    assert "acknowledged-durable" in violated(checked(market, Extract((), (), ()), others=True))


def test_rows_that_were_read_one_after_another_while_they_changed_convict_nobody() -> None:
    class Torn(Books):
        def look(self, *, though_busy: bool = False) -> Look:
            self.pay()
            return replace(super().look(though_busy=though_busy), whole=False)

    books = Torn()
    books.pay()
    books.payments.append(replace(books.payments[0], id="again"))
    history = books.history()

    spec = replace(SPEC, ledger=WITHOUT_FILE)
    report = check_through(history, spec=spec, ledger=WITHOUT_FILE, means=Means(books, books, books.clock))

    assert violated(report) == set()
    assert Verdict.PASS not in {finding.verdict for finding in report.findings}


@pytest.mark.parametrize(
    ("backend", "exclusive", "others"),
    [
        ("processes", None, False),
        ("command", None, False),
        ("attach", None, True),
        ("attach", True, False),
        ("processes", False, True),
    ],
)
def test_who_else_may_pay_follows_from_the_backend_or_is_declared(
    backend: str, exclusive: bool | None, others: bool
) -> None:
    assert scope(replace(SPEC, backend=backend), replace(LEDGER, exclusive=exclusive)).others is others


def test_a_declared_status_without_effect_moves_no_money() -> None:
    books = busy_day()
    declined = next(each for each in books.operations if each.outcome is not None and each.outcome.value == "declined")
    asked = declined.arrival.values["amount_minor"]
    books.payments.append(Payment(declined.arrival.key, "ko", asked, "EUR", "poor", "m-1", "KO"))
    spec = replace(SPEC, ledger=WITHOUT_FILE)

    def report(no_effect: tuple[str, ...]) -> set[str]:
        rows = scope(SPEC, replace(LEDGER, no_effect=no_effect))
        means = Means(books, books, books.clock, rows)
        return violated(check_through(books.history(), spec=spec, ledger=WITHOUT_FILE, means=means))

    assert "refused-no-effect" in report(())
    assert report(("KO",)) == set()
