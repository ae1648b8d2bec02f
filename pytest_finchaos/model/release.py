"""What a release of a new version under load did, as ``report.json`` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_finchaos.model.verdict import Reason, Verdict

PROMOTED, ROLLED_BACK, UNDECIDED = "promoted", "rolled back", "undecided"


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one version served while the release was on.

    Args:
        requests: Requests that the router sent to it, retries and probes included.
        payments: Payments of the load that it served first.
        failed: Those whose first attempt did not end well.
        amount_minor: What the payments asked for, by currency, in minor units.
    """

    requests: int = 0
    payments: int = 0
    failed: int = 0
    amount_minor: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseStep:
    """One step of a release.

    Args:
        share: Share of the requests that was configured.
        started_ns: CLOCK_MONOTONIC: the router had taken the weights.
        ended_ns: CLOCK_MONOTONIC: the decision that ended it.
        requests: Arrivals that were routed in this step.
        on_canary: Those that went to the new version.
        kept: False when these counts contradict the configured share.
        payments: Final payments on the new version, looked at in the ledger where there is one.
        needed: How many the step needed.
        evidence: E, the evidence against the version, at the end of the step.
        text: How it ended.
    """

    share: float
    started_ns: int
    ended_ns: int
    requests: int
    on_canary: int
    kept: bool
    payments: int
    needed: int
    evidence: float
    text: str

    @property
    def actual(self) -> float | None:
        """The share that was served, or None without requests."""
        return self.on_canary / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ReleaseTimes:
    """CLOCK_MONOTONIC instants; None for what did not happen.

    Args:
        t0_ns: The new version began its first request.
        t1_ns: The decision that ended the release.
        t2_ns: The router had taken the last weights.
        t3_ns: The last request began on the version that lost.
        t4_ns: The last request ended on it.
        t5_ns: The last failure that the new version caused had ended; None when it caused none.
    """

    t0_ns: int | None = None
    t1_ns: int | None = None
    t2_ns: int | None = None
    t3_ns: int | None = None
    t4_ns: int | None = None
    t5_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """One release.

    Args:
        component: What was released.
        version: The new version.
        before: The version that served before.
        outcome: ``promoted``, ``rolled back`` or ``undecided``; undecided goes back, too.
        triggers: What caused a rollback: violated invariants, or ``error-ratio``.
        text: Why, with figures; for a promotion the bound that was achieved.
        verdict: Of the last claim that the test made about it; INCONCLUSIVE when it made none.
        asserted: True when the test made one.
        steps: In order.
        times: See `ReleaseTimes`.
        exposure: By version.
        in_flight: Payments that the version that lost was working on when the router took the last weights.
        in_flight_lost: Those that had no final answer in the end.
        fingerprint_before, fingerprint_during, fingerprint_after: Of the environment.
        digests: Component digest by version.
        looks: How often the ledger was read during the release.
        not_checked: What could not be looked at, with the reason.
        reasons: Why the verdict is what it is.
    """

    component: str
    version: str
    before: str
    outcome: str
    triggers: tuple[str, ...]
    text: str
    verdict: Verdict
    asserted: bool
    steps: tuple[ReleaseStep, ...]
    times: ReleaseTimes
    exposure: Mapping[str, Exposure]
    in_flight: int
    in_flight_lost: int
    fingerprint_before: str
    fingerprint_during: str
    fingerprint_after: str
    digests: Mapping[str, str] = field(default_factory=dict)
    looks: int = 0
    not_checked: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
