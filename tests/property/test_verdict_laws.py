"""Laws of merging verdicts and of the verdict of a drill."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finchaos.model.money import Finding, MoneyReport
from pytest_finchaos.model.verdict import Claim, Defect, Judged, Reason, Undecided, Verdict, merge, void
from pytest_finchaos.slo.merge import judge_drill

VERDICTS = st.sampled_from(list(Verdict))
MANY = st.lists(VERDICTS, max_size=6)
CLAIMS = st.frozensets(st.sampled_from(list(Claim)), min_size=1)
REASONS = st.builds(Reason, st.text(min_size=1, max_size=5), st.text(max_size=300), st.sampled_from(["", "1-a", "2-b"]))
JUDGED = st.builds(Judged, VERDICTS, st.lists(REASONS, max_size=3).map(tuple), st.text(max_size=10))
DEFECTS = st.lists(st.builds(Defect, REASONS, CLAIMS), max_size=3)
FINDINGS = st.builds(
    lambda name, verdict: Finding(name, verdict, f"{name} {verdict.value}", 5, 0),
    st.sampled_from(["exactly-once", "double-entry"]),
    st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE]),
)
OUTCOMES = st.sampled_from(["passed", "failed", "undecided", "error"])
_STRENGTH = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INVALID, Verdict.FAIL]


@given(MANY, MANY)
@settings(deadline=None)
def test_merging_is_commutative(left: list[Verdict], right: list[Verdict]) -> None:
    assert merge(left + right) is merge(right + left)


@given(st.lists(VERDICTS, min_size=1), st.lists(VERDICTS, min_size=1), st.lists(VERDICTS, min_size=1))
@settings(deadline=None)
def test_merging_is_associative(first: list[Verdict], second: list[Verdict], third: list[Verdict]) -> None:
    whole = merge(first + second + third)

    assert merge([merge([merge(first), merge(second)]), merge(third)]) is whole
    assert merge([merge(first), merge([merge(second), merge(third)])]) is whole


@given(st.lists(VERDICTS, min_size=1))
@settings(deadline=None)
def test_merging_is_idempotent_and_chooses_one_of_its_own(verdicts: list[Verdict]) -> None:
    assert merge(verdicts + verdicts) is merge(verdicts)
    assert merge(verdicts) in verdicts


@given(MANY, VERDICTS)
@settings(deadline=None)
def test_more_evidence_never_makes_a_merged_verdict_weaker(verdicts: list[Verdict], more: Verdict) -> None:
    before = merge(verdicts) if verdicts else Verdict.PASS

    assert _STRENGTH.index(merge([*verdicts, more])) >= _STRENGTH.index(before)


@given(MANY)
@settings(deadline=None)
def test_green_needs_something_and_nothing_but_green(verdicts: list[Verdict]) -> None:
    assert (merge(verdicts) is Verdict.PASS) == (bool(verdicts) and set(verdicts) == {Verdict.PASS})


@given(JUDGED)
@settings(deadline=None)
def test_a_truth_value_exists_exactly_for_decisions(judged: Judged) -> None:
    try:
        truth = bool(judged)
    except Undecided:
        assert judged.verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID)
    else:
        assert judged.verdict is (Verdict.PASS if truth else Verdict.FAIL)


@given(JUDGED)
@settings(deadline=None)
def test_a_repr_is_one_line_of_at_most_200_characters(judged: Judged) -> None:
    assert len(repr(judged)) <= 200
    assert len(repr(judged).splitlines()) == 1


@given(JUDGED, DEFECTS, CLAIMS, st.sampled_from(["", "1-a", "2-b"]))
@settings(deadline=None)
def test_voiding_never_makes_a_decision(
    judged: Judged, defects: list[Defect], claims: frozenset[Claim], about: str
) -> None:
    answer = void(judged, defects, claims, about)

    assert answer is judged or answer.verdict is Verdict.INVALID
    assert void(judged, [], claims, about) is judged


@given(
    OUTCOMES,
    st.lists(JUDGED, max_size=3),
    DEFECTS,
    st.lists(FINDINGS, max_size=2),
    st.sets(st.sampled_from(["exactly-once"])),
)
@settings(deadline=None)
def test_a_drill_is_green_only_when_nothing_in_it_is_anything_else(
    outcome: str, checks: list[Judged], defects: list[Defect], findings: list[Finding], expected: set[str]
) -> None:
    verdict, reasons = judge_drill(outcome, checks, defects, expected, MoneyReport(findings=tuple(findings)))

    clean = outcome == "passed" and not defects and all(check.verdict is Verdict.PASS for check in checks)
    wanted = [Verdict.FAIL if each.invariant in expected else Verdict.PASS for each in findings]
    as_wanted = [each.verdict for each in findings] == wanted
    looked_at = expected <= {each.invariant for each in findings}
    assert (verdict is Verdict.PASS) == (clean and as_wanted and looked_at)
    assert reasons
    if outcome == "failed":
        assert verdict is Verdict.FAIL
    if defects:
        assert verdict in (Verdict.FAIL, Verdict.INVALID)
