"""Invariants of money: what is right stays green whatever happened on the way; one wrong thing goes red, with its amount."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.invariants import CHECKS, INVARIANTS
from pytest_finchaos.ledger.tally import finding
from pytest_finchaos.ledger.witness import teller
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import History, Outcome, Purpose
from pytest_finchaos.model.money import Entry, Extract, Payment, SettlementRow
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.runtime.clock import NS_PER_S
from tests.systems.books import AUTHORISE, PREFIX, T0_NS, Books, busy_day, changed, check_all, violated

Plant = Callable[[History, Extract], tuple[History, Extract]]


def payments_with(extract: Extract, index: int, payment: Payment) -> Extract:
    payments = list(extract.payments)
    payments[index] = payment
    return replace(extract, payments=tuple(payments))


def without_payment(extract: Extract, index: int) -> Extract:
    """As if it had never been: payment and entries gone, chains and file mended."""
    gone = extract.payments[index]
    return replace(
        extract,
        payments=tuple(each for each in extract.payments if each != gone),
        entries=tuple(each for each in extract.entries if each.payment_id != gone.id),
    )


def lost(history: History, extract: Extract) -> tuple[History, Extract]:
    return history, without_payment(extract, 0)


def acknowledged_as_another(history: History, extract: Extract) -> tuple[History, Extract]:
    attempts = [replace(each, reference=digest_reference("other")) for each in history.operations[0].attempts]
    return changed(history, 0, attempts), extract


def doubled(history: History, extract: Extract) -> tuple[History, Extract]:
    return history, replace(extract, payments=(*extract.payments, replace(extract.payments[0], id="p-again")))


def debited_twice(history: History, extract: Extract) -> tuple[History, Extract]:
    debit = next(each for each in extract.entries if each.payment_id == "p-0" and each.amount_minor < 0)
    again = replace(debit, version=99, balance_after_minor=0)
    return history, replace(extract, entries=(*extract.entries, again))


def unasked(history: History, extract: Extract) -> tuple[History, Extract]:
    ghost = replace(extract.payments[0], key=f"{PREFIX}-999999", id="ghost")
    return history, replace(extract, payments=(*extract.payments, ghost))


def declined_but_paid(history: History, extract: Extract) -> tuple[History, Extract]:
    attempts = [replace(each, outcome=Outcome.DECLINED, status=402) for each in history.operations[0].attempts]
    return changed(history, 0, attempts), extract


def declined_but_settled(history: History, extract: Extract) -> tuple[History, Extract]:
    declined = next(each for each in history.operations if each.outcome is Outcome.DECLINED)
    assert extract.settlement is not None
    file = extract.settlement[0]
    row = SettlementRow(declined.arrival.key, "x", 1200, "EUR")
    return history, replace(extract, settlement=(replace(file, rows=(*file.rows, row)),))


def other_answer(history: History, extract: Extract) -> tuple[History, Extract]:
    first, replay = history.operations[0].attempts
    assert replay.purpose is Purpose.REPLAY
    return changed(history, 0, [first, replace(replay, answer="00" * 8)]), extract


def reuse_accepted(history: History, extract: Extract) -> tuple[History, Extract]:
    first, probe = history.operations[1].attempts
    assert probe.purpose is Purpose.REUSE
    return changed(history, 1, [first, replace(probe, outcome=Outcome.OK, status=201)]), extract


def other_amount(history: History, extract: Extract) -> tuple[History, Extract]:
    return history, payments_with(extract, 0, replace(extract.payments[0], amount_minor=1201))


def other_currency(history: History, extract: Extract) -> tuple[History, Extract]:
    return history, payments_with(extract, 0, replace(extract.payments[0], currency="USD"))


def other_creditor(history: History, extract: Extract) -> tuple[History, Extract]:
    return history, payments_with(extract, 0, replace(extract.payments[0], creditor="m-9"))


def entry_changed(**change: int | str) -> Plant:
    def plant(history: History, extract: Extract) -> tuple[History, Extract]:
        entries = list(extract.entries)
        fields: dict[str, int | str] = {**change}
        entries[1] = replace(entries[1], **fields)  # type: ignore[arg-type]
        return history, replace(extract, entries=tuple(entries))

    return plant


def leg_missing(history: History, extract: Extract) -> tuple[History, Extract]:
    return history, replace(extract, entries=extract.entries[1:])


def payment_row_missing(history: History, extract: Extract) -> tuple[History, Extract]:
    """Two payments whose answers were lost: only their entries tell of them."""
    return history, replace(extract, payments=tuple(each for each in extract.payments if each.key[-1] != "4"))


def balance_off(history: History, extract: Extract) -> tuple[History, Extract]:
    first, *others = extract.balances
    return history, replace(extract, balances=(replace(first, balance_minor=first.balance_minor + 7), *others))


def untouched_balance_off(history: History, extract: Extract) -> tuple[History, Extract]:
    extra = replace(extract.balances[0], account="idle", balance_minor=8, opening_minor=1, version=0)
    return history, replace(extract, balances=(*extract.balances, extra))


def settlement_with(change: Callable[[tuple[SettlementRow, ...]], tuple[SettlementRow, ...]]) -> Plant:
    def plant(history: History, extract: Extract) -> tuple[History, Extract]:
        assert extract.settlement is not None
        rows = change(extract.settlement[0].rows)
        total = sum(row.amount_minor for row in rows)
        file = replace(extract.settlement[0], rows=rows, stated_count=len(rows), stated_total_minor=total)
        return history, replace(extract, settlement=(file,))

    return plant


def totals(count: int | None, off: int | None) -> Plant:
    def plant(history: History, extract: Extract) -> tuple[History, Extract]:
        assert extract.settlement is not None
        file = extract.settlement[0]
        assert file.stated_count is not None
        assert file.stated_total_minor is not None
        stated = replace(
            file,
            stated_count=None if count is None else file.stated_count + count,
            stated_total_minor=None if off is None else file.stated_total_minor + off,
        )
        return history, replace(extract, settlement=(stated,))

    return plant


PLANTED: list[tuple[str, Plant, int]] = [
    ("acknowledged-durable", lost, 1200),
    ("acknowledged-durable", acknowledged_as_another, 1200),
    ("exactly-once", doubled, 1200),
    ("exactly-once", debited_twice, 1200),
    ("nothing-unasked", unasked, 1200),
    ("refused-no-effect", declined_but_paid, 1200),
    ("refused-no-effect", declined_but_settled, 1200),
    ("same-key-same-answer", other_answer, 1200),
    ("key-reuse-refused", reuse_accepted, 1200),
    ("amount-fidelity", other_amount, 1),
    ("amount-fidelity", other_currency, 1200),
    ("amount-fidelity", other_creditor, 1200),
    ("double-entry", entry_changed(amount_minor=1199), 1200),
    ("double-entry", entry_changed(account="m-9"), 1200),
    ("double-entry", entry_changed(currency="USD"), 1200),
    ("double-entry", leg_missing, 1200),
    ("double-entry", payment_row_missing, 2400),
    ("balance-chain", entry_changed(balance_after_minor=5), 1_001_195),
    ("balance-chain", entry_changed(version=77), 1200),
    ("balance-chain", balance_off, 7),
    ("balance-chain", untouched_balance_off, 7),
    ("conservation", balance_off, 7),
    ("settlement-complete", settlement_with(lambda rows: rows[1:]), 1200),
    ("settlement-complete", settlement_with(lambda rows: (*rows, rows[0])), 1200),
    ("settlement-complete", settlement_with(lambda rows: (*rows, replace(rows[0], id="x", key="x"))), 1200),
    ("settlement-complete", settlement_with(lambda rows: (replace(rows[0], amount_minor=1199), *rows[1:])), 1200),
    ("settlement-complete", settlement_with(lambda rows: (replace(rows[0], key="x"), *rows[1:])), 1200),
    ("settlement-totals", totals(1, 0), 0),
    ("settlement-totals", totals(0, 1), 1),
    ("settlement-totals", totals(None, None), 0),
]


def test_a_busy_day_of_a_correct_bank_is_green_in_every_invariant() -> None:
    books = busy_day()

    tallies = check_all(books.history(), books.extract())

    assert {name: tally.verdict for name, tally in tallies.items()} == dict.fromkeys(CHECKS, Verdict.PASS)


@pytest.mark.parametrize(("invariant", "plant", "amount_minor"), PLANTED, ids=range(len(PLANTED)))
def test_a_planted_violation_is_found_with_its_amount_and_a_witness(
    invariant: str, plant: Plant, amount_minor: int
) -> None:
    books = busy_day()
    history, extract = plant(books.history(), books.extract())

    facts = Facts.build(history, extract, AUTHORISE)
    found = finding(CHECKS[invariant](facts), teller(history, ()))

    assert found.verdict is Verdict.FAIL
    assert found.violations == len(found.witnesses) == (2 if plant is payment_row_missing else 1)
    assert found.witnesses[0].rows
    assert sum(found.amount_minor.values()) == amount_minor
    if amount_minor:
        assert f": {amount_minor // 100:,}.{amount_minor % 100:02d} " in found.text


def test_every_invariant_has_a_planted_violation() -> None:
    assert {name for name, _, _ in PLANTED} == set(CHECKS)
    assert set(INVARIANTS) == {"quiescence", "lookup-agrees", *CHECKS}


@pytest.mark.parametrize("invariant", list(CHECKS))
def test_nothing_to_check_is_undecided_and_never_green(invariant: str) -> None:
    books = Books()

    tally = check_all(books.history(), books.extract())[invariant]

    assert tally.verdict is Verdict.INCONCLUSIVE
    assert tally.undecided.startswith("nothing to check: ")


@pytest.mark.parametrize("invariant", ["same-key-same-answer", "key-reuse-refused", "refused-no-effect"])
def test_traffic_without_replay_probe_or_decline_leaves_that_undecided(invariant: str) -> None:
    books = Books()
    books.pay()
    books.pay("lost-answer", "ok")

    tally = check_all(books.history(), books.extract())[invariant]

    assert tally.verdict is Verdict.INCONCLUSIVE


def test_an_unknown_outcome_may_be_applied_or_absent() -> None:
    books = Books()
    books.pay("lost-answer")
    books.pay("lost-request")
    books.pay("in-flight-done")
    books.pay("in-flight")

    assert not violated(check_all(books.history(), books.extract()))


def test_an_unknown_outcome_that_was_applied_twice_is_found() -> None:
    books = Books(key_ignored=True)
    books.pay("lost-answer", "lost-answer")

    tallies = check_all(books.history(), books.extract())

    assert violated(tallies) == {"exactly-once"}
    assert tallies["exactly-once"].violations[0].amount_minor == 1200


def test_a_build_that_ignores_keys_is_named_by_what_it_breaks_and_not_by_fidelity() -> None:
    books = Books(key_ignored=True)
    books.pay(replays=["ok"], reuses=1)

    tallies = check_all(books.history(), books.extract())

    assert violated(tallies) == {"exactly-once", "same-key-same-answer", "key-reuse-refused"}
    assert tallies["exactly-once"].violations[0].amount_minor == 1200 + 1201
    assert tallies["key-reuse-refused"].violations[0].amount_minor == 1201


def test_a_stored_decline_is_no_effect() -> None:
    books = Books()
    books.balances["poor"] = replace(books.balance("c-1"), account="poor", balance_minor=5, opening_minor=5)
    declined = books.pay(customer="poor")
    row = Payment(declined.arrival.key, "d-1", 1200, "EUR", "poor", "m-1", "DECLINED")
    books.payments.append(row)

    tallies = check_all(books.history(), books.extract(settlement=False))

    assert tallies["refused-no-effect"].verdict is Verdict.PASS
    assert tallies["exactly-once"].verdict is Verdict.PASS


def test_an_acknowledged_payment_that_is_stored_as_declined_is_lost() -> None:
    books = Books()
    books.pay()
    extract = books.extract()
    declined = replace(extract, payments=(replace(extract.payments[0], status="declined"),), entries=())

    assert "acknowledged-durable" in violated(check_all(books.history(), declined))


def test_a_probe_without_an_answer_says_nothing() -> None:
    books = Books()
    operation = books.pay(reuses=1)
    first, probe = operation.attempts
    history = changed(books.history(), 0, [first, replace(probe, outcome=Outcome.UNKNOWN, status=409)])

    assert check_all(history, books.extract())["key-reuse-refused"].verdict is Verdict.INCONCLUSIVE


def test_payments_of_others_are_judged_only_when_the_ledger_was_read_before() -> None:
    books = busy_day()
    before = books.extract()
    older, newer = (replace(before.payments[0], key=f"else-{number}", id=f"e-{number}") for number in (1, 2))
    before = replace(before, payments=(older,), entries=())
    extract = replace(books.extract(), payments=(*books.extract().payments, older, newer))

    unread = check_all(books.history(), extract)["nothing-unasked"]
    read = check_all(books.history(), extract, before)["nothing-unasked"]

    assert not unread.violations
    assert [violation.key for violation in read.violations] == ["else-2"]


@pytest.mark.parametrize("invariant", ["nothing-unasked", "refused-no-effect"])
def test_missing_records_make_no_false_alarm(invariant: str) -> None:
    books = busy_day()
    history, extract = unasked(*declined_but_paid(books.history(complete=False), books.extract()))

    tally = check_all(history, extract)[invariant]

    assert tally.verdict is Verdict.INCONCLUSIVE
    assert "records of the load are missing" in tally.undecided


def test_entries_from_before_the_load_need_no_payment() -> None:
    books = busy_day()
    opening = Entry("seed", "c-1", 1, 0, "EUR", 1)
    before = replace(books.extract(), payments=(), entries=(opening,))
    extract = replace(books.extract(), entries=(*books.extract().entries, replace(opening, account="x")))

    tallies = check_all(books.history(), extract, before)

    assert tallies["double-entry"].verdict is Verdict.PASS
    assert "double-entry" in violated(check_all(books.history(), extract))


def test_a_witness_tells_attempts_the_overlapping_fault_and_the_rows() -> None:
    books = Books(key_ignored=True)
    books.pay("lost-answer", "ok")
    armed_ns, gone_ns = T0_NS - NS_PER_S, T0_NS + NS_PER_S
    fault = InjectionResult("i-1", "slow api→store", "api→store", armed_ns, True, armed_ns, gone_ns, True, gone_ns)
    later = replace(fault, fault="too late", armed_at_ns=T0_NS + 5 * NS_PER_S, disarmed_at_ns=None)
    history = books.history()

    facts = Facts.build(history, books.extract(), AUTHORISE)
    (witness,) = finding(CHECKS["exactly-once"](facts), teller(history, (fault, later))).witnesses

    assert witness.key == f"{PREFIX}-000000"
    assert witness.attempts == (
        "+0.000 s first try: unknown (timeout) after 20 ms",
        "+0.100 s retry 1: ok (HTTP 201) after 20 ms",
    )
    assert witness.faults == ("slow api→store: armed -1.000 s to +1.000 s",)
    assert witness.rows[0] == "was paid 2 times"
    assert witness.rows[1] == f"payment p-0: 12.00 EUR, c-1 → m-1, authorised, key {PREFIX}-000000"
    assert (witness.amount_minor, witness.currency) == (1200, "EUR")


def test_a_witness_of_what_was_lost_after_its_answer_names_the_next_fault() -> None:
    books = Books()
    books.pay()
    kill = InjectionResult("i-1", "kill -9 of store", "store", T0_NS + NS_PER_S, True, None, None, None, None)
    later = replace(kill, fault="another", armed_at_ns=T0_NS + 2 * NS_PER_S)
    history = books.history()
    facts = Facts.build(history, replace(books.extract(), payments=(), entries=()), AUTHORISE)

    (witness,) = finding(CHECKS["acknowledged-durable"](facts), teller(history, (later, kill))).witnesses

    assert witness.faults == ("kill -9 of store: armed +1.000 s and not removed, 0.980 s after the last answer",)


def test_a_finding_shows_at_most_five_witnesses_and_counts_all() -> None:
    books = Books()
    for _ in range(9):
        books.pay()
    history = books.history()
    facts = Facts.build(history, replace(books.extract(), payments=(), entries=()), AUTHORISE)

    found = finding(CHECKS["acknowledged-durable"](facts), teller(history, ()))

    assert (found.violations, len(found.witnesses), found.amount_minor) == (9, 5, {"EUR": 9 * 1200})
    assert found.text.startswith(
        "9 of 9 acknowledged payments are not in the ledger as acknowledged: 108.00 EUR; first"
    )
