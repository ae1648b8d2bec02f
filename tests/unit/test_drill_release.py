"""A release's answers: what was unsound voids them, whatever was decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos.drill.context import DrillContext
from pytest_finchaos.drill.host import HostSample
from pytest_finchaos.drill.phases import PhaseLog
from pytest_finchaos.drill.release import Course, Release
from pytest_finchaos.drill.served import Served, tag_of
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.environments.router.log import RouterLog
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import (
    Arrival,
    Attempt,
    Counts,
    GeneratorReport,
    History,
    Operation,
    Outcome,
    Purpose,
)
from pytest_finchaos.model.release import PROMOTED, ROLLED_BACK, UNDECIDED, ReleaseStep
from pytest_finchaos.model.verdict import Claim, Defect, Judged, Reason, Undecided, Verdict
from pytest_finchaos.rollout.decision import Action, Decision
from pytest_finchaos.runtime.clock import Anchor

STEP = ReleaseStep(0.05, 0, 1, 200, 11, True, 50, 50, 1.0, "passed")
COURSE = Course(
    component="gateway",
    version="1.1",
    before="1.0",
    outcome=ROLLED_BACK,
    decision=Decision(Action.ROLL_BACK, ("amount-fidelity",), "at 5 %: 3 of 9 differ"),
    steps=(STEP,),
    operations=frozenset({"pay"}),
    payments=frozenset({"pay"}),
    since=2,
    decided_ns=50,
    taken_ns=60,
    fingerprints=("f0", "f1", "f0"),
    digests={},
    looks=3,
)


class Fixed:
    """A clock that passes by being asked."""

    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        self.now += 100_000_000
        return self.now

    def sleep_s(self, duration_s: float) -> None:
        self.now += int(duration_s * 1e9)


def state(folder: Path, operations: tuple[Operation, ...] = ()) -> DrillState:
    clock = Fixed()
    context = DrillContext("t", "t", "r", "seed", "k", folder, (), "", Anchor(0, 0), clock=clock)
    made = DrillState(context, PhaseLog(clock), started_ns=0, host_before=HostSample(0, 0, 0))
    made.history = History("p", 1.0, "seed", 0, 1, operations, GeneratorReport(True), Counts())
    made.closed = True
    return made


def released(folder: Path, course: Course = COURSE, made: DrillState | None = None) -> Release:
    made = made or state(folder)
    release = Release(made, course, Served(RouterLog(folder / "log", Anchor(0, 0)), tag_of("seed")))
    release.complete()
    return release


def codes(judged: Judged) -> set[str]:
    return {reason.code for reason in judged.reasons}


def test_a_sound_rollback_is_told_with_its_reason(tmp_path: Path) -> None:
    release = released(tmp_path)

    assert release.rolled_back(because="amount-fidelity")
    assert not release.rolled_back(because="exactly-once")
    assert not release.promoted
    assert "3 of 9 differ" in release.reason
    assert len(repr(release)) <= 200


def test_a_rollback_of_which_nobody_saw_a_request_is_not_quick(tmp_path: Path) -> None:
    assert not released(tmp_path).rolled_back(within_s=10)


def test_a_share_that_was_not_kept_voids_the_release(tmp_path: Path) -> None:
    release = released(tmp_path, replace(COURSE, steps=(replace(STEP, on_canary=120, kept=False),)))

    judged = release.rolled_back()

    assert judged.verdict is Verdict.INVALID
    assert "share-not-kept" in codes(judged)
    with pytest.raises(Undecided):
        bool(judged)


@pytest.mark.parametrize(
    ("fingerprints", "code"), [(("f0", "f0", "f0"), "fingerprint-blind"), (("f0", "f1", "f2"), "fingerprint-differs")]
)
def test_a_fingerprint_that_does_not_follow_voids_the_release(
    tmp_path: Path, fingerprints: tuple[str, str, str], code: str
) -> None:
    judged = released(tmp_path, replace(COURSE, fingerprints=fingerprints)).rolled_back()

    assert judged.verdict is Verdict.INVALID
    assert code in codes(judged)


def test_after_a_promotion_another_fingerprint_is_right(tmp_path: Path) -> None:
    decision = Decision(Action.PROMOTE, (), "0 of 350 canary payments failed: at most 0.85 % fail")
    course = replace(COURSE, outcome=PROMOTED, decision=decision, fingerprints=("f0", "f1", "f2"))

    assert released(tmp_path, course).promoted
    assert not released(tmp_path, course).rolled_back()


def test_an_answered_request_that_the_router_did_not_log_voids_the_release(tmp_path: Path) -> None:
    attempt = Attempt(0, 0, Purpose.OPERATION, Outcome.OK, "http", 201, 1, 1, 2)
    operation = Operation(Arrival(0, 0, "pay", "k-0", {}), 0, (attempt,), Outcome.OK, 0, 1)

    judged = released(tmp_path, made=state(tmp_path, (operation,))).rolled_back()

    assert judged.verdict is Verdict.INVALID
    assert "router-log" in codes(judged)


def test_a_damaged_log_voids_the_release(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("rubbish\n")

    assert "router-log" in codes(released(tmp_path).rolled_back())


def test_an_unsound_load_voids_the_release(tmp_path: Path) -> None:
    made = state(tmp_path)
    made.defects.append(Defect(Reason("load-generator", "records incomplete"), frozenset({Claim.HISTORY})))

    assert released(tmp_path, made=made).rolled_back().verdict is Verdict.INVALID


def test_an_undecided_release_stays_undecided_even_when_unsound(tmp_path: Path) -> None:
    decision = Decision(Action.UNDECIDED, (), "12 of 50 payments")
    course = replace(COURSE, outcome=UNDECIDED, decision=decision, steps=(replace(STEP, kept=False),))

    release = released(tmp_path, course)

    assert release.undecided
    assert release.promoted.verdict is Verdict.INCONCLUSIVE
    assert release.rolled_back().verdict is Verdict.INCONCLUSIVE


def test_answers_are_given_after_the_load_block_only(tmp_path: Path) -> None:
    made = state(tmp_path)
    made.closed = False
    release = Release(made, COURSE, Served(RouterLog(tmp_path / "log", Anchor(0, 0)), "t"))

    asks: tuple[Callable[[], object], ...] = (release.rolled_back, lambda: release.promoted)
    for ask in asks:
        with pytest.raises(UserError, match="ask after the load block"):
            ask()


def test_a_release_of_which_nothing_is_claimed_is_reported_so(tmp_path: Path) -> None:
    result = released(tmp_path).result()

    assert (result.asserted, result.verdict) == (False, Verdict.INCONCLUSIVE)
    assert result.outcome == "rolled back"
