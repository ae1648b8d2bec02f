"""A payment order as customers send it: parsed, checked, and reduced to a fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

LARGEST_MINOR = 1_000_000_000_000
LONGEST_KEY = 255
LONGEST_ACCOUNT = 64


class OrderError(ValueError):
    """An order that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants to be paid.

    Args:
        amount_minor: Positive amount in minor units.
        currency: Three capital letters.
        debtor: Account that pays.
        creditor: Account that is paid.
    """

    amount_minor: int
    currency: str
    debtor: str
    creditor: str

    def canonical(self) -> bytes:
        """The same bytes for the same order, however its JSON was written."""
        return f"{self.amount_minor}\n{self.currency}\n{self.debtor}\n{self.creditor}".encode()

    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def as_json(self) -> bytes:
        """The order as the JSON body that it came in."""
        return json.dumps(
            {
                "amount_minor": self.amount_minor,
                "currency": self.currency,
                "debtor": self.debtor,
                "creditor": self.creditor,
            },
            separators=(",", ":"),
        ).encode()


def parse_order(body: bytes) -> Order:
    """The order in an HTTP body.

    Raises:
        OrderError: When it is no JSON object with a positive integer amount, a currency and two accounts.
    """
    try:
        plain = json.loads(body)
    except ValueError:
        raise OrderError("the body is not JSON") from None
    if not isinstance(plain, dict):
        raise OrderError("the body must be a JSON object")
    amount_minor = plain.get("amount_minor")
    if not isinstance(amount_minor, int) or isinstance(amount_minor, bool):
        raise OrderError("amount_minor must be an integer number of minor units")
    if not 0 < amount_minor <= LARGEST_MINOR:
        raise OrderError(f"amount_minor must be from 1 to {LARGEST_MINOR}")
    currency = plain.get("currency")
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise OrderError("currency must be three capital letters")
    debtor, creditor = (_account(plain.get(role), role) for role in ("debtor", "creditor"))
    if debtor == creditor:
        raise OrderError("debtor and creditor must differ")
    return Order(amount_minor, currency, debtor, creditor)


def _account(value: object, role: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ACCOUNT or not value.isprintable():
        raise OrderError(f"{role} must be the name of an account")
    return value


def parse_key(header: str | None) -> str:
    """The idempotency key of a request.

    Raises:
        OrderError: When it is missing, empty, too long or not printable.
    """
    if not header:
        raise OrderError("the idempotency key is missing (header Idempotency-Key)")
    if len(header) > LONGEST_KEY or not header.isprintable():
        raise OrderError(f"an idempotency key must be at most {LONGEST_KEY} printable characters")
    return header
