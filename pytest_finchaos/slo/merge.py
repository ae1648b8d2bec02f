"""The verdict of a drill: its test, the automatic checks, what was unsound, and the money."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pytest_finchaos.model.money import EVERY_INVARIANT, Finding, MoneyReport
from pytest_finchaos.model.verdict import Claim, Defect, Judged, Reason, Verdict, merge

AUTOMATIC = frozenset({Claim.FAULT, Claim.OUTCOMES, Claim.HISTORY, Claim.MONEY})
_STRONGEST_FIRST = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE)
_MONEY_CLAIMS = frozenset({Claim.MONEY, Claim.HISTORY})
_OUTCOMES = ("passed", "failed", "undecided", "error")


def judge_drill(
    test_outcome: str,
    checks: Sequence[Judged],
    defects: Sequence[Defect],
    expected_violations: Collection[str],
    money: MoneyReport,
    *,
    test_text: str = "",
    relied_on: Collection[Claim] = frozenset(Claim),
) -> tuple[Verdict, tuple[Reason, ...]]:
    """The verdict of a drill with its reasons: FAIL > INVALID > INCONCLUSIVE > PASS.

    Args:
        test_outcome: ``passed``, ``failed`` (an assertion), ``undecided`` (`Undecided`) or ``error`` (any other).
        checks: The automatic checks, and nothing that the test did not assert.
        defects: What was unsound.
        expected_violations: Invariants that the drill declared beforehand to find violated (a mapping's keys will do).
        money: What was found out about the money.
        test_text: What the test's exception said.
        relied_on: Kinds of claim that the test made; those of the automatic checks (`AUTOMATIC`) are added. A defect
            that voids none of them is told elsewhere and decides nothing.

    Returns:
        Verdict and reasons, strongest first. For PASS one sentence on what was decided.

    Raises:
        ValueError: Unknown ``test_outcome``: a mistake of ours.
    """
    relied = AUTOMATIC | frozenset(relied_on)
    unsound = [defect for defect in defects if Claim.ALL in defect.voids or defect.voids & relied]
    parts = [
        _of_test(test_outcome, test_text, unsound),
        *checks,
        *(Judged(Verdict.INVALID, (defect.reason,), defect.reason.code) for defect in unsound),
        *_of_money(money, expected_violations, unsound),
    ]
    verdict = merge(part.verdict for part in parts)
    if verdict is Verdict.PASS:
        return verdict, (Reason("passed", _passed(checks, money, expected_violations)),)
    ordered = [
        reason
        for strength in _STRONGEST_FIRST
        for part in parts
        if part.verdict is strength
        for reason in part.reasons or (Reason("unexplained", f"{part.subject}: {strength.value} without a reason"),)
    ]
    return verdict, tuple(dict.fromkeys(ordered))


def judge_finding(finding: Finding, expected: bool, defects: Iterable[Defect]) -> Judged:
    """One invariant of the money in the light of what the drill looked for and of what was unsound.

    A violation with a witness is a case that stands by itself: lost records do not void it, only a wrong build or a
    ledger that cannot be believed does. Everything else quantifies over the history and is void without it.
    """
    stands = finding.verdict is Verdict.FAIL and bool(finding.witnesses)
    needs = frozenset({Claim.MONEY}) if stands else _MONEY_CLAIMS
    voided = [defect.reason for defect in defects if defect.hits(needs)]
    name = finding.invariant
    if voided:
        text = f"{name}: {finding.text} (void: {voided[0].text})"
        return Judged(Verdict.INVALID, (Reason("money-void", text, name),), name)
    if not expected:
        return Judged(finding.verdict, (Reason(f"money-{name}", finding.text, name),), name)
    if finding.verdict is Verdict.FAIL:
        return Judged(
            Verdict.PASS, (Reason("found", f"looked for {name} violated and found it: {finding.text}", name),), name
        )
    if finding.verdict is Verdict.PASS:
        text = f"looked for a violation of {name} and did not find it ({finding.checked} checked: {finding.text})"
        return Judged(Verdict.FAIL, (Reason("not-found", text, name),), name)
    text = f"looked for a violation of {name}, which could not be checked: {finding.text}"
    return Judged(finding.verdict, (Reason("not-found", text, name),), name)


def _of_test(outcome: str, text: str, unsound: Sequence[Defect]) -> Judged:
    if outcome not in _OUTCOMES:
        raise ValueError(f"test outcome {outcome!r}, not one of {', '.join(_OUTCOMES)}")
    line = " ".join(text.split())
    if outcome == "passed":
        return Judged(Verdict.PASS, (), "test")
    if outcome == "failed":
        return Judged(
            Verdict.FAIL, (Reason("assertion-failed", f"the test's assertion failed: {line}".rstrip(": ")),), "test"
        )
    if outcome == "undecided":
        verdict = Verdict.INVALID if unsound else Verdict.INCONCLUSIVE
        return Judged(verdict, (Reason("undecided", line or "the test asked what the run cannot decide"),), "test")
    return Judged(
        Verdict.INCONCLUSIVE, (Reason("test-error", f"the test did not finish: {line}".rstrip(": ")),), "test"
    )


def _of_money(money: MoneyReport, expected: Collection[str], unsound: Sequence[Defect]) -> list[Judged]:
    judged = []
    if money.problem:
        judged.append(Judged(Verdict.INCONCLUSIVE, (Reason("ledger-unreadable", money.problem),), "money"))
    judged.extend(judge_finding(finding, finding.invariant in expected, unsound) for finding in money.findings)
    found = {finding.invariant for finding in money.findings}
    for name in expected:
        if name not in found:
            told = money.not_checked.get(name) or money.not_checked.get(EVERY_INVARIANT)
            why = told or money.problem or "it was not checked"
            text = f"looked for a violation of {name}, which could not be checked: {why}"
            judged.append(Judged(Verdict.INCONCLUSIVE, (Reason("not-found", text, name),), name))
    return judged


def _passed(checks: Sequence[Judged], money: MoneyReport, expected: Collection[str]) -> str:
    parts = ["the test's assertions hold", f"{len(checks)} automatic checks passed"]
    if money.findings:
        amount = len(money.findings)
        parts.append(f"{amount} money invariant{'s were' if amount != 1 else ' was'} checked")
    if money.not_checked:
        parts.append(f"{len(money.not_checked)} not checked")
    if expected:
        parts.append(f"found as declared: {', '.join(expected)}")
    return "; ".join(parts)
