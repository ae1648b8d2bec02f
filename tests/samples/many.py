"""Several runs over some time: shards, retries, other commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pytest_finchaos.model.result import DrillResult, ObjectiveResult, RunResult
from pytest_finchaos.model.verdict import Reason, Verdict, merge
from tests.samples.parts import FINGERPRINT
from tests.samples.passed import passing_drill
from tests.samples.runs import run_of

NOW = "2026-03-02T12:00:00.000+00:00"
COMMIT = "40c8f1c53a77d1e2b9a604c71c55d2e4f7a91b30"
OTHER_COMMIT = "9b1d0e77c5a2f3468bb0a1c2d3e4f5061728394a"
OTHER_FINGERPRINT = "1111" + FINGERPRINT[4:]
SLOW = "experiments/test_slow_ledger.py::test_card_payments_survive_a_slow_ledger"
KILLED = "experiments/test_components_killed.py::test_a_killed_gateway_is_back_within_seconds"
_TEST_OUTCOMES = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.INCONCLUSIVE: "undecided",
    Verdict.INVALID: "passed",
}


def before(hours: float) -> str:
    """The instant that many hours before `NOW`."""
    at = datetime.fromisoformat(NOW) - timedelta(hours=hours)
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def drill(
    node_id: str = SLOW,
    verdict: Verdict = Verdict.PASS,
    *,
    hours: float = 1.0,
    fingerprint: str = FINGERPRINT,
    why: str = "",
) -> DrillResult:
    """A drill that began ``hours`` before `NOW`."""
    base = passing_drill()
    assert base.environment is not None
    return replace(
        base,
        id=node_id,
        verdict=verdict,
        reasons=(Reason(verdict.value.lower(), why or f"{verdict.value} for a reason"),),
        test_outcome=_TEST_OUTCOMES[verdict],
        started_at=before(hours),
        environment=replace(base.environment, fingerprint=fingerprint, fingerprint_after=fingerprint),
        replay=f"pytest {node_id} --finchaos-seed=1742",
    )


def run(
    *drills: DrillResult,
    name: str = "",
    hours: float | None = None,
    commit: str = COMMIT,
    tree: str = "clean",
    lost: tuple[str, ...] = (),
) -> RunResult:
    """A run of these drills, called after its age unless it has a name."""
    age = hours if hours is not None else 1.0
    started = before(age) if hours is not None or not drills else drills[0].started_at
    base = run_of(*drills)
    git: Mapping[str, str] = {"commit": commit, "tree": tree} if commit else {}
    info = replace(base.run, id=name or f"run-{started}", started_at=started, git=git)
    return replace(base, run=info, verdict=merge(one.verdict for one in drills), lost=lost)


def steady(good: int, bad: int = 0, *, unknown: int = 0, slo: str = "payment-success") -> ObjectiveResult:
    """A line about steady traffic that nobody asserted."""
    return ObjectiveResult(
        slo,
        "measured",
        Verdict.INCONCLUSIVE,
        asserted=False,
        text=f"{bad} of {good + bad + unknown} authorise were not ok or declined within 5 s",
        good=good,
        bad=bad,
        unknown=unknown,
        limit="≥ 99.99 % of authorise ok or declined within 5 s",
        population="authorise in steady traffic",
    )


def measured(
    *rows: ObjectiveResult,
    hours: float = 1.0,
    fingerprint: str = FINGERPRINT,
    verdict: Verdict = Verdict.PASS,
    node_id: str = SLOW,
) -> DrillResult:
    """A drill with these objectives."""
    return replace(drill(node_id, verdict, hours=hours, fingerprint=fingerprint), objectives=rows)
