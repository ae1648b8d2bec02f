"""The judge of a release: evidence from errors alone, bounds that say what was shown, shares that were kept."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from statistics import median

import pytest

from pytest_finchaos.rollout import judge
from pytest_finchaos.rollout.judge import Evidence

RATIOS = (0.0, 0.25, 0.5, 0.8, 0.9, 0.99, 1.0)  # of the margin
MARGINS = (0.5, 1.0, 2.0)
SHARES = tuple(number / 40 for number in range(40))
FACTORS = (1.01, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)


def errors_until_rejected(generator: random.Random, *, ratio: float, share: float, margin: float, most: int) -> int:
    evidence = Evidence(margin=margin)
    on_canary = share * ratio / (share * ratio + 1 - share)
    for number in range(1, most + 1):
        evidence = evidence.after(on_canary=generator.random() < on_canary, share=share)
        if evidence.rejects():
            return number
    return most + 1


def test_no_error_can_be_expected_to_grow_the_evidence_while_the_ratio_is_within_the_margin() -> None:
    worst = max(
        judge.one_step_expectation(factor, margin, share, ratio * margin)
        for ratio in RATIOS
        for margin in MARGINS
        for share in SHARES
        for factor in FACTORS
    )

    assert len(RATIOS) * len(MARGINS) * len(SHARES) * len(FACTORS) == 7 * 3 * 40 * 11
    assert worst <= 1 + 1e-12


def test_beyond_the_margin_errors_are_expected_to_grow_the_evidence() -> None:
    assert judge.one_step_expectation(2.0, 1.0, 0.25, 2.0) > 1.0


def test_a_version_that_is_no_worse_is_rejected_no_more_often_than_promised() -> None:
    generator = random.Random("false rollbacks")
    runs = 400

    rejected = sum(
        errors_until_rejected(generator, ratio=1.0, share=share, margin=1.0, most=150) <= 150
        for share in (0.05, 0.25)
        for _ in range(runs // 2)
    )

    assert rejected / runs <= judge.ALPHA * 2  # 4 are promised; twice that many would be no bad luck


def test_a_ramp_keeps_one_test_and_its_promise() -> None:
    generator = random.Random("ramp")
    rejected = 0
    for _ in range(200):
        evidence = Evidence(margin=1.0)
        for share in (0.01, 0.05, 0.2, 0.5, 1.0):
            for _ in range(30):
                evidence = evidence.after(on_canary=generator.random() < share, share=share)
        rejected += evidence.rejects()

    assert rejected <= 4


@pytest.mark.parametrize(("ratio", "wanted"), [(5.0, 34), (10.0, 13), (20.0, 5)])
def test_a_worse_version_is_found_after_as_many_errors_as_published(ratio: float, wanted: int) -> None:
    generator = random.Random(f"detected {ratio}")

    needed = [errors_until_rejected(generator, ratio=ratio, share=0.05, margin=1.0, most=1000) for _ in range(200)]

    assert wanted * 0.7 - 2 <= median(needed) <= wanted * 1.3 + 2
    assert max(needed) <= 1000


@pytest.mark.parametrize(("share", "wanted"), [(0.05, 3), (0.25, 7)])
def test_a_version_that_alone_fails_is_found_after_few_errors(share: float, wanted: int) -> None:
    evidence = Evidence()
    while not evidence.rejects():
        evidence = evidence.after(on_canary=True, share=share)

    assert evidence.on_canary == evidence.errors == wanted


def test_errors_on_both_versions_by_their_shares_never_reject() -> None:
    evidence = Evidence()
    for number in range(2000):
        evidence = evidence.after(on_canary=number % 20 == 0, share=0.05)

    assert not evidence.rejects()
    assert evidence.value < 1.0


def test_what_was_reached_once_stays_reached() -> None:
    evidence = Evidence()
    for _ in range(4):
        evidence = evidence.after(on_canary=True, share=0.05)
    for _ in range(200):
        evidence = evidence.after(on_canary=False, share=0.05)

    assert evidence.value < 1.0
    assert evidence.rejects()


def test_at_full_share_an_error_says_nothing_about_the_version() -> None:
    evidence = Evidence().after(on_canary=True, share=1.0)

    assert evidence.log == pytest.approx(0.0, abs=1e-12)


def test_a_share_that_is_none_and_a_margin_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        Evidence().after(on_canary=True, share=1.5)
    with pytest.raises(ValueError, match="margin"):
        Evidence(margin=0.0)


def test_no_failure_in_300_payments_bounds_the_rate_by_one_percent() -> None:
    assert judge.bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert "0 of 300 canary payments failed: at most 0.99 % fail" in judge.bound_text(0, 300)


@pytest.mark.parametrize(("payments", "wanted"), [(1000, 0.0099), (5000, 0.0023)])
def test_the_bound_at_any_time_is_wider_than_the_fixed_one(payments: int, wanted: float) -> None:
    assert judge.bound(0, payments) < judge.bound_at_any_time(0, payments) == pytest.approx(wanted, rel=0.02)


def test_the_bound_at_any_time_covers_the_truth_however_long_one_looks() -> None:
    generator = random.Random("bound")
    truth, missed = 0.03, 0
    for _ in range(100):
        failed = 0
        below = False
        for payments in range(1, 301):
            failed += generator.random() < truth
            below = below or (payments % 10 == 0 and judge.bound_at_any_time(failed, payments) < truth)
        missed += below

    assert missed <= 8  # 5 of 100 are promised


@pytest.mark.parametrize("bound", [judge.bound, judge.bound_at_any_time])
def test_without_payments_or_with_failures_only_nothing_is_excluded(bound: object) -> None:
    assert callable(bound)
    assert bound(0, 0) == 1.0
    assert bound(7, 7) == 1.0
    assert bound(1, 100, Fraction(99, 100)) > bound(1, 100)


def test_the_share_check_gives_the_published_figure() -> None:
    assert judge.share_evidence(21, 32, 0.25) == pytest.approx(2.93575858, abs=1e-8)


def test_a_share_that_was_kept_passes_and_one_that_was_not_is_seen() -> None:
    assert judge.share_kept(51, 1000, 0.05)
    assert not judge.share_kept(300, 1000, 0.05)
    assert not judge.share_kept(0, 1000, 0.05)


def test_a_share_of_nothing_or_everything_must_be_exact() -> None:
    assert judge.share_kept(0, 500, 0.0)
    assert judge.share_kept(500, 500, 1.0)
    assert judge.share_evidence(1, 500, 0.0) == math.inf
    assert not judge.share_kept(499, 500, 1.0)
