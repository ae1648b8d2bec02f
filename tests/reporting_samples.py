"""Run results as a real run leaves them, built from a seed: for tests of the reports and for looking at one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from pytest_finchaos.model.history import Counts, GeneratorReport
from pytest_finchaos.model.money import Finding, MoneyReport, Resolution, Witness
from pytest_finchaos.model.result import (
    DrillResult,
    EnvironmentResult,
    InjectionResult,
    NotChecked,
    ObjectiveResult,
    RecoveryResult,
    RunInfo,
    RunResult,
    Series,
)
from pytest_finchaos.model.timeline import Event, Phase, Span
from pytest_finchaos.model.verdict import Reason, Verdict, merge

STARTED_NS = 7_000_000_000_000
FINGERPRINT = "9f2c41d07be35a8861f0c3a9d2247e5b1c6ad9f4408e72b35dd10f6a9be7c321"
WIDTH_S = 0.1
_INVARIANTS = {
    "acknowledged-durable": "every acknowledged payment is in the ledger",
    "exactly-once": "every key was paid at most once",
    "refused-no-effect": "no refused or declined request moved money",
    "same-key-same-answer": "equal requests got equal answers",
    "key-reuse-refused": "every key that was reused with another body was refused",
    "double-entry": "the entries of every payment sum to zero",
    "balance-chain": "every balance is what its entries say",
    "amount-fidelity": "every payment is what was asked for",
    "settlement-complete": "every payment is settled once, with right totals",
}


def at_ns(offset_s: float) -> int:
    """CLOCK_MONOTONIC of an offset from a drill's start."""
    return STARTED_NS + round(offset_s * 1e9)


def series(seed: int, *, span_s: float, slow: Callable[[float], float], bad: Callable[[float], float]) -> Series:
    """Points of a load of 100 operations a second.

    Args:
        seed: Of the noise.
        span_s: Length in seconds.
        slow: Factor on latencies at an offset.
        bad: Share of failed or unknown operations at an offset.
    """
    chance = random.Random(seed)
    rows: list[tuple[int, int, int, int, float | None, float | None, float | None]] = []
    for at in range(round(span_s / WIDTH_S)):
        at_s = at * WIDTH_S
        total = sum(chance.random() < 0.1 for _ in range(100)) if at_s > 0.3 else 0
        harmed = sum(chance.random() < bad(at_s) for _ in range(total))
        unknown = sum(chance.random() < 0.3 for _ in range(harmed))
        declined = sum(chance.random() < 0.03 for _ in range(total - harmed))
        p50 = round((8 + 3 * chance.random()) * slow(at_s), 3)
        p95 = round(p50 * (1.6 + chance.random()), 3)
        largest = round(p95 * (1.05 + 0.5 * chance.random()), 3)
        good = total - harmed - declined
        answered = (p50, p95, largest) if good else (None, None, None)
        rows.append((good, declined, harmed - unknown, unknown, *answered))
    ok, declined_, failed, unknown_, p50_ms, p95_ms, max_ms = zip(*rows, strict=True)
    starts = tuple(round(at * WIDTH_S, 3) for at in range(len(rows)))
    return Series(WIDTH_S, starts, ok, declined_, failed, unknown_, p50_ms, p95_ms, max_ms)


def counts(points: Series) -> Counts:
    """Accounting that agrees with the points."""
    ok, declined = sum(points.ok), sum(points.declined)
    failed, unknown = sum(points.failed), sum(points.unknown)
    sent = ok + declined + failed + unknown
    return Counts(planned=sent, sent=sent, ok=ok, declined=declined, failed=failed, unknown=unknown)


def phases(*bounds_s: float, end_s: float) -> tuple[Span, ...]:
    """Warm, steady, inject, hold, remove, recover, settle, beginning at ``bounds_s``."""
    edges = (*bounds_s, end_s)
    return tuple(
        Span(phase, at_ns(edges[at]), at_ns(edges[at + 1])) for at, phase in enumerate(list(Phase)[: len(bounds_s)])
    )


def findings(checked: int, **violated: Finding) -> tuple[Finding, ...]:
    """All invariants; those in ``violated`` (with underscores) as given, the others hold."""
    given = {name.replace("_", "-"): finding for name, finding in violated.items()}
    return tuple(
        given.get(name, Finding(name, Verdict.PASS, f"{claim} ({checked} checked)", checked, 0))
        for name, claim in _INVARIANTS.items()
    )


