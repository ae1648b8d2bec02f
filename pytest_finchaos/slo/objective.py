"""What an objective is: which operations count, when one is good, and which share must be good."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction

from pytest_finchaos.model.verdict import Claim


class Indicator(enum.Enum):
    """What makes an event good.

    OUTCOME: a final answer, ok or declined, within the deadline. LATENCY: a final answer faster than the threshold.
    VALUE: the number in the answer is below the threshold.
    """

    OUTCOME = "outcome"
    LATENCY = "latency"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Objective:
    """A service level objective: of all events of one operation, the share ``target`` must be good.

    Args:
        name: Kebab case, e.g. ``payment-success``.
        operation: The profile's operation whose arrivals are the population.
        indicator: What makes an event good.
        target: Share of good events, more than 0 and less than 1, exact.
        title: What it promises, in words.
        deadline_s: For OUTCOME: seconds from the intended time, or None for any time.
        threshold_ms: For LATENCY: good is less than this.
        threshold: For VALUE: good is less than this times ``time_scale``, in ``unit``.
        unit: Unit of the value.
        time_scale: Factor on ``threshold``, so that minutes can go by within a drill; printed wherever it is not 1.
        alert_burn_rate: Burn rate at which the operator's alert fires, or None.
    """

    name: str
    operation: str
    indicator: Indicator
    target: Fraction
    title: str = ""
    deadline_s: float | None = None
    threshold_ms: float | None = None
    threshold: float | None = None
    unit: str = ""
    time_scale: float = 1.0
    alert_burn_rate: Fraction | None = None

    @property
    def budget(self) -> Fraction:
        """The error budget: the share of events that may be bad."""
        return 1 - self.target

    @property
    def limit_value(self) -> float | None:
        """The threshold of a VALUE objective after scaling."""
        return None if self.threshold is None else self.threshold * self.time_scale

    @property
    def claims(self) -> frozenset[Claim]:
        """What a statement about this objective rests on, so that soundness defects can void it."""
        if self.indicator is Indicator.LATENCY:
            return frozenset({Claim.LATENCY, Claim.OUTCOMES})
        return frozenset({Claim.OUTCOMES})

    @property
    def latency_limit_ms(self) -> float | None:
        """The latency limit that a claim about this objective makes, for the late-generator rule; None if none."""
        return self.threshold_ms if self.indicator is Indicator.LATENCY else None

    def describe(self) -> str:
        """The objective in words with its figures, e.g. ``≥ 95 % of balance faster than 100 ms``."""
        return f"≥ {percent(self.target)} of {self.operation} {self.good_means()}"

    def good_means(self) -> str:
        """What a good event is, in words."""
        if self.indicator is Indicator.LATENCY:
            return f"faster than {self.threshold_ms:g} ms"
        if self.indicator is Indicator.VALUE:
            scaled = (
                "" if self.time_scale == 1 else f" ({self.threshold:g} {self.unit} × time scale {self.time_scale:g})"
            )
            return f"below {self.limit_value:g} {self.unit}{scaled}".rstrip()
        return "ok or declined" + ("" if self.deadline_s is None else f" within {self.deadline_s:g} s")


def percent(share: Fraction) -> str:
    """A share as per cent without rounding a target away: ``Fraction(9999, 10000)`` is ``99.99 %``."""
    return f"{float(share * 100):.10g} %"
