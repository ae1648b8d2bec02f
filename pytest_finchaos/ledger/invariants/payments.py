"""What was asked beside what was done: durable, once, nothing else, nothing for a refusal."""

from __future__ import annotations

from pytest_finchaos.ledger.case import Case, asked_amount, same_request
from pytest_finchaos.ledger.invariants.tally import tally
from pytest_finchaos.ledger.witness import Violation, tell_payment
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import Operation, Outcome, Purpose
from pytest_finchaos.model.money import Finding

ACKNOWLEDGED_DURABLE = "acknowledged-durable"
EXACTLY_ONCE = "exactly-once"
NOTHING_UNASKED = "nothing-unasked"
REFUSED_NO_EFFECT = "refused-no-effect"


def acknowledged_durable(case: Case) -> Finding:
    """Every acknowledged operation has a payment under its key, with the id that the answer named."""
    checked = 0
    violations: list[Violation] = []
    for operation in case.sent:
        if operation.outcome is not Outcome.OK:
            continue
        checked += 1
        text = _lost(case, operation)
        if text:
            violations.append(Violation(operation.arrival.key, text, *asked_amount(operation)))
    return tally(
        case,
        ACKNOWLEDGED_DURABLE,
        checked=checked,
        violations=violations,
        promise="acknowledged operations are in the ledger",
        nothing="no operation was acknowledged",
    )


def _lost(case: Case, operation: Operation) -> str:
    payments = case.payments.get(operation.arrival.key, ())
    if not payments:
        return "acknowledged, but no payment in the ledger"
    held = {digest_reference(payment.id) for payment in payments}
    named = {each.reference for each in same_request(operation) if each.outcome is Outcome.OK and each.reference}
    missing = len(named - held)
    return f"{missing} acknowledged payment ids are not in the ledger under this key" if missing else ""


def exactly_once(case: Case) -> Finding:
    """No key has more than one payment, whatever the client knows of it."""
    violations = [
        Violation(key, f"{len(payments)} payments under one key", extra.amount_minor, extra.currency)
        for key, payments in case.payments.items()
        for extra in payments[1:]
    ]
    return tally(
        case,
        EXACTLY_ONCE,
        checked=len(case.payments),
        violations=violations,
        promise="keys have one payment each",
        nothing="no payment in the ledger",
    )


def nothing_unasked(case: Case) -> Finding:
    """Every payment has a key that was sent."""
    violations = [
        Violation(
            payment.key,
            "a payment under a key that was never sent",
            payment.amount_minor,
            payment.currency,
            () if payment.key in case.payments else (tell_payment(payment),),
        )
        for payment in case.extract.payments
        if payment.key not in case.operations or not case.operations[payment.key].sent
    ]
    return tally(
        case,
        NOTHING_UNASKED,
        checked=len(case.extract.payments),
        violations=violations,
        promise="payments were asked for",
        nothing="no payment in the ledger",
    )


def refused_no_effect(case: Case) -> Finding:
    """A declined, refused or failed operation has no payment.

    A stored decline is the key's final answer, also after an attempt of unknown outcome. A refusal need not be stored
    (an expired token, say), so it proves nothing while another attempt under the key may have been carried out.
    """
    checked = 0
    violations: list[Violation] = []
    for operation in case.sent:
        if not _surely_without_effect(operation) or operation.outcome is None:
            continue
        checked += 1
        for payment in case.payments.get(operation.arrival.key, ()):
            text = f"{operation.outcome.value}, but the ledger holds a payment"
            violations.append(Violation(payment.key, text, payment.amount_minor, payment.currency))
    return tally(
        case,
        REFUSED_NO_EFFECT,
        checked=checked,
        violations=violations,
        promise="declined, refused or failed operations left no payment",
        nothing="no operation was declined, refused or failed for certain",
    )


def _surely_without_effect(operation: Operation) -> bool:
    if operation.outcome in (Outcome.DECLINED, Outcome.FAILED):
        return True
    if operation.outcome is not Outcome.REFUSED:
        return False
    open_ends = (Outcome.UNKNOWN, Outcome.CENSORED)
    return not any(
        each.outcome in open_ends or (each.purpose is Purpose.REUSE and each.outcome is not Outcome.REFUSED)
        for each in operation.attempts
    )
