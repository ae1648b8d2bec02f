"""Each release ends as promoted, rolled back or undecided, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_finchaos.rollout.decision import ERROR_RATIO, Action, Rules, Seen, decide, payments_for, steps
from pytest_finchaos.rollout.judge import Evidence

RULES = Rules(tuple(steps((0.05, 0.25, 1.0))))
NOTHING = Seen(step=0, step_for_s=0.0, step_payments=0, payments=0, failed=0, evidence=Evidence())


def worse(errors: int = 10) -> Evidence:
    evidence = Evidence()
    for _ in range(errors):
        evidence = evidence.after(on_canary=True, share=0.05)
    return evidence


def test_the_default_steps_need_50_250_and_50_payments() -> None:
    assert [step.payments for step in RULES.steps] == [50, 250, 50]
    assert payments_for(0.0001) == 1
    assert payments_for(0.07) == 70


@pytest.mark.parametrize(
    ("shares", "payments", "within_s"),
    [
        ((), None, 1.0),
        ((0.05, 0.25), None, 1.0),
        ((0.25, 0.05, 1.0), None, 1.0),
        ((0.05, 0.05, 1.0), None, 1.0),
        ((0.0, 1.0), None, 1.0),
        ((0.5, 1.5), None, 1.0),
        ((0.5, 1.0), (10,), 1.0),
        ((0.5, 1.0), (10, 0), 1.0),
        ((0.5, 1.0), None, 0.0),
    ],
)
def test_steps_that_make_no_sense_are_refused(
    shares: tuple[float, ...], payments: tuple[int, ...] | None, within_s: float
) -> None:
    with pytest.raises(ValueError, match=r"shares|payments|within"):
        steps(shares, payments, within_s)


def test_a_step_with_too_few_payments_and_time_left_stays() -> None:
    assert decide(RULES, replace(NOTHING, step_for_s=29.0, step_payments=49)).action is Action.STAY


def test_a_step_passes_with_enough_payments_and_nothing_found() -> None:
    decision = decide(RULES, replace(NOTHING, step_payments=50, payments=50))

    assert decision.action is Action.NEXT
    assert "50 payments" in decision.text


def test_the_last_step_promotes_and_says_what_was_shown() -> None:
    decision = decide(RULES, replace(NOTHING, step=2, step_payments=50, payments=300))

    assert decision.action is Action.PROMOTE
    assert "0 of 300 canary payments failed: at most 0.99 %" in decision.text
    assert "no worse" not in decision.text


def test_a_money_finding_rolls_back_whatever_else_holds() -> None:
    decision = decide(RULES, replace(NOTHING, step_payments=500, money={"amount-fidelity": "3 of 20 differ"}))

    assert decision.action is Action.ROLL_BACK
    assert decision.triggers == ("amount-fidelity",)
    assert "3 of 20 differ" in decision.text


def test_evidence_of_errors_rolls_back_even_when_the_step_has_its_payments() -> None:
    decision = decide(RULES, replace(NOTHING, step_payments=500, evidence=worse()))

    assert decision.action is Action.ROLL_BACK
    assert decision.triggers == (ERROR_RATIO,)
    assert "10 of 10 errors on the new version" in decision.text


def test_too_few_payments_at_the_deadline_are_undecided_and_say_how_many_more() -> None:
    decision = decide(RULES, replace(NOTHING, step_for_s=30.0, step_payments=12))

    assert decision.action is Action.UNDECIDED
    assert "12 of 50" in decision.text
    assert "38 more" in decision.text


def test_a_load_that_has_ended_is_undecided_at_once() -> None:
    decision = decide(RULES, replace(NOTHING, step_for_s=1.0, ended="the load has ended"))

    assert decision.action is Action.UNDECIDED
    assert "the load has ended" in decision.text


def test_a_ledger_that_cannot_be_read_never_lets_a_step_pass() -> None:
    blind = replace(NOTHING, step_payments=500, blind="the ledger does not answer")

    assert decide(RULES, blind).action is Action.STAY
    late = decide(RULES, replace(blind, step_for_s=31.0))
    assert late.action is Action.UNDECIDED
    assert "the ledger does not answer" in late.text


def test_only_three_actions_end_a_release() -> None:
    assert {action for action in Action if action.final} == {Action.PROMOTE, Action.ROLL_BACK, Action.UNDECIDED}
