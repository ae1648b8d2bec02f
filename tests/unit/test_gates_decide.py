"""The decision of a gate: each state red and green, shards merged, retries that undo nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pytest_finchaos.gates.decide import decide, not_concerned
from pytest_finchaos.gates.policy import ClaimSpec, GateSpec
from pytest_finchaos.gates.result import GateResult, State, Status
from pytest_finchaos.model.money import EVERY_INVARIANT, MoneyReport
from pytest_finchaos.model.result import NotChecked, RunResult
from pytest_finchaos.model.verdict import Verdict
from tests.samples.many import (
    COMMIT,
    KILLED,
    NOW,
    OTHER_COMMIT,
    OTHER_FINGERPRINT,
    SLOW,
    before,
    drill,
    run,
)
from tests.samples.parts import FINGERPRINT

SPEC = GateSpec("canary", (SLOW, KILLED), max_age_h=24)
ONE = GateSpec("canary", (SLOW,), max_age_h=24)


def result(spec: GateSpec, *runs: RunResult) -> GateResult:
    return decide(spec, runs, NOW)


def states(found: GateResult) -> dict[str, State]:
    return {row.id: row.state for row in found.rows}


def test_fresh_passes_let_a_change_through() -> None:
    found = result(SPEC, run(drill(SLOW), drill(KILLED)))
    assert (found.status, found.exit_code) == (Status.PASS, 0)
    assert states(found) == {SLOW: State.PASS, KILLED: State.PASS}


def test_shards_are_merged() -> None:
    found = result(SPEC, run(drill(SLOW), name="shard-1"), run(drill(KILLED), name="shard-2"))
    assert found.exit_code == 0
    assert found.runs == ("shard-1", "shard-2")


def test_a_shard_that_is_absent_blocks() -> None:
    found = result(SPEC, run(drill(SLOW), name="shard-1"))
    assert (found.status, found.exit_code) == (Status.BLOCKED, 1)
    assert states(found)[KILLED] is State.MISSING


def test_a_failure_fails_the_gate() -> None:
    found = result(SPEC, run(drill(SLOW), drill(KILLED, Verdict.FAIL, why="money was lost")))
    assert (found.status, found.exit_code) == (Status.FAIL, 1)
    assert found.rows[0].text == "money was lost"


def test_undecided_as_the_only_ground_has_its_own_exit_code() -> None:
    found = result(SPEC, run(drill(SLOW), drill(KILLED, Verdict.INCONCLUSIVE)))
    assert (found.status, found.exit_code) == (Status.UNDECIDED, 3)


def test_undecided_beside_something_missing_is_blocked() -> None:
    assert result(SPEC, run(drill(SLOW, Verdict.INCONCLUSIVE))).exit_code == 1


def test_undecided_can_be_a_warning_and_is_still_listed() -> None:
    found = result(replace(SPEC, on_undecided="warn"), run(drill(SLOW), drill(KILLED, Verdict.INCONCLUSIVE)))
    assert found.exit_code == 0
    assert states(found)[KILLED] is State.UNDECIDED
    assert any("no pass" in note for note in found.notes)


def test_an_unsound_run_blocks_also_where_undecided_is_a_warning() -> None:
    found = result(replace(ONE, on_undecided="warn"), run(drill(SLOW, Verdict.INVALID)))
    assert (found.exit_code, states(found)[SLOW]) == (1, State.INVALID)


def test_what_an_undecided_drill_still_needs_is_told() -> None:
    base = drill(SLOW, Verdict.INCONCLUSIVE)
    row = replace(base.objectives[1], question="demonstrates", asserted=True, needed=29_476)
    found = result(ONE, run(replace(base, objectives=(row,))))
    assert "payment-success: 29,476 more good requests would decide" in found.rows[0].text


def test_a_result_at_the_age_limit_counts_and_an_older_one_is_stale() -> None:
    assert result(ONE, run(drill(SLOW, hours=24))).exit_code == 0
    found = result(ONE, run(drill(SLOW, hours=24.01)))
    assert (found.exit_code, states(found)[SLOW]) == (1, State.STALE)


def test_without_an_age_limit_nothing_is_stale() -> None:
    assert result(GateSpec("canary", (SLOW,)), run(drill(SLOW, hours=9000))).exit_code == 0


def test_the_age_of_a_result_without_a_date_or_from_the_future_cannot_be_trusted() -> None:
    undated = run(replace(drill(SLOW), started_at="yesterday"))
    assert states(result(ONE, undated))[SLOW] is State.STALE
    assert states(result(ONE, run(drill(SLOW, hours=-3))))[SLOW] is State.STALE
    assert states(result(ONE, run(drill(SLOW, hours=-0.05))))[SLOW] is State.PASS


def test_a_failure_does_not_become_stale() -> None:
    assert states(result(ONE, run(drill(SLOW, Verdict.FAIL, hours=500))))[SLOW] is State.FAIL


def test_no_report_at_all_blocks() -> None:
    found = result(ONE)
    assert (found.exit_code, states(found)) == (1, {SLOW: State.EMPTY})


def test_a_run_without_drills_blocks() -> None:
    found = result(ONE, run(hours=1))
    assert (found.exit_code, states(found)) == (1, {SLOW: State.EMPTY})


def test_a_misspelled_requirement_blocks_and_names_the_nearest_drill() -> None:
    found = result(GateSpec("canary", (SLOW.replace("survive", "survived"),)), run(drill(SLOW)))
    assert found.exit_code == 1
    assert f"did you mean {SLOW!r}" in found.rows[0].text


def test_each_pattern_must_match_a_drill() -> None:
    found = result(GateSpec("canary", ("experiments/*", "tests/*")), run(drill(SLOW)))
    assert states(found) == {SLOW: State.PASS, "tests/*": State.MISSING}
    assert found.exit_code == 1


def test_a_pattern_requires_all_that_it_matches() -> None:
    found = result(GateSpec("canary", ("experiments/*",)), run(drill(SLOW), drill(KILLED, Verdict.INCONCLUSIVE)))
    assert found.exit_code == 3


def test_a_lost_result_blocks_until_a_newer_one_arrives() -> None:
    lost = run(drill(KILLED, hours=2), name="a", lost=(SLOW,))
    found = result(ONE, lost)
    assert (found.exit_code, states(found)[SLOW]) == (1, State.LOST)
    assert result(ONE, lost, run(drill(SLOW, hours=1), name="b")).exit_code == 0


def test_an_older_pass_does_not_hide_that_the_newest_result_was_lost() -> None:
    found = result(ONE, run(drill(SLOW, hours=3), name="a"), run(drill(KILLED, hours=2), name="b", lost=(SLOW,)))
    assert states(found)[SLOW] is State.LOST


class Deselecting:
    """A run of a version that records what was deselected."""

    def __init__(self, base: RunResult, *deselected: str) -> None:
        self.run, self.drills, self.lost, self.problems = base.run, base.drills, base.lost, base.problems
        self.deselected = deselected


def test_a_deselected_drill_blocks_unless_another_shard_ran_it() -> None:
    shard = Deselecting(run(drill(KILLED), name="shard-1"), SLOW)
    found = decide(ONE, [shard], NOW)  # type: ignore[list-item]
    assert (found.exit_code, states(found)[SLOW]) == (1, State.DESELECTED)
    other = run(drill(SLOW, hours=2), name="shard-2")
    assert decide(ONE, [shard, other], NOW).exit_code == 0  # type: ignore[list-item]


def test_the_newest_result_counts() -> None:
    older = run(drill(SLOW, Verdict.FAIL, hours=5), name="a", commit=OTHER_COMMIT)
    newer = run(drill(SLOW, hours=1), name="b")
    assert result(ONE, older, newer).exit_code == 0
    broken = run(drill(SLOW, Verdict.FAIL, hours=0.5), name="c", commit=OTHER_COMMIT)
    assert result(ONE, older, newer, broken).exit_code == 1


@pytest.mark.parametrize(
    "retry",
    [
        run(drill(SLOW, hours=1), name="same"),
        run(drill(SLOW, hours=1), name="retry"),
        run(drill(SLOW, hours=1, fingerprint=OTHER_FINGERPRINT), name="other leg of the matrix"),
    ],
    ids=lambda one: one.run.id,
)
def test_a_retry_of_the_same_commit_does_not_undo_a_failure(retry: RunResult) -> None:
    failed = run(drill(SLOW, Verdict.FAIL, hours=2), name="same")
    found = result(ONE, failed, retry)
    assert states(found)[SLOW] is State.FAIL
    assert "does not undo a failure" in found.rows[0].text
    assert found.rows[0].attempts == 2


def test_with_uncommitted_changes_the_build_tells_whether_anything_changed() -> None:
    failed = run(drill(SLOW, Verdict.FAIL, hours=2), name="a", tree="modified")
    same_build = run(drill(SLOW, hours=1), name="b", tree="modified")
    mended = run(drill(SLOW, hours=1, fingerprint=OTHER_FINGERPRINT), name="b", tree="modified")
    assert result(ONE, failed, same_build).exit_code == 1
    assert result(ONE, failed, mended).exit_code == 0


def test_outside_a_repository_the_build_tells_whether_anything_changed() -> None:
    failed = run(drill(SLOW, Verdict.FAIL, hours=2), name="a", commit="")
    assert result(ONE, failed, run(drill(SLOW, hours=1), name="b", commit="")).exit_code == 1
    mended = run(drill(SLOW, hours=1, fingerprint=OTHER_FINGERPRINT), name="b", commit="")
    assert result(ONE, failed, mended).exit_code == 0


def attached(verdict: Verdict, hours: float, fingerprint: str, ended: float) -> RunResult:
    """A run against a system that is deployed elsewhere; it ended ``ended`` hours before now."""
    base = drill(SLOW, verdict, hours=hours, fingerprint=fingerprint)
    assert base.environment is not None
    elsewhere = replace(base, environment=replace(base.environment, backend="attach"))
    found = run(elsewhere, name=f"{verdict.value}-{hours}")
    return replace(found, run=replace(found.run, ended_at=before(ended)))


def test_a_system_that_was_deployed_anew_is_another_change_though_its_drills_are_not() -> None:
    failed = attached(Verdict.FAIL, 5, FINGERPRINT, ended=4.5)
    assert result(ONE, failed, attached(Verdict.PASS, 2, OTHER_FINGERPRINT, ended=1.5)).exit_code == 0
    assert result(ONE, failed, attached(Verdict.PASS, 2, FINGERPRINT, ended=1.5)).exit_code == 1


def test_two_legs_at_the_same_time_are_one_change_also_on_systems_deployed_elsewhere() -> None:
    failed = attached(Verdict.FAIL, 5, FINGERPRINT, ended=4)
    assert result(ONE, failed, attached(Verdict.PASS, 4.5, OTHER_FINGERPRINT, ended=3)).exit_code == 1


def test_a_new_attempt_decides_what_was_unsound_or_undecided() -> None:
    for verdict in (Verdict.INVALID, Verdict.INCONCLUSIVE):
        first = run(drill(SLOW, verdict, hours=2), name="a")
        assert result(ONE, first, run(drill(SLOW, hours=1), name="b")).exit_code == 0


def test_the_same_report_twice_counts_once() -> None:
    one = run(drill(SLOW))
    found = result(ONE, one, one)
    assert (len(found.runs), found.rows[0].attempts) == (1, 1)


def test_one_run_with_two_contents_counts_twice_and_the_stronger_verdict_wins() -> None:
    good, bad = run(drill(SLOW), name="a"), run(drill(SLOW, Verdict.FAIL), name="a")
    found = result(ONE, good, bad)
    assert found.exit_code == 1
    assert any("different contents" in note for note in found.notes)


def test_what_was_not_checked_blocks_a_gate_that_requires_it() -> None:
    spec = replace(ONE, require_checked=("exactly-once",))
    assert result(spec, run(drill(SLOW))).exit_code == 0
    unchecked = replace(drill(SLOW), money=MoneyReport(not_checked={"exactly-once": "no ledger is declared"}))
    found = result(spec, run(unchecked))
    assert (found.exit_code, states(found)[SLOW]) == (1, State.UNCHECKED)
    assert "exactly-once (no ledger is declared)" in found.rows[0].text


def test_a_system_without_a_ledger_says_why_its_money_was_not_checked() -> None:
    spec = replace(ONE, require_checked=("exactly-once",))
    unchecked = replace(
        drill(SLOW), money=MoneyReport(not_checked={EVERY_INVARIANT: "the environment has no [ledger]"})
    )
    text = result(spec, run(unchecked)).rows[0].text
    assert text == "passed, but did not check exactly-once (the environment has no [ledger])"


def test_an_automatic_check_and_an_asserted_objective_can_be_required() -> None:
    spec = replace(ONE, require_checked=("build-served", "payment-success"))
    assert result(spec, run(drill(SLOW))).exit_code == 0
    listed_only = replace(drill(SLOW), objectives=drill(SLOW).objectives[1:], not_checked=(NotChecked("x", "y"),))
    assert states(result(spec, run(listed_only)))[SLOW] is State.UNCHECKED


def test_with_one_build_required_a_drill_on_another_one_blocks() -> None:
    spec = replace(SPEC, same_fingerprint=True)
    assert result(spec, run(drill(SLOW), drill(KILLED))).exit_code == 0
    mixed = run(drill(SLOW), drill(KILLED, hours=3, fingerprint=OTHER_FINGERPRINT))
    found = result(spec, mixed)
    assert (found.exit_code, states(found)) == (1, {SLOW: State.PASS, KILLED: State.MIXED})
    assert result(SPEC, mixed).exit_code == 0


def test_with_one_build_required_a_drill_without_an_environment_blocks() -> None:
    spec = replace(ONE, same_fingerprint=True)
    assert states(result(spec, run(replace(drill(SLOW), environment=None))))[SLOW] is State.MIXED


def test_environments_of_other_names_may_have_other_builds() -> None:
    other = drill(KILLED, fingerprint=OTHER_FINGERPRINT)
    assert other.environment is not None
    elsewhere = replace(other, environment=replace(other.environment, name="settlement"))
    assert result(replace(SPEC, same_fingerprint=True), run(drill(SLOW), elsewhere)).exit_code == 0


def test_a_problem_of_a_run_is_told() -> None:
    found = result(ONE, replace(run(drill(SLOW)), problems=("a worker died",)))
    assert any("a worker died" in note for note in found.notes)


def test_a_change_that_the_gate_does_not_concern_passes_with_a_word() -> None:
    found = not_concerned(replace(ONE, change_class="payment-path"), "docs", NOW)
    assert (found.status, found.exit_code) == (Status.NOT_CONCERNED, 0)
    assert "nothing was asked" in found.text


def test_a_claim_alone_cannot_replace_a_required_drill() -> None:
    spec = replace(ONE, claims=(ClaimSpec("payment-success", Fraction(1, 2)),))
    found = result(spec, run(drill(KILLED)))
    assert found.claims[0].state is State.PASS
    assert found.exit_code == 1


def test_the_age_and_run_of_a_result_are_told() -> None:
    row = result(ONE, run(drill(SLOW, hours=6), name="night")).rows[0]
    assert (row.run, row.age_h, row.started_at, COMMIT[:4]) == ("night", 6.0, before(6), "40c8")
