"""The proof of one violation, as sentences: what was sent, which fault was there, what the ledger holds."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_finchaos.ledger.case import Case
from pytest_finchaos.model.history import Attempt, Operation
from pytest_finchaos.model.money import Entry, Payment, Witness
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.runtime.clock import NS_PER_S

MAX_ATTEMPTS = 20  # of one witness; an operation has a handful
MAX_ROWS = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong.

    Args:
        key: Idempotency key, or what else it is about, e.g. ``account cust-0001``.
        text: What is wrong, one sentence without a stop.
        amount_minor: The money in it.
        currency: Its currency, "" when there is no amount.
        rows: Further rows that prove it; the payments and entries of the key are added.
    """

    key: str
    text: str
    amount_minor: int | None = None
    currency: str = ""
    rows: tuple[str, ...] = ()


def witness_of(case: Case, violation: Violation) -> Witness:
    """Tell the story of one violation."""
    operation = case.operations.get(violation.key)
    payments = case.payments.get(violation.key, ())
    entries = [entry for payment in payments for entry in case.entries.get(payment.id, ())]
    rows = [*violation.rows, *map(tell_payment, payments), *map(tell_entry, entries)]
    if operation is not None and not payments:
        rows.append(f"the ledger holds no payment under {violation.key}")
    return Witness(
        key=violation.key,
        attempts=tuple(tell_attempt(each, case.started_ns) for each in operation.attempts[:MAX_ATTEMPTS])
        if operation is not None
        else (),
        faults=tuple(_faults(case, operation)) if operation is not None else (),
        rows=(violation.text, *rows[:MAX_ROWS]),
        amount_minor=violation.amount_minor,
        currency=violation.currency,
    )


def tell_attempt(attempt: Attempt, started_ns: int) -> str:
    """One attempt in a sentence; the offset counts from the start of the load."""
    sent = f"{attempt.purpose.value} attempt {attempt.number}: sent at +{_seconds(attempt.sent_ns - started_ns)} s"
    if not attempt.done_ns:
        return f"{sent}, never answered: {attempt.outcome.value}"
    end = f"HTTP {attempt.status}" if attempt.status else attempt.detail
    return f"{sent}, {end} after {_seconds(attempt.done_ns - attempt.sent_ns)} s: {attempt.outcome.value}"


def tell_payment(payment: Payment) -> str:
    """A payment row in a sentence."""
    return (
        f"payment {payment.id} under {payment.key}: {payment.amount_minor} minor units {payment.currency}"
        f" from {payment.debtor} to {payment.creditor}, {payment.status}"
    )


def tell_entry(entry: Entry) -> str:
    """An entry in a sentence."""
    return (
        f"entry {entry.version} of {entry.account} for payment {entry.payment_id}: {entry.amount_minor:+d} minor units"
        f" {entry.currency}, balance after it {entry.balance_after_minor}"
    )


def _faults(case: Case, operation: Operation) -> list[str]:
    if not operation.attempts:
        return []
    first_ns = min(each.sent_ns for each in operation.attempts)
    open_ended = any(not each.done_ns for each in operation.attempts)
    last_ns = None if open_ended else max(each.done_ns for each in operation.attempts)
    return [
        _tell_fault(each, case.started_ns)
        for each in case.injections
        if each.armed_at_ns is not None and _overlaps(each, each.armed_at_ns, first_ns, last_ns)
    ]


def _overlaps(fault: InjectionResult, armed_ns: int, first_ns: int, last_ns: int | None) -> bool:
    end_ns = fault.disarmed_at_ns if fault.gone_at_ns is None else fault.gone_at_ns
    return (last_ns is None or armed_ns <= last_ns) and (end_ns is None or end_ns >= first_ns)


def _tell_fault(fault: InjectionResult, started_ns: int) -> str:
    armed = f"armed at +{_seconds((fault.armed_at_ns or 0) - started_ns)} s"
    end_ns = fault.disarmed_at_ns
    end = "still armed" if end_ns is None else f"disarmed at +{_seconds(end_ns - started_ns)} s"
    return f"{fault.fault} on {fault.target} ({fault.id}), {armed}, {end}"


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / NS_PER_S:.3f}"
