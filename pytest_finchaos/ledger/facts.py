"""History and ledger side by side, indexed once for all invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_finchaos.ledger.requested import Requested
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import REUSE_ADDS_MINOR, Arrival, History, Operation, Outcome, Purpose
from pytest_finchaos.model.money import Entry, Extract, Payment
from pytest_finchaos.model.spec import OperationSpec

# Statuses, in lower case, that say of themselves that no money moves. Entries decide where there are any.
DECLINES = frozenset({"declined", "denied", "error", "failed", "refused", "rejected"})
ENDED = frozenset({"canceled", "cancelled", "expired", "reversed", "voided"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What the declaration of a ledger says of its rows.

    Args:
        silent: Fields of a payment that the ledger does not give.
        no_effect: Statuses, in lower case, by which no money moved, beside `DECLINES`.
        others: True when others than the drill may pay while it runs.
    """

    silent: frozenset[str] = frozenset()
    no_effect: frozenset[str] = frozenset()
    others: bool = False


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the invariants look at.

    Args:
        operations: The operations that move money and were sent, in order.
        extract: The ledger.
        requested: How a request states amount, currency and parties.
        complete: True when no record of the load is missing.
        prefix: Start of every key of this drill, with its last dash; "" when unknown.
        before: The ledger before the load, if it was read.
        by_key: Key to payments; ``by_id``: id to payment; ``entries_of``: payment id to entries.
        probed: Key to digests of the payments that key-reuse probes were told of.
        unanswered: Key to the amount that a key-reuse probe without an answer asked for.
        scope: What the declaration says of the rows.
    """

    operations: tuple[Operation, ...]
    extract: Extract
    requested: Requested
    complete: bool
    prefix: str
    before: Extract | None
    by_key: Mapping[str, list[Payment]]
    by_id: Mapping[str, Payment]
    entries_of: Mapping[str, list[Entry]]
    probed: Mapping[str, frozenset[str]]
    unanswered: Mapping[str, int]
    scope: Scope = EVERYTHING

    @classmethod
    def build(
        cls,
        history: History,
        extract: Extract,
        operation: OperationSpec,
        before: Extract | None = None,
        scope: Scope = EVERYTHING,
    ) -> Facts:
        """Index ``history`` and ``extract``.

        Args:
            history: Everything that the load did.
            extract: The ledger at rest.
            operation: The operation that moves money.
            before: The ledger before the load, where other payments may stand in it.
            scope: What the declaration of the ledger says of its rows.
        """
        by_key: dict[str, list[Payment]] = defaultdict(list)
        for payment in extract.payments:
            by_key[payment.key].append(payment)
        entries_of: dict[str, list[Entry]] = defaultdict(list)
        for entry in extract.entries:
            entries_of[entry.payment_id].append(entry)
        sent = tuple(each for each in history.operations if each.sent and each.arrival.operation == operation.name)
        return cls(
            operations=sent,
            extract=extract,
            requested=Requested.by(operation).without(scope.silent),
            complete=history.generator.complete,
            prefix=prefix_of(history.operations),
            before=before,
            by_key=dict(by_key),
            by_id={payment.id: payment for payment in extract.payments},
            entries_of=dict(entries_of),
            probed=_probed(sent),
            unanswered=_unanswered(sent),
            scope=scope,
        )

    def earlier(self) -> Facts | None:
        """The same with the ledger before the load, if that was read."""
        if self.before is None:
            return None
        entries_of: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.before.entries:
            entries_of[entry.payment_id].append(entry)
        return replace(
            self,
            operations=(),
            extract=self.before,
            before=None,
            by_key={},
            by_id={payment.id: payment for payment in self.before.payments},
            entries_of=dict(entries_of),
        )

    def payments(self, key: str) -> Sequence[Payment]:
        """All payments under a key."""
        return self.by_key.get(key, ())

    def moved(self, payment: Payment) -> bool:
        """True when money moved: it is booked, or its status does not say otherwise. A stored decline is no effect."""
        return payment.id in self.entries_of or not (self.declined(payment) or payment.status.lower() in ENDED)

    def declined(self, payment: Payment) -> bool:
        """True when the payment's status says that it was declined."""
        status = payment.status.lower()
        return status in DECLINES or status in self.scope.no_effect

    def effects(self, key: str) -> list[Payment]:
        """Payments under a key by which money moved."""
        return [payment for payment in self.by_key.get(key, ()) if self.moved(payment)]

    def own_payments(self, key: str) -> list[Payment]:
        """Payments under a key without those that a key-reuse probe made: those are that probe's finding."""
        probed, lost = self.probed.get(key, frozenset()), self.made_unanswered(key)
        return [
            each
            for each in self.by_key.get(key, [])
            if each not in lost and (not probed or digest_reference(each.id) not in probed)
        ]

    def made_unanswered(self, key: str) -> list[Payment]:
        """Payments under a key that are what a key-reuse probe asked for whose answer was lost."""
        if key not in self.unanswered:
            return []
        return [each for each in self.by_key.get(key, []) if each.amount_minor == self.unanswered[key]]


def at_stake(arrival: Arrival) -> tuple[int, str]:
    """Amount and currency that an arrival asked for; 0 and "" where it names none."""
    amount = arrival.values.get("amount_minor", 0)
    return (amount if isinstance(amount, int) else 0), str(arrival.values.get("currency", ""))


def prefix_of(operations: Sequence[Operation]) -> str:
    """Keys are ``PREFIX-INDEX`` (see `load.arrivals`)."""
    head, dash, _ = operations[0].arrival.key.rpartition("-") if operations else ("", "", "")
    return head + dash


def _unanswered(operations: Sequence[Operation]) -> dict[str, int]:
    return {
        operation.arrival.key: at_stake(operation.arrival)[0] + REUSE_ADDS_MINOR
        for operation in operations
        if any(each.purpose is Purpose.REUSE and not each.outcome.terminal for each in operation.attempts)
    }


def _probed(operations: Sequence[Operation]) -> dict[str, frozenset[str]]:
    found = {}
    for operation in operations:
        told = frozenset(
            attempt.reference
            for attempt in operation.attempts
            if attempt.purpose is Purpose.REUSE and attempt.outcome is Outcome.OK and attempt.reference
        )
        own = {attempt.reference for attempt in operation.attempts if attempt.purpose is not Purpose.REUSE}
        if told - own:
            found[operation.arrival.key] = told - own
    return found
