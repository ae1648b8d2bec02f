"""The drill: what a test holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finchaos.drill import assemble, closing, host
from pytest_finchaos.drill import canary as canaries
from pytest_finchaos.drill.canary import SETTLE_S
from pytest_finchaos.drill.context import DrillContext
from pytest_finchaos.drill.injection import Injection
from pytest_finchaos.drill.loading import Script
from pytest_finchaos.drill.phases import PhaseLog
from pytest_finchaos.drill.release import Release
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.drill.traffic import Traffic
from pytest_finchaos.ledger.invariants import INVARIANTS
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.rollout.decision import STEP_WITHIN_S
from pytest_finchaos.rollout.judge import ALPHA, MARGIN

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment
    from pytest_finchaos.faults import Fault
    from pytest_finchaos.model.result import DrillResult


class Drill:
    """Everything of one test: seed, phases, timeline, traffic, injections, findings.

    The drill closes when its load block exits: faults proven gone, system quiet, money checked. Asserts after the
    block read results that are complete.

    Args:
        context: Names, seed, folders.
    """

    def __init__(self, context: DrillContext) -> None:
        self._state = DrillState(
            context, PhaseLog(context.clock), started_ns=context.clock.now_ns(), host_before=host.sample()
        )
        self._result: DrillResult | None = None

    @property
    def seed(self) -> str:
        """Seed text of all draws of this drill."""
        return self._state.context.seed

    def load(
        self,
        profile: str = "",
        *,
        rate_per_s: float,
        locustfile: str | Path | None = None,
        users: int | None = None,
        component: str | None = None,
        on: Environment | None = None,
        max_in_flight: int = 512,
    ) -> Traffic:
        """Payment-like load from entering to leaving the block.

        Args:
            profile: Name of a load profile.
            rate_per_s: Mean arrivals a second; arrivals do not wait for answers. With a locustfile: users started a
                second.
            locustfile: Run the users of this file, as they are, in place of a profile. They wait for answers before
                they send again, so claims about latency are void.
            users: Users of the locustfile; by default those that are started in the first second.
            component: Where the locustfile's relative URLs go; by default where the load enters.
            on: The environment, when the test requests several.
            max_in_flight: Cap on requests in flight; arrivals beyond it are late, then dropped, and counted.

        Returns:
            A context manager that is the `Traffic`.

        Raises:
            UserError: Unknown profile, a rate that is not positive, a second load in one drill.
        """
        state = self._state
        if state.session is not None or state.closed:
            raise UserError("drill.load(…)", "this drill has its load already", cure="write one test for each load")
        if not 0 < rate_per_s <= RATE_LIMIT_PER_S:
            raise UserError("drill.load(…)", f"rate_per_s = {rate_per_s}", allowed=(f"0 to {RATE_LIMIT_PER_S:g}",))
        if bool(profile) is (locustfile is not None):
            cure = 'either drill.load("PROFILE", rate_per_s=…) or drill.load(locustfile="FILE", users=…, rate_per_s=…)'
            raise UserError("drill.load(…)", f"profile = {profile!r} and locustfile = {locustfile!r}", cure=cure)
        if locustfile is None and not (users is None and component is None):
            raise UserError(
                "drill.load(…)", "users and component are for a locustfile", cure="a profile has rate_per_s"
            )
        if on is not None:
            if on not in state.environments:
                raise UserError("drill.load(…, on=…)", f"the test does not request environment {on.name}")
            state.environment = on
        state.bound_environment("drill.load(…)")
        state.profile, state.rate_per_s = profile, float(rate_per_s)
        script = None if locustfile is None else Script(str(locustfile), users, component)
        return Traffic(state, max_in_flight=max_in_flight, script=script)

    def inject(self, fault: Fault) -> Injection:
        """Arm a fault for the length of a block; leaving it removes the fault and proves it gone.

        Args:
            fault: One of `pytest_finchaos.faults`.

        Returns:
            A context manager that is the `Injection`.
        """
        return Injection(self._state, fault)

    def canary(
        self,
        component: str,
        *,
        version: str,
        shares: Sequence[float] = (0.05, 0.25, 1.0),
        payments: Sequence[int] | None = None,
        step_within_s: float = STEP_WITHIN_S,
        alpha: float = ALPHA,
        margin: float = MARGIN,
        settle_s: float = SETTLE_S,
    ) -> Release:
        """Release ``version`` of ``component`` in steps of traffic, inside the load block.

        It is started beside the version that serves, gets its share of the requests by idempotency key, and is judged
        all the time: by its errors against those of the old version, and by the ledger. What fails is rolled back at
        once; what has too few payments is undecided and rolled back, too.

        Args:
            component: A component with two or more ``versions``.
            version: The new one.
            shares: Of the requests, growing, the last one 1.0.
            payments: For each step the final payments that the new version needs; by default 1000 times the share (50
                at 5 %, 250 at 25 %) and 50 at the last step.
            step_within_s: Deadline of each step in seconds.
            alpha: Probability of a false rollback because of errors, over the whole release.
            margin: Errors more than so many times as frequent as the old version's are too many.
            settle_s: A payment is looked up in the ledger this long after its last answer, in seconds.

        Returns:
            The release; ask it after the load block.

        Raises:
            UserError: Rollout is not available, with the reason; no load runs; unknown component or version; the new
                version does not become ready.
        """
        call = f"drill.canary({component!r}, version={version!r}, …)"
        asked = canaries.rules(
            call, shares, payments, step_within_s=step_within_s, alpha=alpha, margin=margin, settle_s=settle_s
        )
        canary = canaries.Canary(self._state, component, version=version, rules=asked, settle_s=settle_s, call=call)
        return canary.run()

    def expect_violation(self, name: str) -> None:
        """Declare beforehand that this drill looks for a violation of the invariant ``name``.

        The drill then fails when the violation is not found.

        Raises:
            UserError: Unknown invariant, or said after the money was checked.
        """
        if name not in INVARIANTS:
            raise UserError("drill.expect_violation(…)", f"no invariant {name!r}", allowed=INVARIANTS, got=name)
        if self._state.closed:
            raise UserError("drill.expect_violation(…)", "the money was checked already", cure="declare it first")
        self._state.expected.append(name)

    @property
    def money(self) -> MoneyReport:
        """Findings of the invariants; complete after the load block.

        Raises:
            UserError: Asked inside the load block.
        """
        if not self._state.closed:
            raise UserError("drill.money", "the money is checked when the load block ends", cure="ask after the block")
        return self._state.money

    def bind(self, environments: Sequence[Environment]) -> None:
        """Tell the drill which environments its test requests."""
        self._state.environments = list(environments)
        if len(environments) == 1:
            self._state.environment = environments[0]
            self._state.fingerprint_before = environments[0].fingerprint

    def close(self) -> None:
        """End load, prove faults gone, wait until quiet, check the money; idempotent."""
        closing.close(self._state)

    def abandon(self) -> None:
        """Take down what is still running without checking anything; for an interrupted test."""
        closing.abandon(self._state)

    def finish(self, test_outcome: str, text: str = "") -> DrillResult:
        """The result, judged: outcome of the test merged with the automatic checks.

        Args:
            test_outcome: ``passed``, ``failed``, ``undecided`` or ``error``.
            text: What the test raised.
        """
        if self._result is None:
            self.close()
            self._result = assemble.result(self._state, test_outcome, text)
        return self._result

    def __repr__(self) -> str:
        return f"<Drill {self._state.context.node_id}>"


RATE_LIMIT_PER_S = 5000.0
