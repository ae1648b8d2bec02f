"""Exact binomial bounds without scipy: Clopper and Pearson (1934), one-sided, for gates and not for display."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

CONFIDENCE = Fraction(95, 100)
SLICE_CONFIDENCE = Fraction(999, 1000)
_STEPS = 200  # bisection ends earlier, when neighbouring floats are reached
_NEGLIGIBLE = 1e-18  # of the sum: below the resolution of a float


def at_most(bad: int, total: int, rate: float) -> float:
    """P(X ≤ ``bad``) for X ~ Binomial(``total``, ``rate``); sums the smaller tail, so that none loses precision."""
    if bad < 0:
        return 0.0
    if bad >= total or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    if bad <= total * rate:
        return min(1.0, _tail(bad, total, rate, -1))
    return max(0.0, 1.0 - _tail(bad + 1, total, rate, +1))


def at_least(bad: int, total: int, rate: float) -> float:
    """P(X ≥ ``bad``) for X ~ Binomial(``total``, ``rate``)."""
    if bad <= 0:
        return 1.0
    if bad > total or rate <= 0:
        return 0.0
    if rate >= 1:
        return 1.0
    if bad >= total * rate:
        return min(1.0, _tail(bad, total, rate, +1))
    return max(0.0, 1.0 - _tail(bad - 1, total, rate, -1))


def upper_bound(bad: int, total: int, confidence: Fraction = CONFIDENCE) -> float:
    """The highest rate that ``bad`` of ``total`` does not exclude, one-sided; 1.0 without events."""
    alpha = float(1 - confidence)
    if total == 0 or bad >= total:
        return 1.0
    return _bisect(lambda rate: at_most(bad, total, rate) > alpha)


def lower_bound(bad: int, total: int, confidence: Fraction = CONFIDENCE) -> float:
    """The lowest rate that ``bad`` of ``total`` does not exclude, one-sided; 0.0 without bad events."""
    alpha = float(1 - confidence)
    if total == 0 or bad <= 0:
        return 0.0
    return _bisect(lambda rate: at_least(bad, total, rate) < alpha)


def excludes_more(bad: int, total: int, budget: Fraction, confidence: Fraction = CONFIDENCE) -> bool:
    """True when the upper bound is at most ``budget``: the events prove the objective."""
    return total > 0 and at_most(bad, total, float(budget)) <= float(1 - confidence)


def excludes_less(bad: int, total: int, budget: Fraction, confidence: Fraction = CONFIDENCE) -> bool:
    """True when the lower bound is above ``budget``: the events disprove the objective."""
    return total > 0 and at_least(bad, total, float(budget)) < float(1 - confidence)


def clean_needed(target: Fraction, failures: int, confidence: Fraction = CONFIDENCE) -> int:
    """How many events, ``failures`` of them bad and the rest good, are needed to prove ``target``.

    Args:
        target: Share of good events, less than 1.
        failures: Bad events among them.
        confidence: Of the one-sided Clopper-Pearson bound.

    Returns:
        The smallest number of events, bad ones included: 29,956 for 99.99 % without a bad one.
    """
    budget = 1 - target
    low, high = failures, max(1, failures + 1)
    while not excludes_more(failures, high, budget, confidence):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if excludes_more(failures, middle, budget, confidence):
            high = middle
        else:
            low = middle
    return high


def count_bound(total: int, rate: float, confidence: Fraction = SLICE_CONFIDENCE) -> int:
    """The smallest c with P(X ≤ c) ≥ ``confidence``: more bad events than c in ``total`` are no chance at ``rate``."""
    wanted = float(confidence)
    cumulated = 0.0
    for bad in range(total + 1):
        cumulated += math.exp(_log_mass(bad, total, rate)) if 0 < rate < 1 else float(rate <= 0 or bad == total)
        if cumulated >= wanted:
            return bad
    return total


def _log_mass(bad: int, total: int, rate: float) -> float:
    ways = math.lgamma(total + 1) - math.lgamma(bad + 1) - math.lgamma(total - bad + 1)
    return ways + bad * math.log(rate) + (total - bad) * math.log1p(-rate)


def _tail(start: int, total: int, rate: float, step: int) -> float:
    """Sum of the mass from ``start`` away from the mode, by the ratio of neighbours."""
    mass = math.exp(_log_mass(start, total, rate))
    odds = rate / (1 - rate)
    summed, bad = mass, start
    while 0 <= bad + step <= total and mass > summed * _NEGLIGIBLE:
        mass *= (total - bad) / (bad + 1) * odds if step > 0 else bad / (total - bad + 1) / odds
        bad += step
        summed += mass
    return summed


def _bisect(below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if below(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2
