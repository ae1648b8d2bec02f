"""A ledger that nobody can read: payments are looked up one by one, through the system's own API.

Only what was sent can be looked up, so the extract holds payments of this drill and nothing else. Where many were sent,
those in doubt are looked up first and the rest by a spread over the drill; nothing is said of what was left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.resolve import spread, told_items
from pytest_finchaos.ledger.rows import Typing
from pytest_finchaos.ledger.target import Asks
from pytest_finchaos.ledger.wording import plural
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.request import dig, placeholders
from pytest_finchaos.model.history import History, Operation, Outcome
from pytest_finchaos.model.money import Extract, Payment
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec, OperationSpec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

LOOK_S = 20.0
MAX_DOUBTFUL = 200
MAX_LOOKED_UP = 300
_SURE = (Outcome.OK,)
_REFUSED = (Outcome.DECLINED, Outcome.REFUSED, Outcome.FAILED)

References = Mapping[int, Sequence[str]]
"""Arrival index to the system's own ids that its answers told, where look-ups need them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The operations that are looked up.

    Args:
        operations: In order.
        history: The history without the other operations that move money.
        left_out: How many of these, and why, or "".
    """

    operations: tuple[Operation, ...]
    history: History
    left_out: str

    @classmethod
    def of(cls, history: History, operation: OperationSpec, lookup: OperationSpec, references: References) -> Sample:
        """Choose what is looked up.

        Args:
            history: Everything that the load did.
            operation: The operation that moves money.
            lookup: The operation that reads one payment.
            references: Needed where the look-up goes by the system's own id.
        """
        sent = [each for each in history.operations if each.sent and each.arrival.operation == operation.name]
        by_id = "reference" in placeholders(lookup)
        known = [each for each in sent if not by_id or references.get(each.arrival.index)]
        sure = [each for each in known if each.outcome in _SURE]
        refused = [each for each in known if each.outcome in _REFUSED]
        doubtful = spread([each for each in known if each.outcome not in (*_SURE, *_REFUSED)], MAX_DOUBTFUL)
        room = MAX_LOOKED_UP - len(doubtful)
        of_refused = spread(refused, max(room // 3, room - len(sure)))
        chosen = [*doubtful, *of_refused, *spread(sure, room - len(of_refused))]
        indexes = {each.arrival.index for each in chosen}
        reasons = []
        if len(known) < len(sent):
            told = plural(len(sent) - len(known), "operation")
            reasons.append(f"{told} got no id of the system to look up")
        if len(chosen) < len(known):
            told = plural(len(known) - len(chosen), "operation")
            reasons.append(f"{told} not looked up: the limit is {MAX_LOOKED_UP}")
        kept = tuple(
            each
            for each in history.operations
            if each.arrival.operation != operation.name or not each.sent or each.arrival.index in indexes
        )
        ordered = tuple(each for each in kept if each.arrival.index in indexes)
        return cls(ordered, replace(history, operations=kept), "; ".join(reasons))


class ApiLedger:
    """The API-only adapter.

    Args:
        spec: The environment's declaration.
        ledger: Its ledger.
        lookup: The operation that reads one payment.
        sample: What is looked up.
        api: Sends requests.
        clock: The clock.
        references: See `References`.
        look_s: Limit of each look in seconds.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        ledger: LedgerSpec,
        *,
        lookup: OperationSpec,
        sample: Sequence[Operation],
        api: Asks,
        clock: Clock,
        references: References,
        look_s: float = LOOK_S,
    ) -> None:
        self._where = f"{spec.source}: environments.{spec.name}.ledger"
        self._ledger, self._lookup, self._sample = ledger, lookup, sample
        self._api, self._clock, self._look_s = api, clock, look_s
        self._references = references
        id_path = {"id": lookup.reference} if lookup.reference else {}
        self._paths = {**id_path, **ledger.fields}

    def look(self, *, though_busy: bool = False) -> Look:  # noqa: ARG002 - nobody says what is under way
        """See `reader.LedgerReader.look`."""
        deadline_ns = self._clock.now_ns() + int(self._look_s * NS_PER_S)
        by_id = "reference" in placeholders(self._lookup)
        found: dict[tuple[str, str], Payment] = {}
        for operation in self._sample:
            for reference in self._references.get(operation.arrival.index, ()) if by_id else [""]:
                for payment in self._payments(operation, reference, deadline_ns):
                    found[payment.key, payment.id] = payment
        return Look(0, Extract(tuple(found.values()), (), (), taken_at_ns=self._clock.now_ns()), whole=False)

    def _payments(self, operation: Operation, reference: str, deadline_ns: int) -> Sequence[Payment]:
        left_s = (deadline_ns - self._clock.now_ns()) / NS_PER_S
        if left_s <= 0:
            number = len(self._sample)
            raise LedgerUnreachable(f"{plural(number, 'payment')} could not be looked up within {self._look_s:g} s")
        arrival = operation.arrival
        values = {**arrival.values, "key": arrival.key, "index": arrival.index, "reference": reference}
        answer = self._api.send(self._lookup, values, min(self._lookup.timeout_s, left_s))
        items = told_items(answer, self._lookup, _parsed(answer.body))
        if items is None:
            how = f"HTTP {answer.status}" if answer.status else answer.detail
            raise LedgerUnreachable(f"{self._lookup.name!r} of {arrival.key} got no answer that says anything: {how}")
        paths = {"key": f"={arrival.key}", **self._paths}
        return Typing(self._where, self._ledger.amount).items(Payment, items, paths)


class Learning:
    """Sends requests, and keeps the ids that answers tell: a replay may be told an id that the load was not.

    Args:
        api: Sends requests.
        operation: The operation that moves money.
        references: See `References`.
    """

    def __init__(self, api: Asks, operation: OperationSpec, references: References) -> None:
        self._api, self._operation = api, operation
        self.references: dict[int, tuple[str, ...]] = {index: tuple(ids) for index, ids in references.items()}

    def send(
        self, operation: OperationSpec, values: Mapping[str, Any], timeout_s: float, *, direct: bool = False
    ) -> Answer:
        """See `target.Asks`."""
        answer = self._api.send(operation, values, timeout_s, direct=direct)
        if operation.name == self._operation.name and answer.reference and operation.reference:
            told = str(dig(answer.json, operation.reference))
            known = self.references.get(values["index"], ())
            self.references[values["index"]] = known if told in known else (*known, told)
        return answer


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None
