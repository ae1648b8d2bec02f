"""A release under load: the new version beside the old one, its share raised step by step, judged all the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finchaos.drill.money_watch import MoneyWatch, final_before
from pytest_finchaos.drill.release import Course, Release
from pytest_finchaos.drill.served import Count, Following, Served, tag_of
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.environments.router.configuration import Weights
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.request import carries_key
from pytest_finchaos.load.session import LoadSession
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.release import PROMOTED, ROLLED_BACK, UNDECIDED, ReleaseStep
from pytest_finchaos.model.timeline import Phase
from pytest_finchaos.rollout import decision as decisions
from pytest_finchaos.rollout.decision import Action, Decision, Rules, Seen, Step
from pytest_finchaos.rollout.judge import share_kept
from pytest_finchaos.runtime.clock import NS_PER_S

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment

TICK_S = 0.2
REPORT_EVERY_S = 5.0
SETTLE_S = 0.5
OUTCOMES = {Action.PROMOTE: PROMOTED, Action.ROLL_BACK: ROLLED_BACK, Action.UNDECIDED: UNDECIDED}


def rules(
    call: str,
    shares: Sequence[float],
    payments: Sequence[int] | None,
    *,
    step_within_s: float,
    alpha: float,
    margin: float,
    settle_s: float,
) -> Rules:
    """What the test asks for.

    Raises:
        UserError: Shares that do not grow to 1, and other figures that make no sense.
    """
    try:
        steps = decisions.steps(shares, payments, step_within_s)
    except ValueError as error:
        raise UserError(call, str(error), cure="e.g. shares=(0.05, 0.25, 1.0)") from None
    if not (0 < alpha < 1 and margin > 0 and settle_s >= 0):
        what = f"alpha = {alpha}, margin = {margin}, settle_s = {settle_s}"
        raise UserError(call, what, allowed=("0 < alpha < 1", "margin > 0", "settle_s ≥ 0"))
    return Rules(tuple(steps), alpha=alpha, margin=margin)


class Canary:
    """One release while it runs.

    Args:
        state: The drill; its load must run.
        component: What is released.
        version: The new version.
        rules: When it ends how.
        settle_s: A payment is looked up in the ledger this long after its last answer, in seconds.
        call: For messages.
    """

    def __init__(
        self, state: DrillState, component: str, *, version: str, rules: Rules, settle_s: float, call: str
    ) -> None:
        self._state, self._component, self._version, self._rules = state, component, version, rules
        self._settle_ns = int(settle_s * NS_PER_S)
        self._session = _running(state, call)
        self._environment = state.bound_environment(call)
        self._rollout = self._environment.rollout(component)
        self._before = self._rollout.serving
        self._operations, self._payments = _operations(self._environment, component, call)
        self._served = Served(self._rollout.log(), tag_of(state.context.seed))
        self._watch = MoneyWatch(
            self._environment,
            clock=state.context.clock,
            settle_s=settle_s,
            setup_values=self._session.setup_values,
        )
        self._following = Following(
            version,
            operations=self._operations,
            payments=self._payments,
            evidence=rules.evidence(),
            since=self._rollout.number + 1,
        )
        self._since = self._rollout.number + 1
        self._steps: list[ReleaseStep] = []
        self._labels: list[str] = []

    def run(self) -> Release:
        """Release, and be left with one version.

        Raises:
            UserError: The version cannot be started, the router does not answer, a version cannot be ended.
        """
        state = self._state
        phase = state.phases.current
        state.phases.begin(Phase.RELEASE)
        fingerprint = self._environment.fingerprint_now()
        state.context.progress(f"release: {self._component} {self._version} beside {self._before}")
        try:
            digest = self._rollout.start(self._version)
            during = self._environment.fingerprint_now()
            state.record("release-started", self._component, f"{self._version} is ready, fingerprint {during[:12]}")
            decision = self._go()
            decided_ns = state.context.clock.now_ns()
            state.record("release-decided", self._component, f"{decision.action.value}: {decision.text}"[:300])
            taken_ns = self._carry_out(decision)
        except BaseException:
            self._abandon()
            raise
        finally:
            self._watch.close()
            if phase is Phase.HOLD:
                state.phases.begin(Phase.HOLD)
        after = self._environment.fingerprint_now()
        outcome = OUTCOMES[decision.action]
        if outcome == PROMOTED:
            state.fingerprint_due = self._environment.accept_fingerprint()
        state.record("release-ended", self._component, f"{outcome}, fingerprint {after[:12]}")
        state.context.progress(f"release: {self._component} {self._version} {outcome}: {decision.text}"[:200])
        course = Course(
            component=self._component,
            version=self._version,
            before=self._before,
            outcome=outcome,
            decision=decision,
            steps=self._told(),
            operations=frozenset(self._operations),
            payments=frozenset(self._payments),
            since=self._since,
            decided_ns=decided_ns,
            taken_ns=taken_ns,
            fingerprints=(fingerprint, during, after),
            digests={self._before: self._rollout.digest(self._before), self._version: digest},
            looks=self._watch.looks,
            not_checked={"money during the release": self._watch.why_not} if self._watch.why_not else {},
        )
        release = Release(state, course, self._served)
        state.releases.append(release)
        return release

    def _go(self) -> Decision:
        """All steps, until one ends the release."""
        clock = self._state.context.clock
        for position, step in enumerate(self._rules.steps):
            weights = self._rollout.share(self._version, step.share)
            started_ns = clock.now_ns()
            self._state.context.progress(f"release: {self._component} {self._version} at {step.share * 100:g} %")
            decision = Decision(Action.STAY)
            told_ns = started_ns
            while decision.action is Action.STAY:
                clock.sleep_s(TICK_S)
                seen = self._see(position, weights, started_ns)
                decision = decisions.decide(self._rules, seen)
                if clock.now_ns() - told_ns > REPORT_EVERY_S * NS_PER_S:
                    told_ns = clock.now_ns()
                    text = f"{seen.step_payments} of {step.payments} payments; {seen.evidence}"
                    self._state.context.progress(f"release: {text}")
            self._labels.append(weights.label)
            self._steps.append(_row(step, started_ns, clock.now_ns(), seen, decision))
            if decision.action.final:
                return decision
        raise AssertionError("the last step is always final")

    def _see(self, position: int, weights: Weights, started_ns: int) -> Seen:
        """Read what was appended since the last look."""
        clock, following, watch = self._state.context.clock, self._following, self._watch
        self._served.read()
        history = self._session.history()
        now_ns = clock.now_ns()
        following.follow(history.operations, self._served, now_ns)
        watch.tick(history, following.on_canary)
        return Seen(
            step=position,
            step_for_s=(now_ns - started_ns) / NS_PER_S,
            step_payments=self._final_of(weights, history, now_ns),
            payments=len(following.on_canary),
            failed=following.failed,
            evidence=following.evidence,
            money=dict(watch.found),
            blind=watch.blind,
            ended="" if self._session.alive else "the load has ended",
        )

    def _final_of(self, weights: Weights, history: History, now_ns: int) -> int:
        """Payments of one step that count: final, and looked at where there is a ledger."""
        of_step = {index for index, label in self._following.on_canary.items() if label == weights.label}
        if self._watch.why_not:
            return len(final_before(now_ns - self._settle_ns, history.operations, of_step))
        return len(of_step & self._watch.looked)

    def _carry_out(self, decision: Decision) -> int:
        """Leave one version; returns the instant at which the router had taken the last weights."""
        if decision.action is Action.PROMOTE:
            taken_ns = self._steps[-1].started_ns
            self._rollout.drained(self._before)
            self._rollout.promote()
            return taken_ns
        self._rollout.share(self._version, 0.0)
        taken_ns = self._state.context.clock.now_ns()
        if not self._rollout.drained(self._version):
            self._state.record("release-cut-off", self._component, f"{self._version} was stopped while it still worked")
        self._rollout.stop()
        return taken_ns

    def _abandon(self) -> None:
        """Back to the old version after an error, which is the one to tell."""
        try:
            self._rollout.share(self._version, 0.0)
            self._rollout.stop()
        except (UserError, OSError) as error:
            self._state.problems.append(f"release: the old version could not be restored: {error}")

    def _told(self) -> tuple[ReleaseStep, ...]:
        """The steps with what was routed in each; requests that ended after a step's decision are in it, too."""
        found = []
        for label, row in zip(self._labels, self._steps, strict=True):
            count = self._following.steps.get(label, Count())
            kept = share_kept(count.on_canary, count.requests, row.share)
            found.append(replace(row, requests=count.requests, on_canary=count.on_canary, kept=kept))
        return tuple(found)


