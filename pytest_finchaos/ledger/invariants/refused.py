"""What was refused has no effect."""

from __future__ import annotations

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import payment_row, settlement_row
from pytest_finchaos.model.history import Operation, Outcome, Purpose

_NAMES = {Outcome.DECLINED: "declined", Outcome.REFUSED: "refused", Outcome.FAILED: "never delivered"}


def refused_no_effect(facts: Facts) -> Tally:
    """Declined, refused and undelivered operations moved no money; a refused key-reuse probe added nothing.

    A refusal after an attempt of unknown outcome says nothing of that attempt (a request without a valid token is
    refused before anybody looks at its key), so it is left out. A decline is the stored answer of the key and counts.
    """
    settled = {row.key: (row, file.name) for file in facts.extract.settlement or () for row in file.rows}
    checked, violations = 0, []
    for operation in facts.operations:
        allowed = _allowed(operation)
        if allowed is None:
            continue
        checked += 1
        key = operation.arrival.key
        refused = all(each.outcome is Outcome.REFUSED for each in operation.attempts if each.purpose is Purpose.REUSE)
        found = facts.effects(key) if refused else [each for each in facts.own_payments(key) if facts.moved(each)]
        by_probe = {each.id for each in facts.by_probe.get(key, ())}
        if len(found) > allowed:
            rows = tuple(map(payment_row, found))
            word = "key reused with another amount and refused" if allowed else _NAMES[_outcome(operation)]
            amount = sum(payment.amount_minor for payment in found[allowed:])
            violations.append(Violation(key, f"was {word}, and money moved", amount, found[0].currency, rows))
        elif not allowed and not found and key in settled and settled[key][0].id not in by_probe:
            row, file = settled[key]
            what = f"was {_NAMES[_outcome(operation)]}, and is settled"
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


def _outcome(operation: Operation) -> Outcome:
    assert operation.outcome is not None
    return operation.outcome


def _allowed(operation: Operation) -> int | None:
    """How many payments the operation may have made; None when nothing about it was refused for good."""
    if operation.outcome in (Outcome.DECLINED, Outcome.FAILED):
        return 0
    if operation.outcome is Outcome.REFUSED:
        own = [attempt for attempt in operation.attempts if attempt.purpose is Purpose.OPERATION]
        doubtful = any(attempt.outcome in (Outcome.UNKNOWN, Outcome.CENSORED) for attempt in own)
        return None if doubtful else 0
    refused = any(
        attempt.purpose is Purpose.REUSE and attempt.outcome is Outcome.REFUSED for attempt in operation.attempts
    )
    return 1 if refused and operation.outcome is Outcome.OK else None
