"""Drills that did not pass: failed with money lost, undecided, invalid, never started."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.model.history import Counts
from pytest_finchaos.model.money import Finding, MoneyReport, Resolution
from pytest_finchaos.model.result import DrillResult, InjectionResult, ObjectiveResult, RecoveryResult
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.model.verdict import Reason, Verdict
from tests.samples.parts import at_ns, counts, findings, phases, series
from tests.samples.passed import passing_drill, witness

KILL = "kill -9 of gateway"


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
    return replace(
        base,
        verdict=Verdict.FAIL,
        reasons=(
            Reason("assertion-failed", "the test's assertion failed: <recovered(1-kill): FAIL: recovered 3.4 s late>"),
            Reason("money-acknowledged-durable", _lost().text, "acknowledged-durable"),
        ),
        test_outcome="failed",
        ended_ns=at_ns(25.3),
        traffic=traffic,
        phases=phases(0.0, 0.4, 5.5, 5.58, 8.6, 8.7, 21.4, end_s=25.3),
        events=_events(),
        objectives=(_spent(failed, unknown), base.objectives[1]),
        injections=(_killed(),),
        recoveries=(_recovery(),),
        money=_money(),
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


def _lost() -> Finding:
    return Finding(
        "acknowledged-durable",
        Verdict.FAIL,
        "12 of 1480 acknowledged payments are not in the ledger: 1482.10 EUR and 9800 JPY; "
        "first: a41c-2-000523 was acknowledged and the ledger has no row of it",
        1480,
        12,
        {"EUR": 148_210, "JPY": 9_800},
        tuple(witness(at) for at in range(3)),
    )


def _events() -> tuple[Event, ...]:
    return (
        Event(at_ns(5.52), "component-exited", "gateway", "pid 4411 ended by SIGKILL"),
        Event(at_ns(5.74), "component-started", "gateway", "pid 4502, build 3f9a1c20aa41"),
        Event(at_ns(7.83), "component-ready", "gateway", "ready after 2.1 s"),
    )


def _spent(failed: int, unknown: int) -> ObjectiveResult:
    return ObjectiveResult(
        "payment-success",
        "spent",
        Verdict.FAIL,
        asserted=True,
        text=f"{failed + unknown} of 301 authorise were not ok or declined within 5 s",
        good=301 - failed - unknown,
        bad=failed,
        unknown=unknown,
        limit="at most 40 bad",
        population=f"authorise while {KILL} was armed",
    )


def _killed() -> InjectionResult:
    return InjectionResult(
        "1-kill",
        KILL,
        "gateway",
        at_ns(5.51),
        acted=True,
        acted_at_ns=at_ns(5.53),
        disarmed_at_ns=at_ns(8.6),
        gone=True,
        gone_at_ns=at_ns(8.65),
        evidence=("pid 4411 exited (pidfd readable)", "pid 4502 answers /ready with build 3f9a1c20aa41"),
    )


def _recovery() -> RecoveryResult:
    return RecoveryResult(
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
    )


def _money() -> MoneyReport:
    return MoneyReport(
        findings(1480, acknowledged_durable=_lost()),
        {},
        tuple(
            Resolution(f"a41c-2-{600 + at:06d}", "applied" if at % 3 else "absent", "GET by key") for at in range(40)
        ),
        "",
        1.9,
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
