"""One drill's operations beside one extract of the ledger, joined once for all invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_finchaos.model.history import Attempt, History, Operation, Purpose
from pytest_finchaos.model.money import Entry, Extract, Payment
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.model.spec import OperationSpec


@dataclass(frozen=True, slots=True)
class Case:
    """What the invariants look at.

    Args:
        operation: How the operation that moves money speaks.
        operations: The operations of that name, sent or not, by key.
        extract: The ledger.
        payments: Its payments by key.
        entries: Its entries by payment id.
        started_ns: Start of the load, CLOCK_MONOTONIC: offsets count from here.
        injections: The faults of the drill.
    """

    operation: OperationSpec
    operations: Mapping[str, Operation]
    extract: Extract
    payments: Mapping[str, Sequence[Payment]]
    entries: Mapping[str, Sequence[Entry]]
    started_ns: int
    injections: tuple[InjectionResult, ...] = ()

    @property
    def sent(self) -> Iterator[Operation]:
        """The operations that left."""
        return (operation for operation in self.operations.values() if operation.sent)


def build_case(
    history: History, operation: OperationSpec, extract: Extract, injections: Sequence[InjectionResult] = ()
) -> Case:
    """Join a history and an extract.

    Args:
        history: What the load did.
        operation: The operation that moves money.
        extract: The ledger.
        injections: Faults, for witnesses.

    Returns:
        The case; linear in operations, payments and entries.
    """
    payments: dict[str, list[Payment]] = defaultdict(list)
    for payment in extract.payments:
        payments[payment.key].append(payment)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for entry in extract.entries:
        entries[entry.payment_id].append(entry)
    return Case(
        operation=operation,
        operations={each.arrival.key: each for each in history.operations if each.arrival.operation == operation.name},
        extract=extract,
        payments=dict(payments),
        entries=dict(entries),
        started_ns=history.started_ns,
        injections=tuple(injections),
    )


def same_request(operation: Operation) -> Iterator[Attempt]:
    """Attempts that sent the operation's own body: first try, retries and replays."""
    return (each for each in operation.attempts if each.purpose in (Purpose.OPERATION, Purpose.REPLAY))


def asked_amount(operation: Operation) -> tuple[int | None, str]:
    """Amount in minor units and currency that the operation asked for, as far as its values tell."""
    amount_minor = operation.arrival.values.get("amount_minor")
    currency = operation.arrival.values.get("currency")
    known = isinstance(amount_minor, int) and not isinstance(amount_minor, bool)
    return amount_minor if known else None, currency if isinstance(currency, str) else ""
