"""Whether a new version fails more often than the old one, judged after every error and valid at any time.

Only errors count. Given that an error happened while the new version had the share ρ of the requests, it happened on
the new version with probability ρδ / (ρδ + 1 - ρ), where δ is the ratio of the two error rates. A common rate cancels,
however it changes: what fails on both sides, such as a dependency that both share, says nothing about the version.
The evidence is a mixture of likelihood ratios against "δ is at most the margin"; it is a supermartingale for every such
δ, so by Ville's inequality it reaches 1/α with probability α at most, whenever somebody looks.
(Errors as multinomial counts: Lindon and Malek, NeurIPS 2022; the one-sided mixture is of our own making.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

from pytest_finchaos.slo import binomial

MARGIN = 2.0  # a single new instance differs from the old one by itself: up to twice its errors are no reason
ALPHA = 0.01
FACTORS = (
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
    20.0,
    50.0,
)  # of the margin: gross faults are seen after few errors, small ones too
SHARE_ALPHA = 0.0001
SHARE_WEIGHT = 100.0  # how sharply the alternative of the share check is drawn around the configured share


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence that the new version fails more than ``margin`` times as often as the old one.

    Args:
        margin: Ratio of error rates that is still accepted.
        factors: Grid of alternatives, each a multiple of the margin above 1.
        logs: For each alternative the logarithm of its weight times its likelihood ratio so far; empty: nothing seen.
        errors: Errors so far, on both versions.
        on_canary: Those on the new version.
        peak_log: Highest logarithm of the evidence so far: what was reached once is not taken back.
    """

    margin: float = MARGIN
    factors: tuple[float, ...] = FACTORS
    logs: tuple[float, ...] = field(default=(), repr=False)
    errors: int = 0
    on_canary: int = 0
    peak_log: float = 0.0

    def __post_init__(self) -> None:
        if not self.margin > 0 or not self.factors or not all(factor > 1 for factor in self.factors):
            raise ValueError(f"margin {self.margin} and factors {self.factors}: more than 0, and each more than 1")

    def after(self, *, on_canary: bool, share: float) -> Evidence:
        """The evidence after one more error.

        Args:
            on_canary: True when it happened on the new version.
            share: Share of the requests that the router gave to the new version when this one was routed.
        """
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share {share}: between 0 and 1")
        logs = self.logs or (-math.log(len(self.factors)),) * len(self.factors)
        grown = tuple(
            log + likelihood_log(factor, self.margin, share, on_canary=on_canary)
            for log, factor in zip(logs, self.factors, strict=True)
        )
        return replace(
            self,
            logs=grown,
            errors=self.errors + 1,
            on_canary=self.on_canary + on_canary,
            peak_log=max(self.peak_log, _log_sum(grown)),
        )

    @property
    def log(self) -> float:
        """Logarithm of the evidence now; 0.0 before the first error."""
        return _log_sum(self.logs) if self.logs else 0.0

    @property
    def value(self) -> float:
        """The evidence now, E; 1.0 before the first error."""
        return math.exp(min(self.log, 700.0))

    def rejects(self, alpha: float = ALPHA) -> bool:
        """True when the evidence reached 1/``alpha`` at any time."""
        return self.peak_log >= -math.log(alpha)

    def __str__(self) -> str:
        return f"{self.on_canary} of {self.errors} errors on the new version, E = {self.value:.3g}"


def likelihood_log(factor: float, margin: float, share: float, *, on_canary: bool) -> float:
    """Logarithm of the likelihood ratio of one error, δ = ``factor`` · ``margin`` against δ = ``margin``."""
    rest = 1.0 - share
    return (math.log(factor) if on_canary else 0.0) + math.log(
        (share * margin + rest) / (share * margin * factor + rest)
    )


def one_step_expectation(factor: float, margin: float, share: float, ratio: float) -> float:
    """Expected likelihood ratio of one error when the true ratio of rates is ``ratio``; at most 1 up to the margin."""
    on_canary = share * ratio / (share * ratio + 1.0 - share)
    return on_canary * math.exp(likelihood_log(factor, margin, share, on_canary=True)) + (1.0 - on_canary) * math.exp(
        likelihood_log(factor, margin, share, on_canary=False)
    )


def _log_sum(logs: tuple[float, ...]) -> float:
    highest = max(logs)
    return highest + math.log(math.fsum(math.exp(log - highest) for log in logs))


def bound(failed: int, payments: int, confidence: Fraction = binomial.CONFIDENCE) -> float:
    """The failure rate that ``failed`` of ``payments`` does not exclude: exact, one-sided, for a number of payments
    that was fixed beforehand (Clopper and Pearson 1934); 0 of 300 gives 1 % at 95 %.
    """
    return binomial.upper_bound(failed, payments, confidence)


def bound_at_any_time(failed: int, payments: int, confidence: Fraction = binomial.CONFIDENCE) -> float:
    """The same, valid however the number of payments came about: beta-binomial mixture, uniform prior, Ville.

    A rate p is excluded when the mixture's likelihood exceeds that of p by 1/α:
    B(k + 1, n - k + 1) / (p^k (1 - p)^(n - k)) ≥ 1/α.
    """
    if payments == 0 or failed >= payments:
        return 1.0
    passed = payments - failed
    log_mixture = math.lgamma(failed + 1) + math.lgamma(passed + 1) - math.lgamma(payments + 2)
    limit = log_mixture + math.log(float(1 - confidence))
    low, high = failed / payments, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        log_rate = (failed * math.log(middle) if failed else 0.0) + passed * math.log1p(-middle)
        if log_rate > limit:
            low = middle
        else:
            high = middle
    return high


def bound_text(failed: int, payments: int) -> str:
    """What a promotion has shown, in words: never "no worse", only the rate that its failures do not exclude."""
    fixed, anytime = bound(failed, payments), bound_at_any_time(failed, payments)
    return (
        f"{failed} of {payments} canary payments failed: at most {fixed * 100:.2g} % fail"
        f" (exact 95 % bound for a fixed number; {anytime * 100:.2g} % at any time)"
    )


def share_evidence(canary: int, requests: int, share: float, weight: float = SHARE_WEIGHT) -> float:
    """Logarithm of the Bayes factor that the new version's share of the requests is not ``share`` (two-sided).

    Multinomial counts against a Dirichlet alternative around the configured share (Lindon and Malek 2022);
    a test that rejects at ≥ ln(1/α) is wrong with probability α at most, whenever it is made. 0.0 for a share of 0 or 1
    that was kept, infinite for one that was not.
    """
    rest = requests - canary
    if share <= 0.0 or share >= 1.0:
        return math.inf if (canary if share <= 0.0 else rest) else 0.0
    here, there = weight * share, weight * (1.0 - share)
    return (
        _log_beta(here + canary, there + rest)
        - _log_beta(here, there)
        - canary * math.log(share)
        - rest * math.log1p(-share)
    )


def share_kept(canary: int, requests: int, share: float, alpha: float = SHARE_ALPHA) -> bool:
    """False when the counts contradict the configured share."""
    return share_evidence(canary, requests, share) < -math.log(alpha)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
