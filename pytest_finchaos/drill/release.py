"""What a release of a new version under load did; made by `Drill.canary`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_finchaos.drill import exposure
from pytest_finchaos.drill.checks import refuse_open
from pytest_finchaos.drill.money_watch import judge_payments
from pytest_finchaos.drill.served import Served
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.ledger.adapters import read_ledger
from pytest_finchaos.ledger.reader import LedgerUnreachable
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.release import (
    PROMOTED,
    ROLLED_BACK,
    UNDECIDED,
    Exposure,
    ReleaseResult,
    ReleaseStep,
    ReleaseTimes,
)
from pytest_finchaos.model.verdict import Claim, Judged, Reason, Verdict, void
from pytest_finchaos.rollout.decision import Decision
from pytest_finchaos.runtime.clock import NS_PER_S
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment

LOGGED_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Course:
    """What happened, as known when the release was over and the load still ran.

    Args:
        component, version, before: What was released, over what.
        outcome: ``promoted``, ``rolled back`` or ``undecided``.
        decision: The last decision.
        steps: In order.
        operations: Operations of the load that go to the component.
        payments: Those of them that are payments.
        since: Number of the release's first weights.
        decided_ns: t1.
        taken_ns: t2.
        fingerprints: Before, during, after.
        digests: Component digest by version.
        looks: How often the ledger was read.
        not_checked: What could not be looked at.
    """

    component: str
    version: str
    before: str
    outcome: str
    decision: Decision
    steps: tuple[ReleaseStep, ...]
    operations: frozenset[str]
    payments: frozenset[str]
    since: int
    decided_ns: int
    taken_ns: int
    fingerprints: tuple[str, str, str]
    digests: Mapping[str, str]
    looks: int
    not_checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def loser(self) -> str:
        """The version that serves no more."""
        return self.before if self.outcome == PROMOTED else self.version


class Release:
    """A release that was judged: promoted, rolled back or undecided. Ask after the load block.

    Args:
        state: The drill.
        course: What happened.
        served: The router's log.
    """

    def __init__(self, state: DrillState, course: Course, served: Served) -> None:
        self._state, self._course, self._served = state, course, served
        self._figures = exposure.Figures()
        self._unsound: list[Reason] = []
        self._own_damage: tuple[str, ...] = ()
        self._judged: Judged | None = None

    def rolled_back(
        self,
        *,
        within_s: float | None = None,
        canary_payments: tuple[int, int] | None = None,
        because: str | None = None,
    ) -> Judged:
        """Whether the old version serves everything again.

        Args:
            within_s: At most so many seconds from the first request on the new version to the last one.
            canary_payments: At least and at most so many payments reached the new version.
            because: What must have caused it: an invariant such as ``amount-fidelity``, or ``error-ratio``.

        Raises:
            UserError: Asked inside the load block.
        """
        refuse_open(self._state, "release.rolled_back(…)")
        course = self._course
        if course.outcome != ROLLED_BACK:
            verdict = Verdict.FAIL if course.outcome == PROMOTED else Verdict.INCONCLUSIVE
            return self._answer(verdict, f"not rolled back but {course.outcome}: {course.decision.text}", "rolled_back")
        wrong = self._departures(within_s, canary_payments, because)
        text = "; ".join(wrong) or f"rolled back because of {', '.join(course.decision.triggers)}: {self._what()}"
        answer = self._answer(Verdict.FAIL if wrong else Verdict.PASS, text, "rolled_back")
        if answer.verdict is Verdict.PASS:
            known = set(self._state.expected)
            self._state.expected.extend(name for name in self._own_damage if name not in known)
        return answer

    def _departures(
        self, within_s: float | None, canary_payments: tuple[int, int] | None, because: str | None
    ) -> list[str]:
        course, wrong = self._course, []
        if because is not None and because not in course.decision.triggers:
            wrong.append(f"because of {', '.join(course.decision.triggers)}, not of {because}")
        took_s = self.took_s
        if within_s is not None and (took_s is None or took_s > within_s):
            took = "nobody knows how long" if took_s is None else f"{took_s:.2f} s"
            wrong.append(f"took {took}, at most {within_s:g} s were allowed")
        reached = self.exposed.payments
        if canary_payments is not None and not canary_payments[0] <= reached <= canary_payments[1]:
            wrong.append(f"{reached} payments reached it, not {canary_payments[0]} to {canary_payments[1]}")
        return [f"rolled back, but {text}" for text in wrong]

    @property
    def promoted(self) -> Judged:
        """Whether the new version serves everything.

        Raises:
            UserError: Asked inside the load block.
        """
        refuse_open(self._state, "release.promoted")
        course = self._course
        verdict = {PROMOTED: Verdict.PASS, ROLLED_BACK: Verdict.FAIL, UNDECIDED: Verdict.INCONCLUSIVE}[course.outcome]
        return self._answer(verdict, f"{course.outcome}: {course.decision.text}", "promoted")

    @property
    def undecided(self) -> bool:
        """True when nobody could decide, for want of payments or of a ledger; then the old version serves."""
        return self._course.outcome == UNDECIDED

    @property
    def triggers(self) -> tuple[str, ...]:
        """What caused the rollback."""
        return self._course.decision.triggers

    @property
    def reason(self) -> str:
        """Why it ended as it did, with figures; for a promotion the bound that was achieved."""
        return self._course.decision.text

    @property
    def exposed(self) -> Exposure:
        """What the new version served: requests, payments, failed ones, amounts; complete after the load block."""
        return self.exposure.get(self._course.version, Exposure())

    @property
    def exposure(self) -> Mapping[str, Exposure]:
        """What each version served while the release was on, by version."""
        return self._figures.by_version

    @property
    def times(self) -> ReleaseTimes:
        """The instants t0 to t5, see `ReleaseTimes`."""
        return self._figures.times

    @property
    def took_s(self) -> float | None:
        """Seconds from the first request on the new version to the last one that began on it, or None."""
        times = self.times
        if times.t0_ns is None or times.t3_ns is None:
            return None
        return max(times.t3_ns - times.t0_ns, 0) / NS_PER_S

    @property
    def steps(self) -> tuple[ReleaseStep, ...]:
        """The steps, with configured and actual share."""
        return self._course.steps

    @property
    def fingerprint_before(self) -> str:
        """Fingerprint of the environment before the release."""
        return self._course.fingerprints[0]

    @property
    def fingerprint_during(self) -> str:
        """Fingerprint while both versions ran."""
        return self._course.fingerprints[1]

    @property
    def fingerprint_after(self) -> str:
        """Fingerprint after it; equal to the one before when the old version serves again."""
        return self._course.fingerprints[2]

    def complete(self) -> None:
        """Take in the rest of the load and of the router's log; called when the drill closes."""
        state, course = self._state, self._course
        history = state.history
        if history is None:
            return
        missing = self._await_log()
        if missing or self._served.damaged:
            text = f"the router's log lacks {missing} answered requests, {self._served.damaged} lines are damaged"
            self._unsound.append(Reason("router-log", text))
        self._unsound.extend(_parity(course))
        self._unsound.extend(_shares(course.steps))
        self._figures = exposure.figures(
            history.operations,
            self._served,
            exposure.Window(
                version=course.version,
                before=course.before,
                loser=course.loser,
                payments=course.payments,
                since=course.since,
                decided_ns=course.decided_ns,
                taken_ns=course.taken_ns,
            ),
            resolved={found.key for found in state.money.resolutions if found.state != "unresolved"},
        )
        if course.outcome == ROLLED_BACK and state.environment is not None:
            self._own_damage = self._damage(state.environment)

    def _await_log(self) -> int:
        """Wait until the router has logged every request that was answered; returns how many it did not."""
        history = self._state.history
        assert history is not None

        def probe() -> bool | Not:
            self._served.read()
            left = exposure.unlogged(history.operations, self._served, self._course.operations)
            return Not(str(left)) if left else True

        try:
            wait_for(
                probe, what="the router's log", within_s=LOGGED_WITHIN_S, every_s=0.05, clock=self._state.context.clock
            )
        except Waited:
            return exposure.unlogged(history.operations, self._served, self._course.operations)
        return 0

    def _damage(self, environment: Environment) -> tuple[str, ...]:
        """Invariants that payments of the new version violate and no other payment does: this release's doing."""
        history, course = self._state.history, self._course
        if history is None or environment.spec.ledger is None:
            return ()
        found = {finding.invariant for finding in self._state.money.findings if finding.verdict is Verdict.FAIL}
        if not found & set(course.decision.triggers):
            return ()
        try:
            extract = read_ledger(environment.spec, environment, self._state.context.clock)
        except (LedgerUnreachable, UserError):
            return ()
        if extract is None:
            return ()
        theirs = {index for index, line in self._served.first.items() if line.version == course.version}
        of_others = [each for each in history.operations if each.sent and each.arrival.index not in theirs]
        of_canary = [each for each in history.operations if each.sent and each.arrival.index in theirs]
        innocent = {
            tally.invariant
            for tally in judge_payments(environment, history, of_others, extract)
            if not tally.violations
        }
        guilty = {
            tally.invariant for tally in judge_payments(environment, history, of_canary, extract) if tally.violations
        }
        return tuple(sorted(found & guilty & innocent))

    def result(self) -> ReleaseResult:
        """For the report."""
        course, figures = self._course, self._figures
        judged = self._judged
        if judged is None:
            judged = Judged(Verdict.INCONCLUSIVE, (Reason("not-asserted", "the test claimed nothing"),))
        return ReleaseResult(
            component=course.component,
            version=course.version,
            before=course.before,
            outcome=course.outcome,
            triggers=course.decision.triggers,
            text=course.decision.text,
            verdict=judged.verdict,
            asserted=self._judged is not None,
            steps=course.steps,
            times=figures.times,
            exposure=figures.by_version,
            in_flight=figures.in_flight,
            in_flight_lost=figures.in_flight_lost,
            fingerprint_before=course.fingerprints[0],
            fingerprint_during=course.fingerprints[1],
            fingerprint_after=course.fingerprints[2],
            digests=course.digests,
            looks=course.looks,
            not_checked=course.not_checked,
            reasons=judged.reasons,
        )

    def _what(self) -> str:
        exposed, took_s = self.exposed, self.took_s
        took = "" if took_s is None else f" within {took_s:.2f} s"
        return f"{exposed.payments} payments reached it{took}; {self._course.decision.text}"

    def _answer(self, verdict: Verdict, text: str, question: str) -> Judged:
        """The answer, void where the run was unsound; noted for the report."""
        rests_on = frozenset({Claim.OUTCOMES, Claim.HISTORY})
        self._state.claims |= rests_on
        judged = Judged(
            verdict,
            (Reason(f"release-{verdict.value.lower()}", text, self._course.component),),
            f"{question}({self._course.component} {self._course.version})",
        )
        if self._unsound and verdict is not Verdict.INCONCLUSIVE:
            judged = replace(judged, verdict=Verdict.INVALID, reasons=(*self._unsound, *judged.reasons))
        self._judged = void(judged, self._state.defects, rests_on)
        return self._judged

    def __repr__(self) -> str:
        course = self._course
        line = f"<Release {course.component} {course.version}: {course.outcome}: {course.decision.text}>"
        return line if len(line) <= 200 else line[:198] + "…>"


def _parity(course: Course) -> list[Reason]:
    """Both versions must have been told apart while they ran, and after a rollback nothing may be left."""
    before, during, after = course.fingerprints
    found = []
    if during == before:
        found.append(Reason("fingerprint-blind", "the fingerprint was the same while the new version ran"))
    if course.outcome != PROMOTED and after != before:
        found.append(
            Reason("fingerprint-differs", f"fingerprint {after[:12]} after the rollback, {before[:12]} before")
        )
    return found


def _shares(steps: tuple[ReleaseStep, ...]) -> list[Reason]:
    return [
        Reason(
            "share-not-kept",
            f"{step.on_canary} of {step.requests} requests reached the new version at {step.share * 100:g} %",
        )
        for step in steps
        if not step.kept
    ]
