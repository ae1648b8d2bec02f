"""The defect ``ack-before-commit``: payments that were acknowledged wait in memory until somebody writes them down.

It is built as such things are built: fast, batched, right in good weather. What it loses when the process dies or the
database does not answer, it has promised to a customer.
"""

from __future__ import annotations

import asyncio
import logging

from .ledger import Ledger, PaymentCall
from .pool import Unavailable

log = logging.getLogger("payments.write_behind")

INTERVAL_S = 0.15
WRITE_WITHIN_S = 1.5


class WriteBehind:
    """Acknowledged payments that are not in the ledger yet.

    Args:
        ledger: Where they go in the end.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[str, PaymentCall] = {}

    def waiting(self, key: str) -> PaymentCall | None:
        """The payment under ``key`` that is acknowledged and not written."""
        return self._waiting.get(key)

    def put(self, call: PaymentCall) -> None:
        """Keep a payment for later."""
        self._waiting[call.key] = call

    async def run(self) -> None:
        """Write down what waits, again and again."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            await asyncio.gather(*(self._write(call) for call in list(self._waiting.values())))

    async def _write(self, call: PaymentCall) -> None:
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                await self._ledger.pay(call)
        except (Unavailable, TimeoutError) as error:
            log.warning("an acknowledged payment is lost: %s: %s", call.key, error)
        self._waiting.pop(call.key, None)
