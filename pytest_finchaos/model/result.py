"""The result of a drill and of a run, as ``report.json`` holds it; reports are made from this alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_finchaos.model.history import Counts, GeneratorReport
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.release import ReleaseResult
from pytest_finchaos.model.timeline import Event, Span
from pytest_finchaos.model.verdict import Reason, Verdict


@dataclass(frozen=True, slots=True)
class ObjectiveResult:
    """One objective over one population.

    Args:
        name: Objective, e.g. ``payment-success``.
        question: ``spent``, ``demonstrates`` or ``measured`` (listed, not asserted).
        verdict: The verdict; ``measured`` rows carry PASS/FAIL/INCONCLUSIVE but are not merged.
        asserted: True when the test asked.
        text: One sentence with figures.
        good, bad, unknown: Counts over the population.
        limit: The limit in words, e.g. ``at most 5 bad`` or ``≥ 99.99 %``.
        needed: Further clean events needed to decide, or None.
        population: Which events, in words, e.g. ``steady phase`` or ``latency api→store armed``.
        reasons: Why.
        effect: The sample counts this many times less, as its bad events came in bursts; 1.0 when they did not.
    """

    name: str
    question: str
    verdict: Verdict
    asserted: bool
    text: str
    good: int
    bad: int
    unknown: int
    limit: str
    needed: int | None = None
    population: str = ""
    reasons: tuple[Reason, ...] = ()
    effect: float = 1.0


@dataclass(frozen=True, slots=True)
class InjectionResult:
    """One fault: when it was armed, whether it acted, whether it is gone, with the evidence in sentences."""

    id: str
    fault: str
    target: str
    armed_at_ns: int | None
    acted: bool | None
    acted_at_ns: int | None
    disarmed_at_ns: int | None
    gone: bool | None
    gone_at_ns: int | None
    evidence: tuple[str, ...] = ()
    bytes_crossed: int | None = None


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """Recovery from one injection.

    Args:
        injection: Injection id.
        verdict: Against ``within_s`` when asserted, else of the observation itself.
        outcome: ``absorbed``, ``self_healed``, ``recovered_after_removal``, ``not_recovered`` or ``undecided``.
        impact_at_ns: First bad slice, or None.
        recovered_at_ns: Start of the first good window, or None.
        during_s: Impact to recovery while the fault persisted, or None.
        after_s: Removal to recovery, 0.0 when recovered before; None when not recovered.
        censored_at_s: Observation since removal when never recovered.
        within_s: The limit asked for, or None.
        asserted: True when the test asked.
        text: One sentence.
    """

    injection: str
    verdict: Verdict
    outcome: str
    impact_at_ns: int | None
    recovered_at_ns: int | None
    during_s: float | None
    after_s: float | None
    censored_at_s: float | None
    within_s: float | None
    asserted: bool
    text: str
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentResult:
    """Where the drill ran."""

    id: str
    name: str
    backend: str
    fingerprint: str
    fingerprint_after: str
    components: Mapping[str, str] = field(default_factory=dict)  # component -> instance ids, in order, joined by " → "
    notes: tuple[str, ...] = ()  # e.g. fsync=off


@dataclass(frozen=True, slots=True)
class Series:
    """Points for a chart, in slices of ``width_s``, offsets from the drill's start in seconds.

    Args:
        at_s: Start of each slice.
        ok, declined, failed, unknown: Operations by outcome, by intended time.
        p50_ms, p95_ms, max_ms: Latency of the slice, None when empty.
    """

    width_s: float
    at_s: tuple[float, ...]
    ok: tuple[int, ...]
    declined: tuple[int, ...]
    failed: tuple[int, ...]
    unknown: tuple[int, ...]
    p50_ms: tuple[float | None, ...]
    p95_ms: tuple[float | None, ...]
    max_ms: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class NotChecked:
    """Something that was not checked, and why; never silently skipped."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class DrillResult:
    """One test's run.

    Args:
        id: Pytest node id.
        verdict: Outcome of the test merged with the automatic checks.
        reasons: Why, strongest first; for PASS a short statement of what was decided.
        test_outcome: ``passed``, ``failed``, ``undecided`` or ``error``.
        started_ns, ended_ns: CLOCK_MONOTONIC.
        started_at: ISO 8601 UTC.
        expected: Invariants that the drill declared to look for.
        replay: Command line that repeats the drill.
        host: Measured load of the host during the drill, e.g. ``cpu_busy_share``.
        impact: Money and payments touched by failures, per currency, e.g. ``{"unsuccessful_payments": 12, …}``.
    """

    id: str
    verdict: Verdict
    reasons: tuple[Reason, ...]
    test_outcome: str
    seed: str
    started_ns: int
    ended_ns: int
    started_at: str
    environment: EnvironmentResult | None
    profile: str
    rate_per_s: float
    traffic: Counts
    generator: GeneratorReport | None
    phases: tuple[Span, ...]
    events: tuple[Event, ...]
    objectives: tuple[ObjectiveResult, ...]
    injections: tuple[InjectionResult, ...]
    recoveries: tuple[RecoveryResult, ...]
    money: MoneyReport
    expected: tuple[str, ...]
    checks: tuple[tuple[str, Verdict, str], ...]  # automatic check, verdict, sentence
    not_checked: tuple[NotChecked, ...]
    series: Series | None
    replay: str
    directory: str = ""
    host: Mapping[str, float] = field(default_factory=dict)
    impact: Mapping[str, int] = field(default_factory=dict)
    duration_s: float = 0.0
    markers: tuple[str, ...] = ()
    releases: tuple[ReleaseResult, ...] = ()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Provenance of a run."""

    id: str
    seed: int
    started_at: str
    ended_at: str
    host: Mapping[str, str]
    replay: str
    versions: Mapping[str, str]
    git: Mapping[str, str]
    exit_status: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run; ``report.json`` is this, with the schema name in front."""

    run: RunInfo
    verdict: Verdict
    drills: tuple[DrillResult, ...]
    lost: tuple[str, ...] = ()  # node ids whose result never arrived
    problems: tuple[str, ...] = ()
    deselected: tuple[str, ...] = ()  # node ids of drills that were collected and left out on purpose
