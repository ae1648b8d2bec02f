"""From violations to a finding; a check of nothing is never a pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pytest_finchaos.ledger.case import Case
from pytest_finchaos.ledger.witness import Violation, witness_of
from pytest_finchaos.model.money import Finding
from pytest_finchaos.model.verdict import Verdict

MAX_WITNESSES = 5


def tally(
    case: Case, invariant: str, *, checked: int, violations: Sequence[Violation], promise: str, nothing: str
) -> Finding:
    """The finding of one invariant.

    Args:
        case: What was looked at, for the witnesses.
        invariant: Its name.
        checked: Number of things looked at.
        violations: What is wrong; several may concern one thing.
        promise: What holds of the things when nothing is wrong, e.g. ``payments are balanced``.
        nothing: What was missing when there was nothing to look at, e.g. ``no payment``.

    Returns:
        FAIL with at most five witnesses, else INCONCLUSIVE when nothing was looked at, else PASS.
    """
    if not violations:
        if not checked:
            return Finding(invariant, Verdict.INCONCLUSIVE, f"nothing to check: {nothing}", 0, 0)
        return Finding(invariant, Verdict.PASS, f"{checked} {promise}", checked, 0)
    amounts = amounts_of(violations)
    money = ", ".join(f"{amount} minor units {currency}" for currency, amount in amounts.items())
    first = violations[0]
    text = f"{len(violations)} violations in {checked} checked" if len(violations) > 1 else f"1 violation in {checked}"
    text += f" ({money})" if money else ""
    return Finding(
        invariant=invariant,
        verdict=Verdict.FAIL,
        text=f"{text}; first: {first.key}: {first.text}",
        checked=checked,
        violations=len(violations),
        amount_minor=amounts,
        witnesses=tuple(witness_of(case, each) for each in violations[:MAX_WITNESSES]),
    )


def amounts_of(violations: Sequence[Violation]) -> dict[str, int]:
    """Money in violations for each currency, sorted by currency; never added across currencies."""
    amounts: dict[str, int] = defaultdict(int)
    for violation in violations:
        if violation.amount_minor is not None and violation.currency:
            amounts[violation.currency] += violation.amount_minor
    return dict(sorted(amounts.items()))
