"""A load that declares itself to only read is not undecided about money; everything else stays as it was found."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.drill.closing import NO_LEDGER, without_vacuous
from pytest_finchaos.ledger.tally import nothing_to_check
from pytest_finchaos.model.money import Finding, MoneyReport
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.facts import unchecked
from tests.samples.passed import passing_drill

EMPTY = Finding("exactly-once", Verdict.INCONCLUSIVE, nothing_to_check("no operation was sent"), 0, 0)
STILL = Finding("settlement-totals", Verdict.INCONCLUSIVE, nothing_to_check("no money moved"), 250, 0)
WHOLE = Finding("conservation", Verdict.PASS, "the books add up", 48, 0)
BROKEN = Finding("double-entry", Verdict.FAIL, "1 payment has one leg", 3, 1)
FAILED = Finding("balance-chain", Verdict.INCONCLUSIVE, "the check itself failed: KeyError", 0, 0)
RESTLESS = Finding("quiescence", Verdict.INCONCLUSIVE, "the books did not come to rest", 0, 0)


def test_what_had_nothing_to_look_at_is_listed_as_not_checked() -> None:
    told = without_vacuous(MoneyReport(findings=(EMPTY, STILL, WHOLE)), "reads")
    assert told.findings == (WHOLE,)
    assert "'reads' declares reads_only" in told.not_checked["exactly-once"]


def test_a_violation_a_failed_check_and_restless_books_stay() -> None:
    money = MoneyReport(findings=(BROKEN, FAILED, RESTLESS), not_checked={"settlement-totals": "no file"})
    assert without_vacuous(money, "reads") == money


def test_a_drill_without_a_ledger_says_that_every_invariant_is_open_and_why() -> None:
    told = unchecked(replace(passing_drill(), money=NO_LEDGER, not_checked=()))

    assert told == [("money: every invariant", "the environment has no [ledger]")]
