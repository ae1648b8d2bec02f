"""Recovery on histories whose truth is known: outcome, times, verdict, and when to stop watching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_finchaos.model.history import Arrival, Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.result import InjectionResult, RecoveryResult
from pytest_finchaos.model.timeline import Phase, Span
from pytest_finchaos.model.verdict import Undecided, Verdict
from pytest_finchaos.slo.recovery import Observation, observed_enough, recovered_yet, recovery, window_s

MS = 1_000_000
S = 1_000_000_000
STEADY = (Span(Phase.STEADY, 0, 5 * S),)
FAULT = InjectionResult("1-latency", "latency 80 ms on a→b", "a→b", 5 * S, True, 6 * S, 10 * S, True, 11 * S)
Effect = Callable[[float], tuple[Outcome | None, int]]


def operation(index: int, at_ns: int, outcome: Outcome | None, latency_ms: int, name: str = "authorise") -> Operation:
    done_ns = 0 if outcome is Outcome.CENSORED else at_ns + latency_ms * MS
    attempt = Attempt(index, 0, Purpose.OPERATION, outcome or Outcome.OK, "http", 200, at_ns, at_ns, done_ns)
    return Operation(
        Arrival(index, at_ns, name, f"k{index}", {}),
        at_ns,
        () if outcome is None else (attempt,),
        outcome,
        0,
        None if outcome is None or not done_ns else latency_ms * MS,
    )


def load(effect: Effect, *, until_s: float = 16.0, rate_per_s: int = 100) -> list[Operation]:
    """Evenly spaced arrivals, 8 to 12 ms each, save what ``effect`` says of an instant in seconds."""
    operations = []
    for index in range(int(until_s * rate_per_s)):
        at_s = index / rate_per_s
        outcome, latency_ms = effect(at_s)
        operations.append(operation(index, int(at_s * S), outcome, latency_ms or 8 + index % 5))
    return operations


def well(_: float) -> tuple[Outcome, int]:
    return Outcome.OK, 0


def outage(start_s: float, end_s: float, outcome: Outcome | None = Outcome.UNKNOWN, latency_ms: int = 2_000) -> Effect:
    return lambda at_s: (outcome, latency_ms) if start_s <= at_s < end_s else (Outcome.OK, 0)


def ask(
    effect: Effect,
    *,
    within_s: float | None = 3.0,
    until_s: float = 16.0,
    rate_per_s: int = 100,
    latency_counts: bool = True,
) -> RecoveryResult:
    seen = Observation(
        load(effect, until_s=until_s, rate_per_s=rate_per_s), STEADY, int(until_s * S), (5 * S,), latency_counts
    )
    judged, row = recovery(seen, FAULT, within_s=within_s)
    assert judged.verdict is row.verdict
    return row


def test_a_fault_without_impact_is_absorbed() -> None:
    row = ask(well)

    assert (row.outcome, row.verdict, row.impact_at_ns, row.after_s) == ("absorbed", Verdict.PASS, None, 0.0)
    assert row.text == (
        "absorbed: no impact in 5.0 s of the fault and 6.0 s after it (limit 3 s); "
        "slow above 32 ms (steady p99 12.0 ms of 500)"
    )


def test_errors_that_end_after_the_removal_are_recovered_from() -> None:
    row = ask(outage(5.3, 10.8))

    assert (row.outcome, row.verdict) == ("recovered_after_removal", Verdict.PASS)
    assert (row.impact_at_ns, row.recovered_at_ns) == (5.3 * S, 10.8 * S)
    assert (row.during_s, row.after_s) == (4.7, 0.8)
    assert row.text.startswith("recovered 0.8 s after the removal (limit 3 s); impact began 0.3 s after arming")


def test_slow_answers_are_an_impact_as_errors_are() -> None:
    row = ask(outage(5.0, 10.0, Outcome.OK, 90))

    assert (row.outcome, row.during_s, row.after_s) == ("recovered_after_removal", 5.0, 0.0)


def test_a_system_that_heals_under_the_fault_is_self_healed() -> None:
    row = ask(outage(5.0, 6.5))

    assert (row.outcome, row.verdict, row.during_s, row.after_s) == ("self_healed", Verdict.PASS, 1.5, 0.0)


def test_a_recovery_after_the_limit_fails_with_both_figures() -> None:
    row = ask(outage(5.0, 12.0), within_s=1.5)

    assert (row.verdict, row.after_s) == (Verdict.FAIL, 2.0)
    assert row.text.startswith("recovered 2.0 s after the removal (limit 1.5 s)")


def test_never_recovered_is_censored_and_fails_a_limit_that_was_outlasted_by_the_window() -> None:
    row = ask(outage(5.0, 99.0))

    assert (row.outcome, row.verdict, row.recovered_at_ns, row.after_s) == ("not_recovered", Verdict.FAIL, None, None)
    assert row.censored_at_s == 6.0


def test_never_recovered_is_undecided_while_the_window_does_not_fit_after_the_limit() -> None:
    row = ask(outage(5.0, 99.0), within_s=4.5)

    assert (row.outcome, row.verdict) == ("not_recovered", Verdict.INCONCLUSIVE)
    assert "too short to decide" in row.text


def test_a_recovery_whose_window_was_not_observed_is_undecided() -> None:
    assert ask(outage(5.0, 10.5), until_s=12.0).verdict is Verdict.INCONCLUSIVE
    assert ask(outage(5.0, 10.5), until_s=12.6).verdict is Verdict.PASS


def test_a_relapse_counts_and_the_final_recovery_is_the_one_that_matters() -> None:
    def twice(at_s: float) -> tuple[Outcome, int]:
        return (Outcome.FAILED, 1) if 5.0 <= at_s < 10.2 or 12.9 <= at_s < 13.6 else (Outcome.OK, 0)

    row = ask(twice)

    assert (row.outcome, row.verdict, row.after_s) == ("recovered_after_removal", Verdict.FAIL, 3.6)
    assert "1 relapse" in row.text


@pytest.mark.parametrize("lasts_s", [0.05, 0.1, 0.2, 0.3])
def test_one_short_stall_is_no_impact(lasts_s: float) -> None:
    assert ask(outage(7.0, 7.0 + lasts_s)).outcome == "absorbed"


def test_a_steady_phase_that_is_missing_or_bad_gives_nothing_to_compare_with() -> None:
    judged, row = recovery(Observation(load(well), (), 16 * S), FAULT, within_s=3.0)

    assert (row.outcome, row.reasons[0].code) == ("undecided", "no-baseline")
    with pytest.raises(Undecided):
        assert judged
    assert "were bad already" in ask(outage(0.0, 99.0)).text


@pytest.mark.parametrize(
    ("changes", "words"), [({"armed_at_ns": None}, "was never armed"), ({"disarmed_at_ns": None}, "was never removed")]
)
def test_a_fault_that_was_never_armed_or_removed_is_undecided(changes: dict[str, None], words: str) -> None:
    fault = replace(FAULT, **changes)  # type: ignore[arg-type]
    seen = Observation(load(well), STEADY, 16 * S)

    assert words in recovery(seen, fault, within_s=3.0)[1].text
    assert recovered_yet(seen, fault) is None


def test_no_traffic_after_the_removal_is_undecided() -> None:
    assert ask(well, until_s=10.5).verdict is Verdict.INCONCLUSIVE


def test_a_late_generator_leaves_errors_to_count() -> None:
    assert ask(outage(5.0, 10.0, Outcome.OK, 90), latency_counts=False).outcome == "absorbed"
    row = ask(outage(5.0, 10.0), latency_counts=False)
    assert row.outcome == "recovered_after_removal"
    assert "errors only" in row.text


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.CENSORED, None])
def test_whatever_is_no_final_answer_is_an_error(outcome: Outcome | None) -> None:
    assert ask(outage(5.0, 10.4, outcome)).after_s == pytest.approx(0.4)


def test_declines_are_no_impact() -> None:
    assert ask(outage(5.0, 99.0, Outcome.DECLINED, 10)).outcome == "absorbed"


def test_another_fault_ends_the_observation_of_the_first() -> None:
    seen = Observation(load(outage(13.0, 99.0)), STEADY, 16 * S, (5 * S, 13 * S))
    judged, row = recovery(seen, FAULT, within_s=0.5)

    assert (row.outcome, judged.verdict) == ("absorbed", Verdict.PASS)


def test_an_operation_that_is_slow_by_nature_is_judged_by_its_own_baseline() -> None:
    operations = [
        operation(
            index,
            index * 10 * MS,
            Outcome.OK,
            150 if index % 10 == 0 else 10,
            "login" if index % 10 == 0 else "balance",
        )
        for index in range(1_600)
    ]
    slowed = [
        operation(one.arrival.index, one.intended_ns, Outcome.OK, 80, "balance")
        if 5 * S <= one.intended_ns < 10 * S and one.arrival.operation == "balance"
        else one
        for one in operations
    ]

    assert recovery(Observation(operations, STEADY, 16 * S), FAULT)[1].outcome == "absorbed"
    assert recovery(Observation(slowed, STEADY, 16 * S), FAULT)[1].outcome == "recovered_after_removal"


def test_at_a_low_rate_the_window_grows_until_it_holds_its_requests() -> None:
    assert ask(outage(5.0, 10.4), rate_per_s=20, until_s=15.0).verdict is Verdict.INCONCLUSIVE
    row = ask(outage(5.0, 10.4), rate_per_s=20, until_s=17.0)
    assert (row.outcome, row.verdict) == ("recovered_after_removal", Verdict.PASS)
    assert (window_s(20.0), window_s(500.0)) == (7.0, 2.5)


def test_watching_may_end_as_soon_as_the_window_is_complete_and_not_before() -> None:
    everything = load(outage(5.0, 10.8))
    answers = {}
    for now_s in (11.0, 12.5, 12.7, 12.9, 13.5):
        so_far = [one for one in everything if one.intended_ns < now_s * S]
        answers[now_s] = recovered_yet(Observation(so_far, STEADY, int(now_s * S)), FAULT)

    assert answers == {11.0: None, 12.5: None, 12.7: None, 12.9: 10.8 * S, 13.5: 10.8 * S}


def test_an_absorbed_fault_is_watched_for_a_window_after_its_removal() -> None:
    everything = load(well)

    def seen(now_s: float) -> Observation:
        return Observation([one for one in everything if one.intended_ns < now_s * S], STEADY, int(now_s * S))

    assert not observed_enough(seen(11.0), [FAULT])
    assert observed_enough(seen(12.2), [FAULT])
    assert recovered_yet(seen(12.2), FAULT) == FAULT.disarmed_at_ns


def test_a_fault_that_another_one_followed_is_not_waited_for() -> None:
    second = replace(FAULT, id="2-down", armed_at_ns=11 * S, disarmed_at_ns=12 * S)

    def seen(now_s: float) -> Observation:
        return Observation(load(well, until_s=now_s), STEADY, int(now_s * S), (5 * S, 11 * S))

    assert not observed_enough(seen(13.0), [FAULT, second])
    assert observed_enough(seen(14.2), [FAULT, second])
    assert recovered_yet(seen(14.2), FAULT) is None


def test_requests_that_may_still_be_answered_in_time_are_not_held_against_the_system() -> None:
    def in_flight(now_s: float) -> Observation:
        operations = [
            one
            if one.intended_ns < (now_s - 0.02) * S
            else operation(one.arrival.index, one.intended_ns, Outcome.CENSORED, 0)
            for one in load(outage(5.0, 10.0), until_s=now_s)
        ]
        return Observation(operations, STEADY, int(now_s * S))

    assert recovered_yet(in_flight(12.2), FAULT) == 10 * S


def test_requests_in_flight_for_too_long_are_errors() -> None:
    row = ask(outage(5.0, 99.0, Outcome.CENSORED))

    assert (row.outcome, row.verdict) == ("not_recovered", Verdict.FAIL)


def test_what_nobody_asked_is_observed_all_the_same() -> None:
    row = ask(outage(5.0, 11.0), within_s=None)

    assert (row.asserted, row.verdict, row.after_s) == (False, Verdict.PASS, 1.0)
    assert ask(outage(5.0, 99.0), within_s=None).verdict is Verdict.INCONCLUSIVE
