"""What the end of a drill tells of the money."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.drill.closing import NO_LEDGER
from pytest_finchaos.reporting.facts import unchecked
from tests.samples.passed import passing_drill


def test_a_drill_without_a_ledger_says_that_every_invariant_is_open_and_why() -> None:
    told = unchecked(replace(passing_drill(), money=NO_LEDGER, not_checked=()))

    assert told == [("money: every invariant", "the environment has no [ledger]")]
