"""What a load gave no occasion to check is listed; what it asked for and did not see stays open."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.ledger.check import Means, check_through
from pytest_finchaos.ledger.occasion import without_occasion
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.model.history import History
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.verdict import Verdict
from tests.systems.books import LEDGER, SPEC, Books


def report(books: Books, history: History | None = None) -> MoneyReport:
    means = Means(books, books, books.clock)
    return check_through(history or books.history(), spec=SPEC, ledger=LEDGER, means=means)


def verdict(money: MoneyReport, invariant: str) -> Verdict | None:
    return next((each.verdict for each in money.findings if each.invariant == invariant), None)


def test_probes_and_declines_that_nobody_asked_for_are_listed_as_not_checked() -> None:
    books = Books()
    books.pay()

    money = report(books)

    assert "no key-reuse probes" in money.not_checked["key-reuse-refused"]
    assert "nothing was declined" in money.not_checked["refused-no-effect"]
    assert verdict(money, "key-reuse-refused") is None
    assert verdict(money, "exactly-once") is Verdict.PASS


def test_a_probe_that_was_planned_and_got_no_answer_stays_open() -> None:
    books = Books()
    books.pay()
    plain = books.history()
    planned = tuple(replace(each, arrival=replace(each.arrival, reuse_after_ns=1_000_000)) for each in plain.operations)

    money = report(books, replace(plain, operations=planned))

    assert "key-reuse-refused" not in money.not_checked
    assert verdict(money, "key-reuse-refused") is Verdict.INCONCLUSIVE


def test_without_any_acknowledged_payment_everything_stays_open() -> None:
    money = report(Books())

    assert "refused-no-effect" not in money.not_checked
    assert verdict(money, "refused-no-effect") is Verdict.INCONCLUSIVE


def test_a_reuse_probe_whose_answer_was_lost_is_its_own_finding_and_no_wrong_amount() -> None:
    books = Books(key_ignored=True)
    books.pay(reuses=1, reuse_end="lost-answer")

    money = report(books)

    assert verdict(money, "key-reuse-refused") is Verdict.FAIL
    assert verdict(money, "amount-fidelity") is Verdict.PASS


def test_a_cent_too_much_is_found_although_a_probe_without_an_answer_asked_for_other_keys() -> None:
    books = Books()
    books.pay(reuses=1, reuse_end="lost-request")
    books.pay()
    wrong = books.payments[1]
    books.payments[1] = replace(wrong, amount_minor=wrong.amount_minor + 1)

    assert verdict(report(books), "amount-fidelity") is Verdict.FAIL


EMPTY = Tally("exactly-once", "", "", 0, (), nothing_to_check("no operation was sent"))
STILL = Tally("settlement-totals", "", "", 250, (), nothing_to_check("no money moved"))
WHOLE = Tally("conservation", "the books add up", "", 48)
BROKEN = Tally("double-entry", "", "", 3, (Violation("p-1", "has one leg"),))
FAILED = Tally("balance-chain", "", "", 0, (), "the check itself failed: KeyError")
RESTLESS = Tally("quiescence", "", "", 0, (), "the books did not come to rest")


def test_of_a_load_that_declares_to_only_read_what_had_nothing_to_look_at_is_listed_as_not_checked() -> None:
    tallies = {each.invariant: each for each in (EMPTY, STILL, WHOLE)}

    told = without_occasion(tallies, (), "the load profile 'reads' declares reads_only")

    assert set(told) == {"exactly-once", "settlement-totals"}
    assert "'reads' declares reads_only" in told["exactly-once"]


def test_a_violation_a_failed_check_and_restless_books_stay_also_where_nothing_was_to_be_paid() -> None:
    tallies = {each.invariant: each for each in (BROKEN, FAILED, RESTLESS)}

    assert without_occasion(tallies, (), "declared") == {}
