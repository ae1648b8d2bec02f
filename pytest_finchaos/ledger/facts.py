"""History and ledger side by side, indexed once for all invariants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
        parties: ``debtor`` and ``creditor`` to the placeholder of the operation that is it, as far as declared.
    """

    silent: frozenset[str] = frozenset()
    no_effect: frozenset[str] = frozenset()
    others: bool = False
    parties: Mapping[str, str] = field(default_factory=dict)


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
        by_probe: Key to the payments that a key-reuse probe made.
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
    by_probe: Mapping[str, list[Payment]]
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
            requested=Requested.by(operation, scope.parties).without(scope.silent),
            complete=history.generator.complete,
            prefix=prefix_of(history.operations),
            before=before,
            by_key=dict(by_key),
            by_id={payment.id: payment for payment in extract.payments},
            entries_of=dict(entries_of),
            by_probe=_by_probe(sent, by_key),
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
        probed = self.by_probe.get(key, ())
        return [payment for payment in self.payments(key) if payment not in probed]


def at_stake(arrival: Arrival) -> tuple[int, str]:
    """Amount and currency that an arrival asked for; 0 and "" where it names none."""
    amount = arrival.values.get("amount_minor", 0)
    return (amount if isinstance(amount, int) else 0), str(arrival.values.get("currency", ""))


def prefix_of(operations: Sequence[Operation]) -> str:
    """Keys are ``PREFIX-INDEX`` (see `load.arrivals`)."""
    head, dash, _ = operations[0].arrival.key.rpartition("-") if operations else ("", "", "")
    return head + dash


def _by_probe(operations: Sequence[Operation], by_key: Mapping[str, list[Payment]]) -> dict[str, list[Payment]]:
    made = {each.arrival.key: _of_probes(each, by_key.get(each.arrival.key, [])) for each in operations}
    return {key: payments for key, payments in made.items() if payments}


def _of_probes(operation: Operation, payments: Sequence[Payment]) -> list[Payment]:
    """Payments that an answer to a probe named, and those of a probe's amount that no other answer named.

    Where answers name nothing, one payment of an acknowledged operation is its own, whatever its amount: a wrong amount
    must not pass for a probe's.
    """
    probes = [
        each for each in operation.attempts if each.purpose is Purpose.REUSE and each.outcome is not Outcome.FAILED
    ]
    if not probes:
        return []
    own = {each.reference for each in operation.attempts if each.purpose is not Purpose.REUSE and each.reference}
    told = {each.reference for each in probes if each.outcome is Outcome.OK and each.reference} - own
    asked = at_stake(operation.arrival)[0] + REUSE_ADDS_MINOR
    made = [
        payment
        for payment in payments
        if (digest := digest_reference(payment.id)) in told or (payment.amount_minor == asked and digest not in own)
    ]
    nameless = operation.outcome is Outcome.OK and not own and not told
    return made[1:] if nameless and len(made) == len(payments) else made
