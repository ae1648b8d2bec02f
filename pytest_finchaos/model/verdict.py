"""The four verdicts, how they merge, and why "unknown" can never be read as green."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field


class Verdict(enum.Enum):
    """PASS and FAIL are decisions; INCONCLUSIVE and INVALID are not, for different reasons.

    FAIL: the system broke its promise. INCONCLUSIVE: the run was sound, the data cannot decide.
    INVALID: the run itself was unsound. PASS: decided, for the system.
    """

    FAIL = "FAIL"
    INVALID = "INVALID"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"  # noqa: S105 - a verdict, not a password

    @property
    def decided(self) -> bool:
        """True for PASS and FAIL."""
        return self in (Verdict.PASS, Verdict.FAIL)

    def __bool__(self) -> bool:
        __tracebackhide__ = True
        if self is Verdict.PASS:
            return True
        if self is Verdict.FAIL:
            return False
        raise Undecided(f"{self.value} is neither true nor false")


_ORDER = {Verdict.FAIL: 0, Verdict.INVALID: 1, Verdict.INCONCLUSIVE: 2, Verdict.PASS: 3}


class Undecided(Exception):
    """Raised when a verdict that is neither PASS nor FAIL is used as a truth value."""


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The strongest verdict in the order FAIL > INVALID > INCONCLUSIVE > PASS.

    Merging nothing is INCONCLUSIVE: no evidence is no pass.
    """
    return min(verdicts, key=_ORDER.__getitem__, default=Verdict.INCONCLUSIVE)


class Claim(enum.Enum):
    """What a statement rests on; a soundness defect voids some of these and spares the others."""

    LATENCY = "latency"  # claims about how long requests took
    OUTCOMES = "outcomes"  # claims about how requests ended (errors, spend, error recovery)
    FAULT = "fault"  # claims about one fault; see Reason.subject
    HISTORY = "history"  # checks that quantify over all operations of the drill
    MONEY = "money"  # checks that need the ledger
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is.

    Args:
        code: Stable short name, kebab case, e.g. ``fault-did-not-act``; documented in the reference.
        text: One sentence for people, with figures and units.
        subject: What it is about, e.g. an injection id or an SLO name; empty when the whole drill.
    """

    code: str
    text: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Defect:
    """A soundness defect of the run and the claims that it voids.

    Args:
        reason: What was unsound.
        voids: The kinds of claim that can no longer be believed.
    """

    reason: Reason
    voids: frozenset[Claim]

    def hits(self, claims: frozenset[Claim], subject: str = "") -> bool:
        """True when a statement that rests on ``claims`` about ``subject`` is voided."""
        if Claim.ALL in self.voids:
            return True
        common = self.voids & claims
        if common == {Claim.FAULT}:  # a statement that names no fault rests on all of them
            return not self.reason.subject or not subject or self.reason.subject == subject
        return bool(common)


@dataclass(frozen=True, slots=True)
class Judged:
    """Anything with a verdict: truthy for PASS, falsy for FAIL, raises `Undecided` otherwise.

    Args:
        verdict: The verdict.
        reasons: Why, strongest first.
        subject: What was judged, e.g. ``spent(payment-success)``.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...] = field(default=())
    subject: str = ""

    def __bool__(self) -> bool:
        __tracebackhide__ = True  # the line of the test that asked is the one to show
        if self.verdict.decided:
            return bool(self.verdict)
        raise Undecided(repr(self))

    def __repr__(self) -> str:
        why = "; ".join(reason.text for reason in self.reasons) or "no reason recorded"
        line = " ".join(f"<{self.subject or type(self).__name__}: {self.verdict.value}: {why}>".split())
        return line if len(line) <= REPR_LIMIT else line[: REPR_LIMIT - 2] + "…>"


REPR_LIMIT = 200


def void(judged: Judged, defects: Iterable[Defect], claims: frozenset[Claim], about: str = "") -> Judged:
    """``judged``, or INVALID with the defects' reasons when one of them voids its claims."""
    hits = tuple(defect.reason for defect in defects if defect.hits(claims, about))
    if not hits:
        return judged
    return Judged(Verdict.INVALID, hits + judged.reasons, judged.subject)
