"""Laws of bounds, counts, slices and recovery."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finchaos.model.history import Arrival, Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.model.timeline import Phase, Span
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo import binomial
from pytest_finchaos.slo.catalogue import load_objectives
from pytest_finchaos.slo.claims import demonstrates
from pytest_finchaos.slo.events import Judgement, State, judge, tally
from pytest_finchaos.slo.recovery import Observation, recovered_yet, recovery
from pytest_finchaos.slo.series import series
from pytest_finchaos.slo.slices import SLICE_NS, cut
from pytest_finchaos.slo.spend import spent

S = 1_000_000_000
MS = 1_000_000
OBJECTIVES = load_objectives({}, "finchaos.toml")
TOTALS = st.integers(1, 5_000)
SHARES = st.fractions(Fraction(1, 1_000), Fraction(999, 1_000), max_denominator=1_000)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(TOTALS)
    return draw(st.integers(0, total)), total


@given(counts())
@settings(deadline=None)
def test_the_bounds_enclose_what_was_seen(sample: tuple[int, int]) -> None:
    bad, total = sample

    assert 0 <= binomial.lower_bound(bad, total) <= bad / total <= binomial.upper_bound(bad, total) <= 1


@given(counts())
@settings(deadline=None)
def test_one_more_bad_event_raises_both_bounds_and_one_more_good_one_lowers_them(sample: tuple[int, int]) -> None:
    bad, total = sample

    assert binomial.upper_bound(bad + 1, total + 1) >= binomial.upper_bound(bad, total)
    assert binomial.lower_bound(bad + 1, total + 1) >= binomial.lower_bound(bad, total)
    assert binomial.upper_bound(bad, total + 1) <= binomial.upper_bound(bad, total)
    assert binomial.lower_bound(bad, total + 1) <= binomial.lower_bound(bad, total)


@given(counts(), SHARES)
@settings(deadline=None)
def test_no_sample_proves_and_disproves_the_same_claim(sample: tuple[int, int], budget: Fraction) -> None:
    proven, disproven = binomial.excludes_more(*sample, budget), binomial.excludes_less(*sample, budget)

    assert not (proven and disproven)
    assert (
        proven == (binomial.upper_bound(*sample) <= float(budget)) or abs(binomial.upper_bound(*sample) - budget) < 1e-9
    )


@given(SHARES, st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_the_number_needed_is_the_smallest_that_proves(target: Fraction, failures: int) -> None:
    needed = binomial.clean_needed(target, failures)

    assert binomial.excludes_more(failures, needed, 1 - target)
    assert not binomial.excludes_more(failures, needed - 1, 1 - target)
    assert binomial.clean_needed(target, failures + 1) > needed


@given(counts(), st.floats(0, 1))
@settings(deadline=None)
def test_both_tails_are_one(sample: tuple[int, int], rate: float) -> None:
    bad, total = sample

    assert abs(binomial.at_most(bad, total, rate) + binomial.at_least(bad + 1, total, rate) - 1) < 1e-9


STATES = st.lists(st.sampled_from(list(State)), min_size=1, max_size=300)


def judgements(states: list[State]) -> list[Judgement]:
    return [Judgement(at * 10 * MS, state, None, at) for at, state in enumerate(states)]


@given(STATES, st.integers(0, 20))
@settings(deadline=None)
def test_spend_is_decided_by_the_count_alone(states: list[State], limit: int) -> None:
    _, row = spent(
        OBJECTIVES["payment-success"], judgements(states), during="x", armed_ns=0, disarmed_ns=9 * S, at_most_bad=limit
    )

    assert row.good + row.bad + row.unknown == len(states)
    assert (row.verdict is Verdict.PASS) == (len(states) - states.count(State.GOOD) <= limit)


@given(st.lists(st.integers(1, 500), max_size=5, unique=True), st.integers(500, 3_000))
@settings(deadline=None)
def test_the_requests_that_a_claim_still_needs_are_enough_and_one_fewer_is_not(bad: list[int], total: int) -> None:
    states = [State.BAD if at in bad else State.GOOD for at in range(total)]
    objective = OBJECTIVES["auth-success"]

    def ask(more: int) -> tuple[Verdict, int | None]:
        events = [
            Judgement(at * S, state, None, at) for at, state in enumerate(states + [State.GOOD] * more)
        ]  # one a second: no bursts
        _, row = demonstrates(objective, events, [Span(Phase.STEADY, 0, len(events) * S)])
        return row.verdict, row.needed

    verdict, needed = ask(0)
    if verdict is Verdict.INCONCLUSIVE and needed is not None:
        assert ask(needed)[0] is Verdict.PASS
        assert ask(needed - 1)[0] is not Verdict.PASS


INSTANTS = st.lists(st.tuples(st.integers(0, 3 * S - 1), st.booleans()), max_size=200).map(sorted)


@given(INSTANTS, st.lists(st.integers(1, 3 * S - 1), max_size=3, unique=True))
@settings(deadline=None)
def test_slices_cover_all_time_and_every_event_once(events: list[tuple[int, bool]], inner: list[int]) -> None:
    bounds = sorted({0, 3 * S, *inner})

    slices = cut(events, bounds)

    assert slices[0].start_ns == 0
    assert slices[-1].end_ns == 3 * S
    assert all(left.end_ns == right.start_ns for left, right in itertools.pairwise(slices))
    assert set(bounds) <= {0, *(piece.end_ns for piece in slices)}
    assert sum(piece.total for piece in slices) == len(events)
    assert sum(piece.bad for piece in slices) == sum(bad for _, bad in events)
    assert all(piece.end_ns - piece.start_ns >= SLICE_NS or piece.end_ns in bounds for piece in slices)


def operation(index: int, outcome: Outcome | None, latency_ms: int) -> Operation:
    at_ns = index * 10 * MS
    done_ns = 0 if outcome in (None, Outcome.CENSORED) else at_ns + latency_ms * MS
    attempt = Attempt(index, 0, Purpose.OPERATION, outcome or Outcome.OK, "http", 200, at_ns, at_ns, done_ns)
    return Operation(
        Arrival(index, at_ns, "authorise", f"k{index}", {}),
        at_ns,
        () if outcome is None else (attempt,),
        outcome,
        0,
        done_ns - at_ns if done_ns else None,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """16 s at 100/s, well save in a few stretches of trouble after the fifth second."""
    outcomes: list[tuple[Outcome | None, int]] = [(Outcome.OK, 8 + at % 5) for at in range(1_600)]
    for _ in range(draw(st.integers(0, 3))):
        start, length = draw(st.integers(500, 1_590)), draw(st.integers(1, 600))
        trouble = draw(st.sampled_from([Outcome.FAILED, Outcome.UNKNOWN, Outcome.CENSORED, Outcome.OK, None]))
        outcomes[start : start + length] = [(trouble, 500)] * len(outcomes[start : start + length])
    return [operation(at, outcome, latency_ms) for at, (outcome, latency_ms) in enumerate(outcomes)]


FAULT = InjectionResult("1-x", "x", "a→b", 5 * S, True, 5 * S, 9 * S, True, 9 * S)
STEADY = (Span(Phase.STEADY, 0, 5 * S),)


@given(histories(), st.sampled_from([0.5, 2.0, 4.0]))
@settings(max_examples=60, deadline=None)
def test_recovery_is_consistent_with_itself(operations: list[Operation], within_s: float) -> None:
    judged, row = recovery(Observation(operations, STEADY, 16 * S), FAULT, within_s=within_s)

    assert judged.verdict is row.verdict
    assert row.text
    assert (row.censored_at_s is not None) == (row.outcome == "not_recovered")
    if row.verdict is Verdict.PASS:
        assert row.after_s is not None
        assert 0 <= row.after_s <= within_s
    if row.impact_at_ns is not None and row.recovered_at_ns is not None:
        assert row.recovered_at_ns > row.impact_at_ns
    if row.outcome == "absorbed":
        assert row.impact_at_ns is None
    if row.verdict is Verdict.FAIL:
        assert row.impact_at_ns is not None


@given(histories())
@settings(max_examples=30, deadline=None)
def test_a_longer_limit_never_turns_a_pass_into_a_failure(operations: list[Operation]) -> None:
    seen = Observation(operations, STEADY, 16 * S)
    passed = [
        recovery(seen, FAULT, within_s=limit_s)[0].verdict is Verdict.PASS for limit_s in (0.5, 1.0, 2.0, 4.0, 6.0)
    ]

    assert passed == sorted(passed)


@given(histories(), st.integers(900, 1_600))
@settings(max_examples=40, deadline=None)
def test_a_recovery_seen_while_watching_is_the_one_that_the_same_data_give_afterwards(
    operations: list[Operation], count: int
) -> None:
    seen = Observation(operations[:count], STEADY, count * 10 * MS)

    live = recovered_yet(seen, FAULT)
    row = recovery(seen, FAULT)[1]

    if live is None:
        assert row.outcome in ("undecided", "not_recovered")
    else:
        assert live == (row.recovered_at_ns or FAULT.disarmed_at_ns)


@given(histories())
@settings(max_examples=30, deadline=None)
def test_nothing_is_lost_on_the_way_to_judgements_and_charts(operations: list[Operation]) -> None:
    judged = judge(OBJECTIVES["payment-success"], operations, observed_until_ns=20 * S)
    chart = series(operations, origin_ns=0, end_ns=16 * S)

    assert tally(judged).total == len(operations)
    assert sum(chart.ok + chart.declined + chart.failed + chart.unknown) == len(operations)
