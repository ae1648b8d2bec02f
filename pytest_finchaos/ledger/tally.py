"""What one invariant counted, and how that becomes a finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_finchaos.model.currency import spell_all
from pytest_finchaos.model.money import Finding, Witness
from pytest_finchaos.model.verdict import Verdict

MAX_WITNESSES = 5
_NOTHING = "nothing to check: "


@dataclass(frozen=True, slots=True)
class Violation:
    """One case against an invariant.

    Args:
        key: What it is about: an idempotency key, else an account, a payment, a file.
        what: One sentence fragment that says what is wrong.
        amount_minor: Money in it, not negative.
        currency: Of the amount.
        rows: The ledger's rows, as sentences.
        operation: Idempotency key of the operation behind it, when ``key`` is none.
    """

    key: str
    what: str
    amount_minor: int = 0
    currency: str = ""
    rows: tuple[str, ...] = ()
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one invariant counted.

    Args:
        invariant: Its name.
        claim: What holds when nothing was violated, e.g. ``every acknowledged payment is in the ledger``.
        breach: What violations are, e.g. ``acknowledged payments are not in the ledger``.
        checked: Number of things looked at.
        violations: The cases.
        undecided: Why no violation is no pass, or "".
    """

    invariant: str
    claim: str
    breach: str
    checked: int
    violations: tuple[Violation, ...] = ()
    undecided: str = ""

    @property
    def verdict(self) -> Verdict:
        """FAIL with a violation; else INCONCLUSIVE without evidence; else PASS."""
        if self.violations:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.undecided or not self.checked else Verdict.PASS

    @property
    def vacuous(self) -> bool:
        """True when there was nothing to look at: not for a check that failed, nor for books that did not rest."""
        if self.violations:
            return False
        return self.undecided.startswith(_NOTHING) if self.undecided else not self.checked

    def but_undecided(self, why: str) -> Tally:
        """The same, where the absence of violations proves nothing."""
        return replace(self, undecided=self.undecided or why)

    def withheld(self, why: str) -> Tally:
        """The same without its violations, where what looks like one may be none."""
        return replace(self, violations=(), undecided=why)


def nothing_to_check(why: str) -> str:
    """The sentence of a check that had nothing to look at."""
    return f"{_NOTHING}{why}"


def joined(first: Tally, later: Tally) -> Tally:
    """One invariant looked at twice, e.g. before and after a replay: every case once, decided when one is."""
    known = {violation.key for violation in first.violations}
    fresh = tuple(violation for violation in later.violations if violation.key not in known)
    decided = any(tally.checked and not tally.undecided for tally in (first, later))
    return replace(
        first if first.claim else later,
        checked=max(first.checked, later.checked),
        violations=first.violations + fresh,
        undecided="" if decided else first.undecided or later.undecided,
    )


def finding(tally: Tally, witness: Callable[[Violation], Witness]) -> Finding:
    """The finding of a tally, with its first witnesses.

    Args:
        tally: What was counted.
        witness: Tells the story of one violation.
    """
    at_stake: dict[str, int] = defaultdict(int)
    for violation in tally.violations:
        if violation.amount_minor:
            at_stake[violation.currency] += abs(violation.amount_minor)
    return Finding(
        invariant=tally.invariant,
        verdict=tally.verdict,
        text=_sentence(tally, at_stake),
        checked=tally.checked,
        violations=len(tally.violations),
        amount_minor=dict(at_stake),
        witnesses=tuple(witness(violation) for violation in tally.violations[:MAX_WITNESSES]),
    )


def _sentence(tally: Tally, at_stake: dict[str, int]) -> str:
    if tally.violations:
        first = tally.violations[0]
        money = f": {spell_all(at_stake)}" if at_stake else ""
        return f"{len(tally.violations)} of {tally.checked} {tally.breach}{money}; first: {first.key} {first.what}"
    if tally.verdict is Verdict.INCONCLUSIVE:
        return tally.undecided or nothing_to_check(f"it looked at nothing that could show that {tally.claim}")
    return f"{tally.claim} ({tally.checked} checked)"
