"""Nothing undecided can be read as green."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_finchaos.model.verdict import REPR_LIMIT, Claim, Defect, Judged, Reason, Undecided, Verdict, merge, void

UNDECIDED = [Verdict.INCONCLUSIVE, Verdict.INVALID]
OPERATORS: list[Callable[[Judged], object]] = [
    bool,
    lambda judged: not judged,
    lambda judged: judged or True,
    lambda judged: judged and True,
    lambda judged: True if judged else False,  # noqa: SIM210 - the conditional itself is under test
    lambda judged: all([judged]),
    lambda judged: any([judged]),
    lambda judged: [one for one in (judged,) if one],
]


def judged(verdict: Verdict, text: str = "too few requests") -> Judged:
    return Judged(verdict, (Reason("few", text),), "spent(payment-success)")


@pytest.mark.parametrize("verdict", UNDECIDED)
@pytest.mark.parametrize("use", OPERATORS)
def test_every_use_of_an_undecided_answer_as_a_truth_value_raises(
    verdict: Verdict, use: Callable[[Judged], object]
) -> None:
    with pytest.raises(Undecided, match="too few requests"):
        use(judged(verdict))


@pytest.mark.parametrize("verdict", UNDECIDED)
def test_an_undecided_verdict_itself_raises_too(verdict: Verdict) -> None:
    with pytest.raises(Undecided, match="neither true nor false"):
        bool(verdict)


def test_pass_is_true_and_fail_is_false() -> None:
    assert judged(Verdict.PASS)
    assert not judged(Verdict.FAIL)
    assert bool(Verdict.PASS) is True
    assert bool(Verdict.FAIL) is False


def test_an_undecided_answer_is_no_assertion_error() -> None:
    assert not issubclass(Undecided, AssertionError)


def test_a_long_reason_makes_one_line_of_at_most_200_characters() -> None:
    line = repr(judged(Verdict.FAIL, "first line\nsecond\tline " + "x" * 500))

    assert line.startswith("<spent(payment-success): FAIL: first line second line xxx")
    assert len(line) == REPR_LIMIT == 200
    assert "\n" not in line


def test_an_answer_without_a_reason_says_so() -> None:
    assert repr(Judged(Verdict.PASS)) == "<Judged: PASS: no reason recorded>"


def test_merging_nothing_is_inconclusive() -> None:
    assert merge([]) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [
        ("FAIL INVALID INCONCLUSIVE PASS", "FAIL"),
        ("INVALID INCONCLUSIVE PASS", "INVALID"),
        ("INCONCLUSIVE PASS", "INCONCLUSIVE"),
        ("PASS PASS", "PASS"),
    ],
)
def test_fail_beats_invalid_beats_inconclusive_beats_pass(verdicts: str, merged: str) -> None:
    assert merge(Verdict[name] for name in verdicts.split()) is Verdict[merged]


def defect(*voids: Claim, subject: str = "") -> Defect:
    return Defect(Reason("unsound", "something was unsound", subject), frozenset(voids))


def test_a_defect_voids_what_rests_on_it_and_spares_the_rest() -> None:
    late = defect(Claim.LATENCY)
    answer = judged(Verdict.PASS)

    assert void(answer, [late], frozenset({Claim.LATENCY, Claim.OUTCOMES})).verdict is Verdict.INVALID
    assert void(answer, [late], frozenset({Claim.OUTCOMES})) is answer
    assert void(answer, [defect(Claim.ALL)], frozenset({Claim.OUTCOMES})).verdict is Verdict.INVALID
    assert void(answer, [], frozenset({Claim.OUTCOMES})) is answer


def test_a_voided_failure_is_invalid_and_keeps_both_reasons() -> None:
    answer = void(judged(Verdict.FAIL), [defect(Claim.OUTCOMES)], frozenset({Claim.OUTCOMES}))

    assert answer.verdict is Verdict.INVALID
    assert [reason.code for reason in answer.reasons] == ["unsound", "few"]


@pytest.mark.parametrize(
    ("defect_about", "claim_about", "hit"),
    [("1-latency", "1-latency", True), ("1-latency", "2-kill", False), ("", "2-kill", True), ("1-latency", "", True)],
)
def test_a_fault_that_did_not_act_voids_claims_about_that_fault(defect_about: str, claim_about: str, hit: bool) -> None:
    answer = void(
        judged(Verdict.PASS), [defect(Claim.FAULT, subject=defect_about)], frozenset({Claim.FAULT}), claim_about
    )

    assert (answer.verdict is Verdict.INVALID) is hit
