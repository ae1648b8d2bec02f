"""The ledger as the gateway uses it: each method is one statement, one transaction, one round trip."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .database import Address, DatabaseLink, open_link
from .order import Order
from .pool import Pool

CONNECTIONS = 32
OFTEN = ("pay", "balance")  # prepared ahead; the others when first asked

_PAYMENT = "id::text, idempotency_key, amount_minor, currency, debtor, creditor, status, created_at::text"
STATEMENTS = {
    "pay": "select answer_status, answer_body, replayed"
    " from pay($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    "answer": "select fingerprint, status, body from idempotency_keys where key = $1",
    "by_id": f"select {_PAYMENT} from payments where id = $1",  # noqa: S608 — a constant of this module
    "by_key": f"select {_PAYMENT} from payments where idempotency_key = $1 order by created_at limit 1",  # noqa: S608
    "balance": "select account, currency, balance_minor, version, clock_timestamp()::text as as_of"
    " from accounts where account = $1",
    "balances": "select account, currency, balance_minor, version from accounts order by account",
    "user": "select salt, digest from api_users where name = $1",
    "secret": "select secret from signing_key",
    "alive": "select 1",
}


@dataclass(frozen=True, slots=True)
class PaymentCall:
    """All that one payment needs.

    Args:
        claim: Name under which the answer is kept.
        key: The customer's idempotency key.
        fingerprint: Of the order.
        id: Of the payment, should it be made.
        order: The order.
        booked_minor: Amount to be booked.
        allowed: Whether the fraud decision allows it.
        score: Fraud score.
        accepted: Answer when the money moves.
        declined: Answer when it does not.
    """

    claim: str
    key: str
    fingerprint: str
    id: uuid.UUID
    order: Order
    booked_minor: int
    allowed: bool
    score: int
    accepted: str
    declined: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The final answer to a key."""

    status: int
    body: str
    replayed: bool
    fingerprint: str = ""


class Ledger:
    """The database behind a pool.

    Args:
        address: Of the database.
        instance: Who writes, noted on every payment.
    """

    def __init__(self, address: Address, instance: str) -> None:
        self._address = address
        self._instance = instance
        self._secret: bytes | None = None
        self.pool: Pool[DatabaseLink] = Pool(self._open, CONNECTIONS)

    async def _open(self, ended: Callable[[], None]) -> DatabaseLink:
        link = await open_link(self._address, STATEMENTS, ended, ahead=OFTEN, first="select warm_up()")
        if self._secret is None:
            self._secret = (await link.rows("secret"))[0]["secret"].encode()
        return link

    @property
    def secret(self) -> bytes | None:
        """What signs tokens; None until the database was reached once."""
        return self._secret

    async def _rows(self, statement: str, *arguments: Any) -> Sequence[Any]:
        return await self.pool.run(lambda link: link.rows(statement, *arguments))

    async def _one(self, statement: str, *arguments: Any) -> dict[str, Any] | None:
        rows = await self._rows(statement, *arguments)
        return dict(rows[0]) if rows else None

    async def pay(self, call: PaymentCall) -> StoredAnswer:
        """Make one payment, or repeat the answer that its key got.

        Raises:
            Unavailable: When the outcome is unknown.
        """
        order = call.order
        rows = await self._rows(
            "pay", call.claim, call.key, call.fingerprint, call.id, call.booked_minor, order.currency,
            order.debtor, order.creditor, call.allowed, call.score, self._instance, call.accepted, call.declined,
        )  # fmt: skip
        return StoredAnswer(*rows[0])

    async def answer_to(self, key: str) -> StoredAnswer | None:
        """The stored answer of ``key``, or None."""
        row = await self._one("answer", key)
        return None if row is None else StoredAnswer(row["status"], row["body"], True, row["fingerprint"])

    async def payment_by_id(self, payment_id: uuid.UUID) -> dict[str, Any] | None:
        """One payment, or None."""
        return await self._one("by_id", payment_id)

    async def payment_by_key(self, key: str) -> dict[str, Any] | None:
        """The first payment made under ``key``, or None."""
        return await self._one("by_key", key)

    async def balance(self, account: str) -> dict[str, Any] | None:
        """One account, or None."""
        return await self._one("balance", account)

    async def balances(self) -> list[dict[str, Any]]:
        """All accounts as they were at one instant: a single statement sees a single snapshot."""
        return [dict(row) for row in await self._rows("balances")]

    async def user(self, name: str) -> dict[str, Any] | None:
        """Salt and digest of a user's password, or None."""
        return await self._one("user", name)

    async def reach(self) -> None:
        """One round trip to the database.

        Raises:
            Unavailable: When it fails.
        """
        await self._rows("alive")
