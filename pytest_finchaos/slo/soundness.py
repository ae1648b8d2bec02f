"""When the load generator was too late for what is claimed about latency."""

from __future__ import annotations

from pytest_finchaos.model.history import GeneratorReport
from pytest_finchaos.model.verdict import Claim, Defect, Reason

LAG_SHARE = 0.2  # of the smallest latency limit claimed


def late_generator(generator: GeneratorReport, smallest_limit_ms: float) -> Defect | None:
    """A defect that voids latency claims when the generator's lag is no longer small beside the limits.

    Args:
        generator: What the generator reports of itself.
        smallest_limit_ms: The smallest latency limit that is claimed, in milliseconds.

    Returns:
        The defect, or None while the lag's p99 is at most 20 % of the limit. Recovery then counts errors only.
    """
    lag_ms = generator.lag_p99_ns / 1e6
    allowed_ms = LAG_SHARE * smallest_limit_ms
    if lag_ms <= allowed_ms:
        return None
    text = (
        f"the load generator was late: p99 of its lag is {lag_ms:.1f} ms, more than {allowed_ms:.3g} ms, "
        f"20 % of the smallest latency limit claimed ({smallest_limit_ms:g} ms)"
    )
    return Defect(Reason("late-generator", text), frozenset({Claim.LATENCY}))
