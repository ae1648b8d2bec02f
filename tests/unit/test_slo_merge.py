"""The verdict of a drill, from every combination that matters."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_finchaos.model.money import EVERY_INVARIANT, Finding, MoneyReport, Witness
from pytest_finchaos.model.verdict import Claim, Defect, Judged, Reason, Verdict
from pytest_finchaos.slo.merge import judge_drill, judge_finding

PASSED = Judged(Verdict.PASS, (Reason("ok", "fine"),), "load-generator")
UNDECIDED = Judged(Verdict.INCONCLUSIVE, (Reason("unproven", "not checkable"),), "faults-acted")
WITNESS = Witness("k1", ("attempt",), (), ("row",), 100, "EUR")


def defect(*voids: Claim, code: str = "broken", subject: str = "") -> Defect:
    return Defect(Reason(code, f"{code} was unsound", subject), frozenset(voids))


def finding(name: str, verdict: Verdict, *, witnesses: tuple[Witness, ...] = ()) -> Finding:
    return Finding(name, verdict, f"{name} says {verdict.value}", 100, int(verdict is Verdict.FAIL), {}, witnesses)


def money(*findings: Finding, **changes: Any) -> MoneyReport:
    return MoneyReport(findings=findings, **changes)


def verdict_of(
    outcome: str = "passed",
    checks: tuple[Judged, ...] = (PASSED,),
    defects: tuple[Defect, ...] = (),
    expected: tuple[str, ...] = (),
    found: MoneyReport | None = None,
    **changes: Any,
) -> tuple[Verdict, list[str]]:
    report = money(finding("double-entry", Verdict.PASS)) if found is None else found
    verdict, reasons = judge_drill(outcome, checks, defects, expected, report, **changes)
    assert reasons, "a verdict without a reason"
    return verdict, [reason.code for reason in reasons]


@pytest.mark.parametrize(
    ("outcome", "verdict", "code"),
    [
        ("passed", Verdict.PASS, "passed"),
        ("failed", Verdict.FAIL, "assertion-failed"),
        ("undecided", Verdict.INCONCLUSIVE, "undecided"),
        ("error", Verdict.INCONCLUSIVE, "test-error"),
    ],
)
def test_the_outcome_of_the_test_counts(outcome: str, verdict: Verdict, code: str) -> None:
    assert verdict_of(outcome) == (verdict, [code])


def test_an_undecided_test_is_invalid_when_the_run_was_unsound() -> None:
    assert verdict_of("undecided", defects=(defect(Claim.OUTCOMES),)) == (Verdict.INVALID, ["undecided", "broken"])


@pytest.mark.parametrize("claim", list(Claim))
def test_a_defect_makes_a_passed_drill_invalid(claim: Claim) -> None:
    assert verdict_of(defects=(defect(claim),))[0] is Verdict.INVALID


def test_a_late_generator_decides_nothing_where_nothing_was_claimed_about_latency() -> None:
    assert verdict_of(defects=(defect(Claim.LATENCY),), relied_on={Claim.OUTCOMES})[0] is Verdict.PASS
    assert verdict_of(defects=(defect(Claim.LATENCY),), relied_on={Claim.LATENCY})[0] is Verdict.INVALID


@pytest.mark.parametrize("claim", [Claim.FAULT, Claim.HISTORY, Claim.MONEY, Claim.OUTCOMES, Claim.ALL])
def test_the_automatic_checks_rely_on_the_rest_whatever_the_test_asked(claim: Claim) -> None:
    assert verdict_of(defects=(defect(claim),), relied_on=())[0] is Verdict.INVALID


def test_an_undecided_check_makes_a_passed_test_undecided() -> None:
    assert verdict_of(checks=(PASSED, UNDECIDED)) == (Verdict.INCONCLUSIVE, ["unproven"])


def test_a_failure_is_stronger_than_an_unsound_run_and_both_are_told() -> None:
    verdict, codes = verdict_of("failed", (UNDECIDED,), (defect(Claim.HISTORY),))

    assert (verdict, codes) == (Verdict.FAIL, ["assertion-failed", "broken", "money-void", "unproven"])


def test_a_violated_invariant_fails_a_test_that_asserted_nothing() -> None:
    found = money(finding("exactly-once", Verdict.FAIL, witnesses=(WITNESS,)))

    assert verdict_of(found=found) == (Verdict.FAIL, ["money-exactly-once"])


def test_an_invariant_without_anything_to_check_is_not_green() -> None:
    assert verdict_of(found=money(finding("exactly-once", Verdict.INCONCLUSIVE)))[0] is Verdict.INCONCLUSIVE


def test_a_ledger_that_could_not_be_read_is_not_green() -> None:
    assert verdict_of(found=money(problem="connection refused")) == (Verdict.INCONCLUSIVE, ["ledger-unreadable"])


def test_a_violation_that_was_looked_for_and_found_passes() -> None:
    found = money(finding("amount-fidelity", Verdict.FAIL, witnesses=(WITNESS,)), finding("double-entry", Verdict.PASS))

    assert verdict_of(expected=("amount-fidelity",), found=found)[0] is Verdict.PASS


def test_a_violation_that_was_looked_for_does_not_excuse_another() -> None:
    found = money(finding("amount-fidelity", Verdict.FAIL), finding("exactly-once", Verdict.FAIL))

    assert verdict_of(expected=("amount-fidelity",), found=found) == (Verdict.FAIL, ["money-exactly-once"])


def test_a_violation_that_was_looked_for_and_not_found_fails() -> None:
    found = money(finding("amount-fidelity", Verdict.PASS))
    verdict, reasons = judge_drill("passed", [PASSED], [], {"amount-fidelity": False}, found)

    assert verdict is Verdict.FAIL
    assert reasons[0].text.startswith("looked for a violation of amount-fidelity and did not find it")


@pytest.mark.parametrize(
    "found",
    [
        money(finding("amount-fidelity", Verdict.INCONCLUSIVE)),
        money(finding("double-entry", Verdict.PASS)),
        money(not_checked={"amount-fidelity": "no adapter"}),
        money(problem="connection refused"),
    ],
)
def test_a_violation_that_was_looked_for_and_could_not_be_checked_is_undecided(found: MoneyReport) -> None:
    assert verdict_of(expected=("amount-fidelity",), found=found)[0] is Verdict.INCONCLUSIVE


def test_lost_records_void_a_clean_finding_but_not_a_witnessed_violation() -> None:
    lost = defect(Claim.HISTORY)
    clean, seen = finding("a", Verdict.PASS), finding("b", Verdict.FAIL, witnesses=(WITNESS,))

    assert judge_finding(clean, expected=False, defects=[lost]).verdict is Verdict.INVALID
    assert judge_finding(seen, expected=False, defects=[lost]).verdict is Verdict.FAIL
    assert judge_finding(finding("c", Verdict.FAIL), expected=False, defects=[lost]).verdict is Verdict.INVALID


@pytest.mark.parametrize("claim", [Claim.ALL, Claim.MONEY])
def test_a_wrong_build_voids_even_a_witnessed_violation(claim: Claim) -> None:
    seen = finding("b", Verdict.FAIL, witnesses=(WITNESS,))

    assert judge_finding(seen, expected=False, defects=[defect(claim)]).verdict is Verdict.INVALID


def test_a_drill_about_a_fault_that_did_not_act_keeps_its_money_findings() -> None:
    idle = defect(Claim.FAULT, code="fault-did-not-act", subject="1-latency")
    found = money(finding("exactly-once", Verdict.FAIL, witnesses=(WITNESS,)))

    assert verdict_of(defects=(idle,), found=found) == (Verdict.FAIL, ["money-exactly-once", "fault-did-not-act"])


def test_reasons_come_strongest_first_and_once_each() -> None:
    broken = defect(Claim.OUTCOMES)
    check = Judged(Verdict.INVALID, (broken.reason,), "load-generator")

    assert verdict_of(checks=(UNDECIDED, check), defects=(broken,))[1] == ["broken", "unproven"]


def test_a_passed_drill_says_what_was_decided() -> None:
    _, reasons = judge_drill("passed", [PASSED], [], (), money(finding("a", Verdict.PASS), not_checked={"b": "why"}))

    assert reasons[0].text == (
        "the test's assertions hold; 1 automatic checks passed; 1 money invariant was checked; 1 not checked"
    )


def test_an_outcome_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="skipped"):
        verdict_of("skipped")


def test_a_violation_looked_for_without_a_ledger_is_undecided_and_says_so() -> None:
    money = MoneyReport(not_checked={EVERY_INVARIANT: "the environment has no [ledger]"})

    verdict, reasons = judge_drill("passed", [], [], ("exactly-once",), money)

    assert verdict is Verdict.INCONCLUSIVE
    assert "the environment has no [ledger]" in reasons[0].text
