"""The exact bounds reproduce published figures, and decide three ways."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from pytest_finchaos.slo import binomial

# Requests needed to claim a ratio with 0, 1, 2, 3, 5, 10 failures at 95 %, and with none at 99 %.
NEEDED = [
    ("0.99", (299, 473, 628, 773, 1_049, 1_693), 459),
    ("0.995", (598, 947, 1_258, 1_549, 2_100, 3_389), 919),
    ("0.998", (1_497, 2_371, 3_146, 3_875, 5_254, 8_478), 2_301),
    ("0.999", (2_995, 4_742, 6_294, 7_752, 10_511, 16_959), 4_603),
    ("0.9995", (5_990, 9_486, 12_590, 15_505, 21_024, 33_921), 9_209),
    ("0.9999", (29_956, 47_437, 62_956, 77_535, 105_128, 169_619), 46_050),
    ("0.99999", (299_572, 474_385, 629_578, 775_364, 1_051_301, 1_696_219), 460_515),
]

# Four nines: of N requests accept at most, reject from.
GATE = [(29_956, 0, 7), (47_437, 1, 10), (100_000, 4, 16), (200_000, 12, 29), (500_000, 38, 63)]
# Latency quantiles: target, requests, pass if slow at most, fail if slow from.
QUANTILES = [
    ("0.9", 1_000, 84, 117),
    ("0.95", 1_000, 38, 63),
    ("0.95", 10_000, 463, 537),
    ("0.99", 1_000, 4, 16),
    ("0.99", 10_000, 83, 118),
    ("0.999", 10_000, 4, 16),
]
BUDGET = Fraction(1, 10_000)


@pytest.mark.parametrize(("target", "needed", "at_99"), NEEDED)
def test_requests_needed_reproduce_the_table(target: str, needed: tuple[int, ...], at_99: int) -> None:
    share = Fraction(target)

    assert tuple(binomial.clean_needed(share, failures) for failures in (0, 1, 2, 3, 5, 10)) == needed
    assert binomial.clean_needed(share, 0, Fraction(99, 100)) == at_99


@pytest.mark.parametrize(("target", "total"), [("0.5", 5), ("0.9", 29), ("0.95", 59), ("0.99", 299), ("0.999", 2_995)])
def test_without_failures_the_need_is_the_logarithm_of_the_risk(target: str, total: int) -> None:
    assert binomial.clean_needed(Fraction(target), 0) == total == math.ceil(math.log(0.05) / math.log(float(target)))


@pytest.mark.parametrize(("total", "accept", "reject"), GATE)
def test_the_gate_at_four_nines_accepts_and_rejects_as_published(total: int, accept: int, reject: int) -> None:
    assert binomial.excludes_more(accept, total, BUDGET)
    assert not binomial.excludes_more(accept + 1, total, BUDGET)
    assert binomial.excludes_less(reject, total, BUDGET)
    assert not binomial.excludes_less(reject - 1, total, BUDGET)


@pytest.mark.parametrize(("target", "total", "accept", "reject"), QUANTILES)
def test_latency_quantiles_are_decided_by_counts(target: str, total: int, accept: int, reject: int) -> None:
    budget = 1 - Fraction(target)

    assert binomial.excludes_more(accept, total, budget)
    assert not binomial.excludes_more(accept + 1, total, budget)
    assert binomial.excludes_less(reject, total, budget)
    assert not binomial.excludes_less(reject - 1, total, budget)


def test_small_cases_agree_with_the_binomial_written_out() -> None:
    for total in range(1, 25):
        for bad in range(total + 1):
            for rate in (Fraction(1, 100), Fraction(1, 3), Fraction(9, 10)):
                exact = sum(math.comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(bad + 1))
                assert binomial.at_most(bad, total, float(rate)) == pytest.approx(float(exact), rel=1e-9, abs=1e-15)
                assert binomial.at_least(bad + 1, total, float(rate)) == pytest.approx(
                    float(1 - exact), rel=1e-9, abs=1e-15
                )


def test_the_upper_bound_without_failures_is_the_closed_form() -> None:
    assert binomial.upper_bound(0, 29_956) == pytest.approx(1 - 0.05 ** (1 / 29_956), rel=1e-9)
    assert binomial.upper_bound(0, 29_956) <= 1e-4 < binomial.upper_bound(0, 29_955)


def test_no_events_prove_nothing() -> None:
    assert (binomial.lower_bound(0, 0), binomial.upper_bound(0, 0)) == (0.0, 1.0)
    assert not binomial.excludes_more(0, 0, BUDGET)
    assert not binomial.excludes_less(0, 0, BUDGET)


@pytest.mark.parametrize(("total", "rate", "allowed"), [(5, 0.001, 1), (10, 0.0, 0), (10, 1.0, 10), (100, 0.01, 5)])
def test_more_bad_events_than_the_count_bound_are_no_chance(total: int, rate: float, allowed: int) -> None:
    assert binomial.count_bound(total, rate) == allowed
    assert binomial.at_least(allowed + 1, total, rate) <= 0.001
