"""A drill that passed, and one that found what it looked for."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.model.history import Counts, GeneratorReport
from pytest_finchaos.model.money import Finding, MoneyReport, Witness
from pytest_finchaos.model.result import (
    DrillResult,
    EnvironmentResult,
    InjectionResult,
    NotChecked,
    ObjectiveResult,
    RecoveryResult,
)
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.model.verdict import Reason, Verdict
from tests.samples.parts import FINGERPRINT, STARTED_NS, at_ns, counts, findings, phases, series

FAULT = "latency 80±20 ms on gateway→ledger-db"


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
        environment=_environment(),
        profile="card_pos_auth",
        rate_per_s=100.0,
        traffic=traffic,
        generator=GeneratorReport(True, (), 180_000, 2_900_000, 6.1, 16.4, traffic.sent * 2 + 40, 61),
        phases=phases(0.0, 0.4, 5.4, 5.62, 10.5, 10.7, 16.2, end_s=19.1),
        events=_events(traffic),
        objectives=_objectives(during),
        injections=_injections(),
        recoveries=_recoveries(),
        money=MoneyReport(findings(traffic.sent), {}, (), "", 0.6),
        expected=(),
        checks=_checks(traffic),
        not_checked=(NotChecked("objective auth-success", "no login was sent by the load"),),
        series=points,
        replay=f"pytest experiments/{name} --finchaos-seed=1742",
        directory="reports/20260302T101400-a41c/records/test-slow-ledger-py-4b418b9a",
        host={"cpu_busy_share": 0.58, "cpu_steal_share": 0.012},
        impact={"payments": traffic.sent, "unsuccessful_payments": 0},
        duration_s=19.1,
    )


def _environment() -> EnvironmentResult:
    return EnvironmentResult(
        id="payments-a41c",
        name="payments",
        backend="processes",
        fingerprint=FINGERPRINT,
        fingerprint_after=FINGERPRINT,
        components={"gateway": "3f9a1c20aa41-71c2", "fraud": "3f9a1c20aa41-9d02", "ledger-db": "18.1-44ee"},
        notes=("ledger-db: fsync=off: sound for killed processes, says nothing about power loss",),
    )


def _events(traffic: Counts) -> tuple[Event, ...]:
    return (
        Event(at_ns(0.0), "load-started", "load", "card_pos_auth at 100/s"),
        Event(at_ns(5.41), "armed", "1-latency", FAULT),
        Event(at_ns(5.6), "acted", "1-latency", "probe took 84 ms, 1.1 ms before"),
        Event(at_ns(10.52), "disarmed", "1-latency"),
        Event(at_ns(10.68), "gone", "1-latency", "probe took 1.2 ms"),
        Event(at_ns(16.3), "load-stopped", "load", f"{traffic.sent} of {traffic.planned} sent"),
        Event(at_ns(17.2), "quiet", "ledger", "after 0.6 s"),
    )


def _objectives(during: int) -> tuple[ObjectiveResult, ...]:
    return (
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
            population=f"authorise while {FAULT} was armed",
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
    )


def _injections() -> tuple[InjectionResult, ...]:
    return (
        InjectionResult(
            "1-latency",
            FAULT,
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
    )


def _recoveries() -> tuple[RecoveryResult, ...]:
    return (
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
    )


def _checks(traffic: Counts) -> tuple[tuple[str, Verdict, str], ...]:
    return (
        ("traffic", Verdict.PASS, f"{traffic.sent} of {traffic.planned} planned requests were sent"),
        ("load-generator", Verdict.PASS, f"sound; lag p99 2.9 ms, {traffic.sent * 2 + 40} records complete"),
        ("faults-acted", Verdict.PASS, "1 of 1 faults acted"),
        ("faults-gone", Verdict.PASS, "no fault is left"),
        ("build-served", Verdict.PASS, f"the declared build served, fingerprint {FINGERPRINT[:12]}"),
        ("closing", Verdict.PASS, "the drill closed without trouble"),
    )


def witness(at: int) -> Witness:
    """A payment that was acknowledged and is lost."""
    return Witness(
        key=f"a41c-2-{523 + at:06d}",
        attempts=(f"5.{48 + at} s first try: ok (HTTP 201) after 9 ms", "9.10 s replay: unknown (HTTP 404) after 4 ms"),
        faults=("kill -9 of gateway: armed 5.51 s to 8.60 s",),
        rows=("was acknowledged and the ledger has no row of it",),
        amount_minor=12_350 + 700 * at,
        currency="EUR",
    )


def looking_drill() -> DrillResult:
    """A drill that looks for a defect and finds it."""
    base = passing_drill("test_rounding.py::test_the_rounding_defect_is_found")
    text = "201 of 480 payments are not what was asked for: 2.01 EUR; first: a41c-6-000001 asked for 12.35 EUR, holds 12.34"
    found = Finding("amount-fidelity", Verdict.FAIL, text, 480, 201, {"EUR": 201}, (witness(1),))
    return replace(
        base,
        reasons=(Reason("passed", "the test's assertions hold; found as declared: amount-fidelity"),),
        expected=("amount-fidelity",),
        money=MoneyReport(findings(480, amount_fidelity=found)),
        injections=(),
        recoveries=(),
    )
