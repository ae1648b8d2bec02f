"""Pooling steady traffic over drills: exact, all sound runs, bursts not taken for independent events."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo.pool import Sample, pool, sample
from tests.samples.many import measured, steady

FOUR_NINES = Fraction(9999, 10000)


def samples(*counts: tuple[int, int]) -> list[Sample]:
    return [Sample(f"t::{at}", "r", "", "payments", "f", good, bad) for at, (good, bad) in enumerate(counts)]


def test_four_nines_need_29956_clean_requests_from_however_many_drills() -> None:
    short = pool(samples((15_000, 0), (14_955, 0)), FOUR_NINES)
    assert (short.verdict, short.needed) == (Verdict.INCONCLUSIVE, 1)
    assert pool(samples((15_000, 0), (14_956, 0)), FOUR_NINES).verdict is Verdict.PASS


def test_one_bad_request_asks_for_47437() -> None:
    found = pool(samples((29_955, 1)), FOUR_NINES)
    assert (found.verdict, found.needed) == (Verdict.INCONCLUSIVE, 47_437 - 29_956)
    assert pool(samples((47_436, 1)), FOUR_NINES).verdict is Verdict.PASS


def test_too_many_bad_requests_disprove_the_claim() -> None:
    found = pool(samples((29_949, 7)), FOUR_NINES)
    assert (found.verdict, found.needed) == (Verdict.FAIL, None)


def test_bad_requests_that_gather_in_one_drill_thin_the_sample() -> None:
    even = pool(samples(*((10_000, 10) for _ in range(10))), Fraction(998, 1000))
    gathered = pool(samples((10_000, 100), *((10_010, 0) for _ in range(9))), Fraction(998, 1000))
    assert (even.verdict, even.effect) == (Verdict.PASS, 1)
    assert gathered.verdict is Verdict.INCONCLUSIVE
    assert gathered.effect > 50
    assert "gathered in a few drills" in gathered.text


def test_bad_requests_in_bursts_within_a_drill_thin_the_sample() -> None:
    even = samples((100_000, 4))
    assert pool(even, FOUR_NINES).verdict is Verdict.PASS
    bursts = [replace(even[0], effect=4.0)]
    assert pool(bursts, FOUR_NINES).verdict is Verdict.INCONCLUSIVE
    assert pool(bursts, FOUR_NINES).effect == 4


def test_the_effect_of_bursts_comes_from_the_drill() -> None:
    found = sample("r", measured(replace(steady(480, 5), effect=2.5)), "payment-success")
    assert found is not None
    assert found.effect == 2.5


def test_nothing_proves_nothing() -> None:
    assert pool([], FOUR_NINES).verdict is Verdict.INCONCLUSIVE


def test_unknown_outcomes_are_not_good() -> None:
    found = sample("r", measured(steady(100, 1, unknown=2)), "payment-success")
    assert found is not None
    assert (found.good, found.bad) == (100, 3)


def test_traffic_that_stands_there_twice_counts_once() -> None:
    asserted = replace(steady(480), question="demonstrates", asserted=True)
    found = sample("r", measured(asserted, steady(480)), "payment-success")
    assert found is not None
    assert found.total == 480


def test_traffic_under_a_fault_is_no_sample() -> None:
    under = replace(steady(480), population="authorise under latency 80 ms")
    assert sample("r", measured(under), "payment-success") is None


def test_unsound_runs_do_not_count_and_failed_ones_do() -> None:
    assert sample("r", measured(steady(480), verdict=Verdict.INVALID), "payment-success") is None
    assert sample("r", measured(steady(480), verdict=Verdict.FAIL), "payment-success") is not None
