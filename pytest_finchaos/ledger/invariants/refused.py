"""What was refused has no effect."""

from __future__ import annotations

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import payment_row, settlement_row
from pytest_finchaos.model.history import Operation, Outcome, Purpose

_NAMES = {Outcome.DECLINED: "declined", Outcome.REFUSED: "refused", Outcome.FAILED: "never delivered"}
_REUSE = "key reused with another amount and refused"


def refused_no_effect(facts: Facts) -> Tally:
    """Declined, refused and undelivered operations moved no money; a refused key-reuse probe added nothing.

    A refusal after an attempt of unknown outcome says nothing of that attempt (a request without a valid token is
    refused before anybody looks at its key), so it is left out. A decline is the stored answer of the key and counts.
    """
    settled = {row.key: (row, file.name) for file in facts.extract.settlement or () for row in file.rows}
    checked, violations = 0, []
    for operation in facts.operations:
        refused = _refused(operation)
        if refused is None:
            continue
        checked += 1
        key = operation.arrival.key
        by_probe = facts.by_probe.get(key, [])
        probed = [attempt.outcome for attempt in operation.attempts if attempt.purpose is Purpose.REUSE]
        found = [] if refused is _REUSE else [each for each in facts.own_payments(key) if facts.moved(each)]
        if all(outcome is Outcome.REFUSED for outcome in probed):  # else they are the finding of another invariant
            found += [each for each in by_probe if facts.moved(each)]
        if found:
            rows = tuple(map(payment_row, found))
            amount = sum(payment.amount_minor for payment in found)
            violations.append(Violation(key, f"was {refused}, and money moved", amount, found[0].currency, rows))
        elif refused is not _REUSE and key in settled and settled[key][0].id not in {each.id for each in by_probe}:
            row, file = settled[key]
            what = f"was {refused}, and is settled"
            violations.append(Violation(key, what, row.amount_minor, row.currency, (settlement_row(row, file),)))
    tally = Tally(
        "refused-no-effect",
        "nothing that was refused moved money",
        "refused requests moved money",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("nothing was declined, refused or undelivered"),
    )
    if facts.complete:
        return tally
    # A lost record may be the acknowledgement that makes the payment right.
    return tally.withheld("records of the load are missing, so a refusal may not be the last word")


def _refused(operation: Operation) -> str | None:
    """What was refused for good: the operation, or its key's reuse; None when neither was."""
    if operation.outcome in (Outcome.DECLINED, Outcome.FAILED):
        return _NAMES[operation.outcome]
    if operation.outcome is Outcome.REFUSED:
        own = [attempt for attempt in operation.attempts if attempt.purpose is Purpose.OPERATION]
        doubtful = any(attempt.outcome in (Outcome.UNKNOWN, Outcome.CENSORED) for attempt in own)
        return None if doubtful else _NAMES[operation.outcome]
    refused = any(
        attempt.purpose is Purpose.REUSE and attempt.outcome is Outcome.REFUSED for attempt in operation.attempts
    )
    return _REUSE if refused and operation.outcome is Outcome.OK else None
