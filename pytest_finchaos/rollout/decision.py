"""What is done next with a release: from what was seen to stay, next step, promote, roll back or undecided. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_finchaos.rollout.judge import ALPHA, FACTORS, MARGIN, Evidence, bound_text

ERROR_RATIO = "error-ratio"
FULL_SHARE_PAYMENTS = 1000  # times the share: 50 at 5 %, 250 at 25 %
LAST_STEP_PAYMENTS = 50  # at full share errors cannot be compared any more; the money still can be looked at
STEP_WITHIN_S = 30.0


class Action(enum.Enum):
    """What is done next."""

    STAY = "stay"
    NEXT = "next step"
    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    UNDECIDED = "undecided"

    @property
    def final(self) -> bool:
        """True when the release is over."""
        return self in (Action.PROMOTE, Action.ROLL_BACK, Action.UNDECIDED)


def payments_for(share: float) -> int:
    """How many canary payments a step at ``share`` needs by default: 50 at 5 %, 250 at 25 %, 50 at full share."""
    return LAST_STEP_PAYMENTS if share >= 1.0 else max(1, math.ceil(round(FULL_SHARE_PAYMENTS * share, 6)))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a release.

    Args:
        share: Share of the requests that the new version gets, 0 to 1.
        payments: Payments on the new version that must be final, and looked at in the ledger, before the step passes.
        within_s: Time for that; a step that has fewer by then is undecided.
    """

    share: float
    payments: int
    within_s: float = STEP_WITHIN_S


def steps(
    shares: Sequence[float], payments: Sequence[int] | None = None, within_s: float = STEP_WITHIN_S
) -> list[Step]:
    """The steps of a release.

    Args:
        shares: Growing, from above 0 to exactly 1.
        payments: For each step the payments it needs; by default `payments_for`.
        within_s: Deadline of each step in seconds.

    Raises:
        ValueError: Shares that do not grow to 1, another number of payments than of steps, a deadline of nothing.
    """
    if not shares or not all(0 < share <= 1 for share in shares) or shares[-1] != 1.0:
        raise ValueError(f"shares {tuple(shares)}: each above 0, the last one 1.0")
    if list(shares) != sorted(set(shares)):
        raise ValueError(f"shares {tuple(shares)}: each must be more than the one before")
    needed = [payments_for(share) for share in shares] if payments is None else list(payments)
    if len(needed) != len(shares) or not all(number > 0 for number in needed):
        raise ValueError(f"payments {tuple(needed)}: one number above 0 for each of {len(shares)} shares")
    if not within_s > 0:
        raise ValueError(f"step_within_s = {within_s}: more than 0")
    return [Step(float(share), number, within_s) for share, number in zip(shares, needed, strict=True)]


@dataclass(frozen=True, slots=True)
class Rules:
    """When a release ends how.

    Args:
        steps: The steps, the last one at full share.
        alpha: Probability of a false rollback that is accepted, over the whole release.
        margin: Ratio of error rates that is accepted.
        factors: Alternatives of the evidence.
    """

    steps: tuple[Step, ...]
    alpha: float = ALPHA
    margin: float = MARGIN
    factors: tuple[float, ...] = FACTORS

    def evidence(self) -> Evidence:
        """The evidence before anything was seen."""
        return Evidence(self.margin, self.factors)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one moment of a step.

    Args:
        step: Position of the step.
        step_for_s: How long the step has lasted, in seconds.
        step_payments: Canary payments of this step that are final and, where there is a ledger, were looked at in it.
        payments: The same over the whole release.
        failed: Canary payments that failed, over the whole release.
        evidence: The evidence on errors.
        money: Invariant to what was found violated on payments of the new version.
        blind: Why the money cannot be looked at although it should be, or "".
        ended: Why no further payments can be expected, or "".
    """

    step: int
    step_for_s: float
    step_payments: int
    payments: int
    failed: int
    evidence: Evidence
    money: Mapping[str, str] = field(default_factory=dict)
    blind: str = ""
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done next, and why.

    Args:
        action: What.
        triggers: For a rollback what caused it: invariants that were violated, else `ERROR_RATIO`.
        text: One sentence with figures.
    """

    action: Action
    triggers: tuple[str, ...] = ()
    text: str = ""


def decide(rules: Rules, seen: Seen) -> Decision:
    """The decision on what was seen; a finding of the money goes before errors, both before everything else."""
    step = rules.steps[seen.step]
    where = f"at {step.share * 100:g} %"
    if seen.money:
        told = "; ".join(f"{name}: {text}" for name, text in seen.money.items())
        return Decision(Action.ROLL_BACK, tuple(seen.money), f"{where}: {told}")
    if seen.evidence.rejects(rules.alpha):
        told = (
            f"{where}: {seen.evidence}, 1/α = {1 / rules.alpha:g}: it fails more than"
            f" {rules.margin:g} times as often as the old version"
        )
        return Decision(Action.ROLL_BACK, (ERROR_RATIO,), told)
    if seen.step_payments >= step.payments and not seen.blind:
        if seen.step + 1 < len(rules.steps):
            return Decision(Action.NEXT, (), f"{where}: passed after {seen.step_payments} payments; {seen.evidence}")
        return Decision(Action.PROMOTE, (), f"{bound_text(seen.failed, seen.payments)}; {seen.evidence}")
    if seen.step_for_s >= step.within_s or seen.ended:
        return Decision(Action.UNDECIDED, (), f"{where}: {_lacking(step, seen)}")
    return Decision(Action.STAY)


def _lacking(step: Step, seen: Seen) -> str:
    after = seen.ended or f"after {seen.step_for_s:.1f} s"
    if seen.blind:
        return f"{after} the money could not be looked at: {seen.blind}"
    lack = step.payments - seen.step_payments
    return f"{after} {seen.step_payments} of {step.payments} payments that the step needs: {lack} more"