def passing_drill(name: str = "test_slow_ledger.py::test_card_payments_survive_a_slow_ledger") -> DrillResult:
    """A slow link: slower payments, none failed, none lost."""
    points = series(
        3,
        span_s=16.2,
        slow=lambda at_s: 9.0 if 5.4 <= at_s < 10.5 else 1.0,
        bad=lambda at_s: 0.0,
    )
    traffic = counts(points)
    during = sum(points.ok[54:105])
    fault = "latency 80±20 ms on gateway→ledger-db"
    return DrillResult(
        id=f"experiments/{name}",
        verdict=Verdict.PASS,
        reasons=(
            Reason("passed", "the test's assertions hold; 6 automatic checks passed; 9 money invariants were checked"),
        ),
        test_outcome="passed",
        seed="1742/0",
        started_ns=STARTED_NS,
        ended_ns=at_ns(19.1),
        started_at="2026-03-02T10:14:07.120+00:00",
        environment=EnvironmentResult(
            id="payments-a41c",
            name="payments",
            backend="processes",
            fingerprint=FINGERPRINT,
            fingerprint_after=FINGERPRINT,
            components={"gateway": "3f9a1c20aa41-71c2", "fraud": "3f9a1c20aa41-9d02", "ledger-db": "18.1-44ee"},
            notes=("ledger-db: fsync=off: sound for killed processes, says nothing about power loss",),
        ),
        profile="card_pos_auth",
        rate_per_s=100.0,
        traffic=traffic,
        generator=GeneratorReport(True, (), 180_000, 2_900_000, 6.1, 16.4, traffic.sent * 2 + 40, 61),
        phases=phases(0.0, 0.4, 5.4, 5.62, 10.5, 10.7, 16.2, end_s=19.1),
        events=(
            Event(at_ns(0.0), "load-started", "load", "card_pos_auth at 100/s"),
            Event(at_ns(5.41), "armed", "1-latency", fault),
            Event(at_ns(5.6), "acted", "1-latency", "probe took 84 ms, 1.1 ms before"),
            Event(at_ns(10.52), "disarmed", "1-latency"),
            Event(at_ns(10.68), "gone", "1-latency", "probe took 1.2 ms"),
            Event(at_ns(16.3), "load-stopped", "load", f"{traffic.sent} of {traffic.planned} sent"),
            Event(at_ns(17.2), "quiet", "ledger", "after 0.6 s"),
        ),
        objectives=(
            ObjectiveResult(
                "payment-success",
                "spent",
                Verdict.PASS,
                asserted=True,
                text=f"0 of {during} authorise were not ok or declined within 5 s",
                good=during,
                bad=0,
                unknown=0,
                limit="at most 5 bad",
                population=f"authorise while {fault} was armed",
            ),
            ObjectiveResult(
                "payment-success",
                "measured",
                Verdict.INCONCLUSIVE,
                asserted=False,
                text="0 of 480 authorise were not ok or declined within 5 s",
                good=480,
                bad=0,
                unknown=0,
                limit="≥ 99.99 % of authorise ok or declined within 5 s",
                needed=29_476,
                population="authorise in steady traffic",
            ),
        ),
        injections=(
            InjectionResult(
                "1-latency",
                fault,
                "gateway→ledger-db",
                at_ns(5.41),
                acted=True,
                acted_at_ns=at_ns(5.6),
                disarmed_at_ns=at_ns(10.52),
                gone=True,
                gone_at_ns=at_ns(10.68),
                evidence=(
                    "a new connection answered after 84 ms, 1.1 ms before arming",
                    "a pooled connection answered after 91 ms",
                    "1,284,022 bytes crossed the edge while armed",
                    "after removal a new connection answered after 1.2 ms",
                ),
                bytes_crossed=1_284_022,
            ),
        ),
        recoveries=(
            RecoveryResult(
                "1-latency",
                Verdict.PASS,
                "recovered_after_removal",
                at_ns(5.5),
                at_ns(10.9),
                5.02,
                0.38,
                None,
                3.0,
                asserted=True,
                text="recovered 0.4 s after the removal (limit 3 s); impact began 0.1 s after arming",
            ),
        ),
        money=MoneyReport(findings(traffic.sent), {}, (), "", 0.6),
        expected=(),
        checks=(
            ("traffic", Verdict.PASS, f"{traffic.sent} of {traffic.planned} planned requests were sent"),
            ("load-generator", Verdict.PASS, f"sound; lag p99 2.9 ms, {traffic.sent * 2 + 40} records complete"),
            ("faults-acted", Verdict.PASS, "1 of 1 faults acted"),
            ("faults-gone", Verdict.PASS, "no fault is left"),
            ("build-served", Verdict.PASS, f"the declared build served, fingerprint {FINGERPRINT[:12]}"),
            ("closing", Verdict.PASS, "the drill closed without trouble"),
        ),
        not_checked=(NotChecked("objective auth-success", "no login was sent by the load"),),
        series=points,
        replay=f"pytest experiments/{name} --finchaos-seed=1742",
        directory="reports/20260302T101400-a41c/records/test-slow-ledger-py-4b418b9a",
        host={"cpu_busy_share": 0.58, "cpu_steal_share": 0.012},
        impact={"payments": traffic.sent, "unsuccessful_payments": 0},
        duration_s=19.1,
    )


