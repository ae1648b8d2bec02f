"""What a key-reuse probe did is told of the key's reuse, never as a wrong amount; a wrong amount never hides behind one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_finchaos.ledger.capability import not_checked, table
from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.invariants import CHECKS
from pytest_finchaos.model.history import History, Outcome, Purpose
from tests.systems.books import AUTHORISE, LEDGER, SPEC, Books, changed, check_all, violated

NAMELESS = replace(AUTHORISE, reference=None, answer=())


def ended(books: Books, outcome: Outcome, status: int = 0) -> History:
    """The history of one operation, its probe's end another one than the bank's."""
    history = books.history()
    attempts = history.operations[0].attempts
    told = {"reference": "", "answer": "", "outcome": outcome, "status": status}
    ends = [replace(each, **told) if each.purpose is Purpose.REUSE else each for each in attempts]  # type: ignore[arg-type]
    return changed(history, 0, ends)


def nameless(history: History) -> History:
    """As when answers name no payment."""
    for at, operation in enumerate(history.operations):
        history = changed(history, at, [replace(each, reference="", answer="") for each in operation.attempts])
    return history


def cent_too_much(books: Books) -> None:
    books.payments[0] = replace(books.payments[0], amount_minor=books.payments[0].amount_minor + 1)


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.CENSORED])
@pytest.mark.parametrize("named", [nameless, lambda history: history])
def test_a_probe_that_was_paid_without_an_answer_is_a_reuse(
    outcome: Outcome, named: Callable[[History], History]
) -> None:
    books = Books(key_ignored=True)
    books.pay(reuses=1)

    tallies = check_all(named(ended(books, outcome)), books.extract())

    assert violated(tallies) == {"exactly-once", "key-reuse-refused"}
    (violation,) = tallies["key-reuse-refused"].violations
    assert "the answer was lost" in violation.what
    assert violation.amount_minor == 1201


def test_a_probe_that_was_refused_and_paid_is_a_refusal_without_force() -> None:
    books = Books(key_ignored=True)
    books.pay(reuses=1)

    assert violated(check_all(ended(books, Outcome.REFUSED, 422), books.extract())) == {
        "exactly-once",
        "refused-no-effect",
    }


def test_a_probe_that_was_accepted_is_no_wrong_amount_where_answers_name_no_payment() -> None:
    books = Books(key_ignored=True)
    books.pay(reuses=1)

    facts = Facts.build(nameless(books.history()), books.extract(), NAMELESS)

    assert not CHECKS["amount-fidelity"](facts).violations
    assert CHECKS["key-reuse-refused"](facts).violations


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.REFUSED, Outcome.FAILED])
@pytest.mark.parametrize("named", [nameless, lambda history: history])
def test_a_cent_too_much_under_a_probed_key_is_a_wrong_amount(
    outcome: Outcome, named: Callable[[History], History]
) -> None:
    books = Books()
    books.pay(reuses=1)
    cent_too_much(books)

    tallies = check_all(named(ended(books, outcome)), books.extract(settlement=False))

    assert "amount-fidelity" in violated(tallies)
    assert "key-reuse-refused" not in violated(tallies)


def test_a_probe_that_never_left_made_nothing() -> None:
    books = Books()
    books.pay(reuses=1)
    books.payments.append(replace(books.payments[0], id="again", amount_minor=1201))

    tallies = check_all(ended(books, Outcome.FAILED), books.extract(settlement=False))

    assert {"amount-fidelity", "exactly-once"} <= violated(tallies)
    assert "key-reuse-refused" not in violated(tallies)


def test_a_reuse_that_is_stored_as_rejected_moved_nothing() -> None:
    books = Books()
    books.pay(reuses=1)
    books.payments.append(replace(books.payments[0], id="note", amount_minor=1201, status="rejected"))

    tallies = check_all(ended(books, Outcome.UNKNOWN), books.extract(settlement=False))

    assert violated(tallies) == {"settlement-complete"}  # there is no file


def test_another_body_under_a_key_that_was_never_used_may_be_paid() -> None:
    books = Books(key_ignored=True)
    books.pay("unauthorised", reuses=1)

    assert not violated(check_all(ended(books, Outcome.UNKNOWN), books.extract()))


def test_the_table_names_each_way_to_state_an_amount_that_a_probe_can_change() -> None:
    (row,) = [row for row in table() if row[0] == "key-reuse-refused"]
    major = replace(AUTHORISE, body={"sum": "{amount_major}", "currency": "{currency}"})

    assert all("`{amount_minor}` or `{amount_major}`" in cell for cell in row[1:])
    assert "key-reuse-refused" not in not_checked(SPEC, LEDGER, major, SPEC.operations["lookup"])


def test_a_payment_that_a_retry_doubled_is_not_laid_to_the_refused_probe() -> None:
    books = Books(key_ignored=True)
    books.pay("lost-answer", "ok")
    books.key_ignored = False
    first, second = books.operations[0].attempts
    probe = replace(second, number=2, purpose=Purpose.REUSE, outcome=Outcome.REFUSED, status=409, reference="")
    history = changed(books.history(), 0, [first, second, replace(probe, sent_ns=second.done_ns + 1)])

    tallies = check_all(history, books.extract())

    assert violated(tallies) == {"exactly-once"}
    assert tallies["refused-no-effect"].checked == 1
