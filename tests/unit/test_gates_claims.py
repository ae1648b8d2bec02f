"""Claims of a gate over pooled traffic of many runs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from pytest_finchaos.gates.decide import decide
from pytest_finchaos.gates.policy import ClaimSpec, GateSpec
from pytest_finchaos.gates.result import GateResult, State, Status
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.model.verdict import Verdict
from tests.samples.many import KILLED, NOW, OTHER_FINGERPRINT, SLOW, measured, run, steady

SPEC = GateSpec("release", (SLOW,), max_age_h=100, claims=(ClaimSpec("payment-success", Fraction(9999, 10000)),))


def result(*runs: RunResult) -> GateResult:
    return decide(SPEC, runs, NOW)


def test_runs_on_one_build_prove_together_what_none_proves_alone() -> None:
    first = run(measured(steady(15_000), hours=2), name="a")
    second = run(measured(steady(15_000), hours=1), name="b")
    alone = result(first)
    assert (alone.status, alone.exit_code) == (Status.UNDECIDED, 3)
    assert alone.claims[0].needed == 14_956
    assert "14,956 more requests" in alone.claims[0].text
    assert result(first, second).exit_code == 0


def test_too_many_bad_requests_fail_the_gate() -> None:
    found = result(run(measured(steady(29_900, 50))))
    assert (found.status, found.exit_code, found.claims[0].state) == (Status.FAIL, 1, State.FAIL)


def test_runs_on_another_build_are_left_out_and_counted() -> None:
    old = run(measured(steady(30_000), hours=2, fingerprint=OTHER_FINGERPRINT), name="a")
    found = result(old, run(measured(steady(480)), name="b"))
    assert found.claims[0].state is State.UNDECIDED
    assert (found.claims[0].good, found.claims[0].left_out) == (480, 1)


def test_runs_that_are_too_old_do_not_count() -> None:
    old = run(measured(steady(30_000), hours=101), name="a")
    assert result(old, run(measured(steady(480)), name="b")).claims[0].good == 480


def test_a_failed_run_counts_too_so_that_nobody_picks_the_green_ones() -> None:
    failed = run(measured(steady(20_000, 30), hours=2, verdict=Verdict.FAIL, node_id=KILLED), name="a")
    found = result(failed, run(measured(steady(20_000)), name="b"))
    assert found.claims[0].bad == 30


def test_an_objective_that_nobody_measured_blocks_and_names_the_nearest() -> None:
    spec = replace(SPEC, claims=(ClaimSpec("payment-succes", Fraction(1, 2)),), on_undecided="warn")
    found = decide(spec, [run(measured(steady(480)))], NOW)
    assert (found.exit_code, found.claims[0].state) == (1, State.MISSING)
    assert "did you mean 'payment-success'" in found.claims[0].text


def test_traffic_of_a_drill_without_a_build_is_not_pooled() -> None:
    found = result(run(measured(steady(30_000), fingerprint="")))
    assert (found.exit_code, found.claims[0].state) == (1, State.MISSING)


def test_each_environment_must_prove_the_claim() -> None:
    other = measured(steady(480), node_id=KILLED)
    assert other.environment is not None
    elsewhere = replace(other, environment=replace(other.environment, name="settlement"))
    found = result(run(measured(steady(30_000)), elsewhere))
    assert {claim.environment: claim.state for claim in found.claims} == {
        "payments": State.PASS,
        "settlement": State.UNDECIDED,
    }
    assert found.exit_code == 3


def test_the_same_run_from_two_folders_is_pooled_once() -> None:
    one = run(measured(steady(20_000)))
    assert result(one, one).claims[0].good == 20_000