def failing_drill() -> DrillResult:
    """A killed gateway that acknowledged payments before they were committed: money is lost."""
    base = passing_drill("test_components_killed.py::test_a_killed_gateway_is_back_within_seconds")
    points = series(
        4,
        span_s=21.4,
        slow=lambda at_s: 2.4 if 7.9 <= at_s < 8.8 else 1.0,
        bad=lambda at_s: 0.97 if 5.5 <= at_s < 7.9 else 0.0,
    )
    traffic = counts(points)
    failed, unknown = sum(points.failed), sum(points.unknown)
    lost = Finding(
        "acknowledged-durable",
        Verdict.FAIL,
        "12 of 1480 acknowledged payments are not in the ledger: 1482.10 EUR and 9800 JPY; "
        "first: a41c-2-000523 was acknowledged and the ledger has no row of it",
        1480,
        12,
        {"EUR": 148_210, "JPY": 9_800},
        tuple(_witness(at) for at in range(3)),
    )
    fault = "kill -9 of gateway"
    return replace(
        base,
        verdict=Verdict.FAIL,
        reasons=(
            Reason("assertion-failed", "the test's assertion failed: <recovered(1-kill): FAIL: recovered 3.4 s late>"),
            Reason("money-acknowledged-durable", lost.text, "acknowledged-durable"),
        ),
        test_outcome="failed",
        ended_ns=at_ns(25.3),
        traffic=traffic,
        phases=phases(0.0, 0.4, 5.5, 5.58, 8.6, 8.7, 21.4, end_s=25.3),
        events=(
            Event(at_ns(5.52), "component-exited", "gateway", "pid 4411 ended by SIGKILL"),
            Event(at_ns(5.74), "component-started", "gateway", "pid 4502, build 3f9a1c20aa41"),
            Event(at_ns(7.83), "component-ready", "gateway", "ready after 2.1 s"),
        ),
        objectives=(
            ObjectiveResult(
                "payment-success",
                "spent",
                Verdict.FAIL,
                asserted=True,
                text=f"{failed + unknown} of 301 authorise were not ok or declined within 5 s",
                good=301 - failed - unknown,
                bad=failed,
                unknown=unknown,
                limit="at most 40 bad",
                population=f"authorise while {fault} was armed",
            ),
            base.objectives[1],
        ),
        injections=(
            InjectionResult(
                "1-kill",
                fault,
                "gateway",
                at_ns(5.51),
                acted=True,
                acted_at_ns=at_ns(5.53),
                disarmed_at_ns=at_ns(8.6),
                gone=True,
                gone_at_ns=at_ns(8.65),
                evidence=("pid 4411 exited (pidfd readable)", "pid 4502 answers /ready with build 3f9a1c20aa41"),
            ),
        ),
        recoveries=(
            RecoveryResult(
                "1-kill",
                Verdict.FAIL,
                "self_healed",
                at_ns(5.5),
                at_ns(8.9),
                3.1,
                0.3,
                None,
                0.2,
                asserted=True,
                text="recovered 0.3 s after the removal (limit 0.2 s); impact began 0.0 s after arming",
            ),
        ),
        money=MoneyReport(
            findings(1480, acknowledged_durable=lost),
            {},
            tuple(
                Resolution(f"a41c-2-{600 + at:06d}", "applied" if at % 3 else "absent", "GET by key")
                for at in range(40)
            ),
            "",
            1.9,
        ),
        series=points,
        impact={
            "payments": traffic.sent,
            "unsuccessful_payments": failed,
            "unsuccessful_minor_EUR": 1_903_412,
            "unsuccessful_minor_JPY": 120_500,
            "violations": 12,
            "violated_minor_EUR": 148_210,
            "violated_minor_JPY": 9_800,
        },
        duration_s=25.3,
    )


def _witness(at: int) -> Witness:
    return Witness(
        key=f"a41c-2-{523 + at:06d}",
        attempts=(f"5.{48 + at} s first try: ok (HTTP 201) after 9 ms", "9.10 s replay: unknown (HTTP 404) after 4 ms"),
        faults=("kill -9 of gateway: armed 5.51 s to 8.60 s",),
        rows=("was acknowledged and the ledger has no row of it",),
        amount_minor=12_350 + 700 * at,
        currency="EUR",
    )


