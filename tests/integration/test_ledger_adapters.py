"""Each ledger adapter on a small real system: its defects are found, the good system is green, the rest is listed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pytest_finchaos.ledger.invariants import INVARIANTS, LOOKUP, QUIESCENCE, SETTLEMENT
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.verdict import Verdict
from tests.systems.banks import LEDGERS, Loaded, loaded, running

BOOKS = {"double-entry", "balance-chain", "conservation"}
NOT_CHECKED = {
    "sql": {*SETTLEMENT},
    "sql-payments": {*SETTLEMENT, *BOOKS, QUIESCENCE, LOOKUP},
    "rest": {*SETTLEMENT},
    "api": {*SETTLEMENT, *BOOKS, QUIESCENCE, LOOKUP, "nothing-unasked"},
    "api-by-id": {*SETTLEMENT, *BOOKS, QUIESCENCE, LOOKUP, "nothing-unasked", "exactly-once"},
}


# What a defect must show, and what it may show besides.
EXPECTED: Mapping[str, tuple[set[str], set[str]]] = {
    "slow": (set(), set()),
    "slow,double": ({"exactly-once", "same-key-same-answer", "key-reuse-refused"}, set()),
    "slow,lose": ({"acknowledged-durable"}, {"key-reuse-refused"}),
    "slow,round": ({"amount-fidelity"}, set()),
}


@pytest.fixture(scope="module", params=list(EXPECTED))
def run(request: pytest.FixtureRequest) -> Iterator[tuple[str, Loaded]]:
    with tempfile.TemporaryDirectory(prefix="finchaos-bank-") as name, running(Path(name), request.param) as stand:
        yield request.param, loaded(stand, Path(name) / "load")


def of(report: MoneyReport, verdict: Verdict) -> set[str]:
    return {finding.invariant for finding in report.findings if finding.verdict is verdict}


def test_the_load_met_what_the_checks_need(run: tuple[str, Loaded]) -> None:
    _, done = run
    attempts = [attempt for each in done.history.operations for attempt in each.attempts]

    assert done.history.generator.complete
    assert done.history.counts.ok > 50
    assert done.history.counts.declined > 0
    assert any(attempt.detail == "timeout" for attempt in attempts)
    assert any(attempt.purpose.value == "reuse" for attempt in attempts)


@pytest.mark.parametrize("ledger", LEDGERS)
def test_each_adapter_finds_what_it_can_see_and_nothing_else(run: tuple[str, Loaded], ledger: str) -> None:
    defects, done = run
    must, may = EXPECTED[defects]

    report = done.check(ledger)

    assert report.problem == ""
    violated = of(report, Verdict.FAIL)
    assert must <= violated <= must | may, [finding.text for finding in report.findings if finding.violations]
    judged = {finding.invariant for finding in report.findings}
    assert judged | set(report.not_checked) >= set(INVARIANTS), "skipped in silence"
    assert judged.isdisjoint(report.not_checked)
    unseen = set(report.not_checked) & set(INVARIANTS)
    if must:  # a bank that refuses no probe, whose declines have no number to look up: nothing refused was seen
        unseen.discard("refused-no-effect")
    assert unseen == NOT_CHECKED[ledger] - violated  # what cannot be counted cannot acquit, but it can convict
    assert all(len(report.not_checked[name]) > 20 for name in unseen)
    if not must:
        assert of(report, Verdict.PASS) == set(INVARIANTS) - NOT_CHECKED[ledger]


def test_ids_of_the_system_are_kept_for_look_ups_by_id_and_by_the_owner_only(run: tuple[str, Loaded]) -> None:
    _, done = run

    assert done.session.references.stat().st_mode & 0o777 == 0o600
    assert len(done.session.references.read_text().splitlines()) >= done.history.counts.ok
