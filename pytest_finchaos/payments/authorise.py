"""One payment from the order to the answer: fraud decision first, then one call to the ledger."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace

from .defects import ACK_BEFORE_COMMIT, FLOAT_ROUNDING, KEY_IGNORED
from .http_client import Caller, CallFailed
from .ledger import Ledger, PaymentCall, StoredAnswer
from .order import Order
from .pool import Unavailable
from .write_behind import WriteBehind

FRAUD_WITHIN_S = 0.3
LOOK_WITHIN_S = 0.25
RATE = 1.0837  # of the conversion that the defect `float-rounding` makes
RATE_BACK = 1 / RATE


class FraudUnavailable(Exception):
    """There is no fraud decision, so there is no payment."""


class Authoriser:
    """Makes payments.

    Args:
        ledger: Where the money is.
        fraud: Who decides whether it may move.
        write_behind: Where the defect ``ack-before-commit`` keeps what it acknowledged.
        defects: Defects that are switched on.
    """

    def __init__(self, ledger: Ledger, fraud: Caller, write_behind: WriteBehind, defects: tuple[str, ...]) -> None:
        self._ledger = ledger
        self._fraud = fraud
        self._write_behind = write_behind
        self._defects = frozenset(defects)

    async def authorise(self, key: str, order: Order) -> StoredAnswer:
        """The final answer to ``key``; the money has moved when its status is 201.

        Raises:
            FraudUnavailable: Nothing happened.
            Unavailable: The outcome is unknown; the same key asks again safely.
        """
        score, allowed = await self._decide(order)
        call = prepare(key, order, allowed=allowed, score=score)
        if FLOAT_ROUNDING in self._defects:
            call = replace(call, booked_minor=through_floats(order.amount_minor))
        if KEY_IGNORED in self._defects:
            call = replace(call, claim=f"{key[:200]}/{call.id}")
        if ACK_BEFORE_COMMIT in self._defects:
            return await self._acknowledge_first(call)
        return await self._ledger.pay(call)

    async def _decide(self, order: Order) -> tuple[int, bool]:
        try:
            status, body = await self._fraud.post("/score", order.as_json(), within_s=FRAUD_WITHIN_S)
        except CallFailed as error:
            raise FraudUnavailable(str(error)) from error
        try:
            plain = json.loads(body)
            score, decision = int(plain["score"]), plain["decision"]
        except (ValueError, KeyError, TypeError):
            raise FraudUnavailable(f"status {status} without a decision") from None
        if status != 200 or decision not in ("approve", "reject"):
            raise FraudUnavailable(f"status {status}, decision {decision!r}")
        return score, decision == "approve"

    async def _acknowledge_first(self, call: PaymentCall) -> StoredAnswer:
        """The defect: answers what is already known, else says yes and leaves the ledger for later."""
        known = self._write_behind.waiting(call.key)
        if known is not None:
            return _again(StoredAnswer(201, known.accepted, True, known.fingerprint), call)
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                stored = await self._ledger.answer_to(call.claim)
        except (Unavailable, TimeoutError):
            stored = None
        known = self._write_behind.waiting(call.key)
        if known is not None:  # a duplicate came first while we looked
            stored = StoredAnswer(201, known.accepted, True, known.fingerprint)
        if stored is not None:
            return _again(stored, call)
        if not call.allowed:
            return await self._ledger.pay(call)
        self._write_behind.put(call)
        return StoredAnswer(201, call.accepted, False)


def prepare(key: str, order: Order, *, allowed: bool, score: int) -> PaymentCall:
    """The call to the ledger for ``order``: its id and both possible answers are fixed before the money moves."""
    payment_id = uuid.uuid4()
    ordered = {
        "amount_minor": order.amount_minor,
        "currency": order.currency,
        "debtor": order.debtor,
        "creditor": order.creditor,
    }
    reason = "insufficient-funds" if allowed else "fraud-suspected"
    return PaymentCall(
        claim=key,
        key=key,
        fingerprint=order.fingerprint(),
        id=payment_id,
        order=order,
        booked_minor=order.amount_minor,
        allowed=allowed,
        score=score,
        accepted=_json({"id": str(payment_id), "status": "authorised"} | ordered),
        declined=_json({"status": "declined", "reason": reason} | ordered),
    )


def through_floats(amount_minor: int) -> int:
    """The defect: an amount after a conversion to another currency and back with floats and truncation.

    One minor unit short for about half of all amounts.
    """
    abroad = round(amount_minor * RATE)
    return max(1, int(abroad * RATE_BACK))


def _again(stored: StoredAnswer, call: PaymentCall) -> StoredAnswer:
    if stored.fingerprint != call.fingerprint:
        return StoredAnswer(422, _json({"error": "key-reused"}), False)
    return stored


def _json(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))