def undecided_drill() -> DrillResult:
    """Sound, but too little traffic after the fault to decide about recovery."""
    base = passing_drill("test_dependencies.py::test_payments_resume_when_the_fraud_service_is_back")
    text = "undecided (limit 5 s): 61 requests in 2.1 s after the removal, 100 in 2 s are needed"
    recovery = replace(
        base.recoveries[0],
        verdict=Verdict.INCONCLUSIVE,
        outcome="undecided",
        recovered_at_ns=None,
        after_s=None,
        text=text,
    )
    return replace(
        base,
        verdict=Verdict.INCONCLUSIVE,
        reasons=(Reason("undecided", text, "1-latency"),),
        test_outcome="undecided",
        recoveries=(recovery,),
        money=replace(
            base.money,
            findings=tuple(found for found in base.money.findings if found.invariant != "settlement-complete"),
            not_checked={"settlement-complete": "the environment declares no settlement file"},
        ),
    )


def invalid_drill() -> DrillResult:
    """A fault that did not act: the run proves nothing about it."""
    base = passing_drill("test_lost_answers.py::test_retries_after_lost_answers_pay_once")
    injection = replace(
        base.injections[0],
        acted=False,
        acted_at_ns=None,
        bytes_crossed=0,
        evidence=("0 bytes crossed the edge while armed",),
    )
    reason = Reason("fault-did-not-act", f"{injection.fault} did not act: 0 bytes crossed the edge", "1-latency")
    checks = tuple(
        (name, Verdict.INVALID, reason.text) if name == "faults-acted" else (name, verdict, text)
        for name, verdict, text in base.checks
    )
    return replace(
        base, verdict=Verdict.INVALID, reasons=(reason,), injections=(injection,), checks=checks, recoveries=()
    )


def looking_drill() -> DrillResult:
    """A drill that looks for a defect and finds it."""
    base = passing_drill("test_rounding.py::test_the_rounding_defect_is_found")
    text = "201 of 480 payments are not what was asked for: 2.01 EUR; first: a41c-6-000001 asked for 12.35 EUR, holds 12.34"
    found = Finding("amount-fidelity", Verdict.FAIL, text, 480, 201, {"EUR": 201}, (_witness(1),))
    return replace(
        base,
        reasons=(Reason("passed", "the test's assertions hold; found as declared: amount-fidelity"),),
        expected=("amount-fidelity",),
        money=MoneyReport(findings(480, amount_fidelity=found)),
        injections=(),
        recoveries=(),
    )


def unstarted_drill() -> DrillResult:
    """A drill whose environment never started: no load, no fault, no money."""
    base = passing_drill("test_dependencies.py::test_settlement_catches_up")
    return replace(
        base,
        verdict=Verdict.INCONCLUSIVE,
        reasons=(Reason("no-traffic", "no request was sent"),),
        test_outcome="error",
        environment=None,
        profile="",
        rate_per_s=0.0,
        traffic=Counts(),
        generator=None,
        phases=(),
        events=(),
        objectives=(),
        injections=(),
        recoveries=(),
        money=MoneyReport(problem="the environment never started"),
        checks=(("traffic", Verdict.INCONCLUSIVE, "no request was sent"),),
        not_checked=(),
        series=None,
        directory="",
        host={},
        impact={},
        ended_ns=at_ns(0.2),
        duration_s=0.2,
    )


def run_of(*drills: DrillResult) -> RunResult:
    """A run of these drills."""
    info = RunInfo(
        id="20260302T101400-a41c",
        seed=1742,
        started_at="2026-03-02T10:14:00.000+00:00",
        ended_at="2026-03-02T10:16:31.480+00:00",
        host={"system": "Linux 6.1.0 x86_64", "python": "3.11.2", "cores": "2", "load_average": "1.20 0.90 0.70"},
        replay="pytest experiments --finchaos-seed=1742",
        versions={"pytest-finchaos": "0.1.0", "pytest": "8.4.1", "locust": "2.43.0"},
        git={"commit": "40c8f1c53a77d1e2b9a604c71c55d2e4f7a91b30", "tree": "clean"},
        exit_status=0,
    )
    return RunResult(info, merge(drill.verdict for drill in drills), tuple(drills))


def sample_run() -> RunResult:
    """Seven drills: one that failed with lost money, two undecided, one invalid, three that passed."""
    return run_of(
        passing_drill(),
        failing_drill(),
        undecided_drill(),
        invalid_drill(),
        looking_drill(),
        unstarted_drill(),
        passing_drill("test_components_killed.py::test_a_database_killed_with_sigkill_loses_no_payment"),
    )
