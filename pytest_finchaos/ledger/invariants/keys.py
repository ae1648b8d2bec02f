"""Operations against payments: nothing acknowledged is lost, nothing is paid twice, nothing is paid unasked."""

from __future__ import annotations

from pytest_finchaos.ledger.facts import Facts, at_stake
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import entry_row, payment_row
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.money import Payment


def acknowledged_durable(facts: Facts) -> Tally:
    """What was acknowledged is in the ledger, under its key and as the payment that the answer named."""
    checked, violations = 0, []
    for operation in facts.operations:
        acknowledged = [attempt for attempt in operation.attempts if _acknowledges(attempt)]
        if not acknowledged:
            continue
        checked += 1
        wrong = _lost(facts, operation, acknowledged)
        if wrong:
            amount, currency = at_stake(operation.arrival)
            rows = tuple(map(payment_row, facts.payments(operation.arrival.key)))
            violations.append(Violation(operation.arrival.key, wrong, amount, currency, rows))
    return Tally(
        "acknowledged-durable",
        "every acknowledged payment is in the ledger",
        "acknowledged payments are not in the ledger as acknowledged",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("no payment was acknowledged"),
    )


def _acknowledges(attempt: Attempt) -> bool:
    return attempt.outcome is Outcome.OK and attempt.purpose in (Purpose.OPERATION, Purpose.REPLAY)


def _lost(facts: Facts, operation: Operation, acknowledged: list[Attempt]) -> str:
    payments = facts.payments(operation.arrival.key)
    if not payments:
        return "was acknowledged and is not in the ledger"
    held = {digest_reference(payment.id) for payment in payments}
    if any(attempt.reference and attempt.reference not in held for attempt in acknowledged):
        return "was acknowledged as a payment that the ledger does not hold under this key"
    if all(facts.declined(payment) and not facts.moved(payment) for payment in payments):
        return f"was acknowledged and stands in the ledger as {payments[0].status}"
    return ""


def exactly_once(facts: Facts) -> Tally:
    """At most one payment that moved money under each key, and at most one debit of it; also for unknown outcomes."""
    violations = []
    for operation in facts.operations:
        key = operation.arrival.key
        effects = facts.effects(key)
        if not effects:
            continue
        surplus = _surplus(facts, effects)
        if surplus:
            what = (
                f"was paid {len(effects)} times"
                if len(effects) > 1
                else f"was debited {1 + len(surplus)} times for one payment"
            )
            rows = tuple(payment_row(payment) for payment in effects) + _debit_rows(facts, effects)
            amount = sum(abs(each) for each in surplus)
            violations.append(Violation(key, what, amount, effects[0].currency, rows))
    checked = len(facts.operations)
    return Tally(
        "exactly-once",
        "no key was paid more than once",
        "keys were paid more than once",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("no operation that moves money was sent"),
    )


def _surplus(facts: Facts, effects: list[Payment]) -> list[int]:
    """Amounts beyond the first: of further payments, and of further debits of the first one."""
    first, *further = effects
    debits = [entry.amount_minor for entry in facts.entries_of.get(first.id, ()) if entry.account == first.debtor]
    return [payment.amount_minor for payment in further] + [amount for amount in debits if amount < 0][1:]


def _debit_rows(facts: Facts, effects: list[Payment]) -> tuple[str, ...]:
    return tuple(entry_row(entry) for payment in effects[:2] for entry in facts.entries_of.get(payment.id, ()))


def nothing_unasked(facts: Facts) -> Tally:
    """Every payment under this drill's keys was asked for; so was every other one that is new since the load began.

    Payments under other keys are judged only when the ledger was read before the load, for they may be older than it,
    and when nobody else pays meanwhile.
    """
    asked = {operation.arrival.key for operation in facts.operations}
    judged = facts.before is not None and not facts.scope.others
    known = {payment.id for payment in facts.before.payments} if judged and facts.before is not None else None
    checked, violations = 0, []
    for payment in facts.extract.payments:
        ours = bool(facts.prefix) and payment.key.startswith(facts.prefix)
        if not ours and (known is None or payment.id in known):
            continue
        checked += 1
        if payment.key not in asked and facts.moved(payment):
            rows = (payment_row(payment),)
            what = "was paid and never asked for"
            violations.append(Violation(payment.key, what, payment.amount_minor, payment.currency, rows))
    tally = Tally(
        "nothing-unasked",
        "every payment was asked for",
        "payments were never asked for",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("the ledger holds no payment of this drill"),
    )
    if facts.complete:
        return tally
    # A lost record would make an asked payment look unasked: without all records there is no such finding.
    return tally.withheld("records of the load are missing, so nobody knows what was asked")
