"""Laws of the money check: a correct bank never alarms, whatever its customers saw; one wrong row is always found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finchaos.ledger.check import Means, check_through
from pytest_finchaos.ledger.quiesce import fingerprint
from pytest_finchaos.ledger.tally import Tally, Violation, joined
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import Outcome, Purpose
from pytest_finchaos.model.money import Entry, Extract, Payment
from pytest_finchaos.model.verdict import Verdict
from tests.systems.books import ENDS, LEDGER, PREFIX, SPEC, Books, check_all, violated

# What a customer does next: final answers end the tries, as in the driver.
OPEN = [name for name, (_, outcome, _, _) in ENDS.items() if not outcome.terminal and outcome is not Outcome.CENSORED]
LAST = ["ok", "ok", "ok", "unauthorised", "in-flight", "in-flight-done", *OPEN]


@st.composite
def correct_books(draw: st.DrawFn, *, at_least: int = 0) -> Books:
    """A bank after a random day."""
    books = Books(floor_minor=draw(st.sampled_from([0, 900_000, 990_000])))
    for _ in range(draw(st.integers(at_least, 12))):
        tries = [*draw(st.lists(st.sampled_from(OPEN), max_size=2)), draw(st.sampled_from(LAST))]
        probed = tries[-1] == "ok"
        books.pay(
            *tries,
            amount_minor=draw(st.integers(1, 9_000)),
            customer=draw(st.sampled_from(["c-1", "c-2"])),
            merchant=draw(st.sampled_from(["m-1", "m-2"])),
            replays=draw(st.lists(st.sampled_from(["ok", "lost-answer"]), max_size=2)) if probed else (),
            reuses=draw(st.integers(0, 1)) if probed else 0,
        )
    return books


@settings(max_examples=150, deadline=None)
@given(correct_books())
def test_a_correct_bank_never_alarms(books: Books) -> None:
    assert violated(check_all(books.history(), books.extract())) == set()


@settings(max_examples=60, deadline=None)
@given(correct_books())
def test_a_correct_bank_never_alarms_after_the_replay_either(books: Books) -> None:
    report = check_through(books.history(), spec=SPEC, ledger=LEDGER, means=Means(books, books, books.clock))

    assert [finding.invariant for finding in report.findings if finding.verdict is Verdict.FAIL] == []
    assert report.problem == ""


def _payments(extract: Extract, at: int, change: Callable[[Payment], list[Payment]]) -> Extract:
    payments = list(extract.payments)
    payments[at : at + 1] = change(payments[at])
    return replace(extract, payments=tuple(payments))


def _entries(extract: Extract, at: int, change: Callable[[Entry], list[Entry]]) -> Extract:
    entries = list(extract.entries)
    entries[at : at + 1] = change(entries[at])
    return replace(extract, entries=tuple(entries))


MUTATIONS: dict[str, Callable[[Extract, int, int], Extract]] = {
    "payment deleted": lambda extract, at, _: _payments(extract, at, lambda row: []),
    "payment doubled": lambda extract, at, _: _payments(extract, at, lambda row: [row, replace(row, id="again")]),
    "payment under another key": lambda extract, at, _: _payments(
        extract, at, lambda row: [replace(row, key=f"{PREFIX}-999999")]
    ),
    "payment renamed": lambda extract, at, _: _payments(extract, at, lambda row: [replace(row, id="other")]),
    "amount off": lambda extract, at, by: _payments(
        extract, at, lambda row: [replace(row, amount_minor=row.amount_minor + by)]
    ),
    "currency swapped": lambda extract, at, _: _payments(extract, at, lambda row: [replace(row, currency="USD")]),
    "debtor swapped": lambda extract, at, _: _payments(extract, at, lambda row: [replace(row, debtor="c-9")]),
    "creditor swapped": lambda extract, at, _: _payments(extract, at, lambda row: [replace(row, creditor="m-9")]),
    "entry deleted": lambda extract, at, _: _entries(extract, at, lambda row: []),
    "entry doubled": lambda extract, at, _: _entries(extract, at, lambda row: [row, row]),
    "entry amount off": lambda extract, at, by: _entries(
        extract, at, lambda row: [replace(row, amount_minor=row.amount_minor + by)]
    ),
    "entry account swapped": lambda extract, at, _: _entries(extract, at, lambda row: [replace(row, account="x")]),
    "entry balance off": lambda extract, at, by: _entries(
        extract, at, lambda row: [replace(row, balance_after_minor=row.balance_after_minor + by)]
    ),
    "entry version off": lambda extract, at, by: _entries(
        extract, at, lambda row: [replace(row, version=row.version + by)]
    ),
    "entry of another payment": lambda extract, at, _: _entries(
        extract, at, lambda row: [replace(row, payment_id="other")]
    ),
    "balance off": lambda extract, at, by: replace(
        extract,
        balances=(
            replace(extract.balances[0], balance_minor=extract.balances[0].balance_minor + by),
            *extract.balances[1:],
        ),
    ),
    "all entries gone": lambda extract, at, _: replace(extract, entries=()),
    "settlement row gone": lambda extract, at, _: _settled(extract, at, 0),
    "settlement row doubled": lambda extract, at, _: _settled(extract, at, 2),
}


def _settled(extract: Extract, at: int, times: int) -> Extract:
    assert extract.settlement is not None
    (file,) = extract.settlement
    rows = (*file.rows[:at], *[file.rows[at]] * times, *file.rows[at + 1 :])
    total = sum(row.amount_minor for row in rows)
    return replace(extract, settlement=(replace(file, rows=rows, stated_count=len(rows), stated_total_minor=total),))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    correct_books(at_least=1).filter(lambda books: bool(books.payments)),
    st.sampled_from(sorted(MUTATIONS)),
    st.integers(0, 1000),
    st.sampled_from([-3, -1, 1, 2]),
)
def test_one_wrong_row_is_always_found(books: Books, mutation: str, at: int, by: int) -> None:
    extract = books.extract()

    wrong = MUTATIONS[mutation](extract, at % len(extract.payments), by)

    assert violated(check_all(books.history(), wrong)) != set()


@settings(max_examples=100, deadline=None)
@given(correct_books(at_least=1), st.data())
def test_one_wrong_answer_about_a_key_is_always_found(books: Books, data: st.DataObject) -> None:
    answered = [each for each in books.operations if each.outcome is Outcome.OK and each.attempts[-1].answer]
    if not answered:
        return
    chosen = data.draw(st.sampled_from(answered))
    lie = replace(
        chosen.attempts[0],
        number=len(chosen.attempts),
        purpose=Purpose.REPLAY,
        outcome=Outcome.OK,
        reference=digest_reference("another payment"),
        answer="00" * 8,
    )
    operations = list(books.operations)
    operations[chosen.arrival.index] = replace(chosen, attempts=(*chosen.attempts, lie))

    tallies = check_all(replace(books.history(), operations=tuple(operations)), books.extract())

    assert violated(tallies) == {"acknowledged-durable", "same-key-same-answer"}


@settings(max_examples=50, deadline=None)
@given(correct_books())
def test_the_order_of_rows_changes_neither_fingerprint_nor_verdicts(books: Books) -> None:
    extract = books.extract()
    backwards = replace(extract, payments=extract.payments[::-1], entries=extract.entries[::-1])

    assert fingerprint(extract) == fingerprint(backwards)
    verdicts = [
        {name: tally.verdict for name, tally in check_all(books.history(), each).items()}
        for each in (extract, backwards)
    ]
    assert verdicts[0] == verdicts[1]


tallies = st.builds(
    Tally,
    st.just("i"),
    st.just("holds"),
    st.just("breaks"),
    st.integers(0, 3),
    st.lists(st.builds(Violation, st.sampled_from("abc"), st.just("w")), max_size=3, unique_by=lambda v: v.key).map(
        tuple
    ),
    st.sampled_from(["", "why"]),
)


@given(tallies, tallies)
def test_joining_two_looks_never_loses_a_violation_and_never_counts_one_twice(first: Tally, later: Tally) -> None:
    both = joined(first, later)

    keys = [violation.key for violation in both.violations]
    assert len(keys) == len(set(keys))
    assert set(keys) == {violation.key for tally in (first, later) for violation in tally.violations}
    assert both.verdict is not Verdict.PASS or Verdict.PASS in (first.verdict, later.verdict)