def _row(step: Step, started_ns: int, ended_ns: int, seen: Seen, decision: Decision) -> ReleaseStep:
    return ReleaseStep(
        share=step.share,
        started_ns=started_ns,
        ended_ns=ended_ns,
        requests=0,
        on_canary=0,
        kept=True,
        payments=seen.step_payments,
        needed=step.payments,
        evidence=seen.evidence.value,
        text=decision.text,
    )


def _running(state: DrillState, call: str) -> LoadSession:
    if state.session is None or state.closed or state.history is not None:
        raise UserError(call, "no load runs", cure="call it inside the load block: with drill.load(…):")
    if not isinstance(state.session.plan, LoadPlan):
        what = "a locustfile's requests do not name their arrival, so nobody can tell which version served which"
        raise UserError(call, what, cure='release under a load profile: drill.load("PROFILE", rate_per_s=…)')
    return state.session


def _operations(environment: Environment, component: str, call: str) -> tuple[set[str], set[str]]:
    """Operations of the load that go to the component, and those of them that are payments."""
    spec = environment.spec
    mapped = {
        name: operation
        for name, operation in spec.operations.items()
        if operation.component == component and not operation.setup
    }
    if not mapped:
        what = f"no operation of the load goes to {component}: nobody can tell which version served what"
        targets = sorted({operation.component for operation in spec.operations.values()})
        raise UserError(call, what, allowed=targets, got=component)
    money = spec.ledger.operation if spec.ledger is not None else ""
    if money in mapped:
        return set(mapped), {money}
    return set(mapped), {name for name, operation in mapped.items() if carries_key(operation)} or set(mapped)
