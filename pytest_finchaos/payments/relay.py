"""The relay from the ledger's outbox to the settlement file: read, append, mark; each payment once."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from .database import Address, DatabaseLink, open_link
from .pool import Pool, Unavailable
from .settlement_file import Row, SettlementFiles

log = logging.getLogger("payments.relay")

CONNECTIONS = 2  # one for the relay, one for questions about it
BATCH = 500
PAUSE_S = 0.05
PAUSE_AFTER_FAILURE_S = 0.2
STEP_WITHIN_S = 3.0
SKIP_ONE_OF = 7

STATEMENTS = {
    "waiting": "select idempotency_key, payment_id, amount_minor, currency from outbox"
    " where relayed_at is null order by seq limit $1",
    "mark": "update outbox set relayed_at = clock_timestamp() where relayed_at is null and payment_id = any($1)",
    "age": "select coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 as age_s,"
    " count(*) as waiting from outbox where relayed_at is null",
}


class Relay:
    """Moves payments from the outbox to the file.

    The order of its two acts makes the file complete: append, then mark. Between them it may be killed; what it wrote
    it reads back at its next start, and does not write again.

    Args:
        address: Of the database.
        files: Where rows go.
        skips: The defect ``settlement-skips``: mark some payments without writing them.
    """

    def __init__(self, address: Address, files: SettlementFiles, *, skips: bool) -> None:
        self._address = address
        self._files = files
        self._skips = skips
        self._turn = asyncio.Lock()
        self.relayed = 0
        self.pool: Pool[DatabaseLink] = Pool(self._open, CONNECTIONS)

    async def _open(self, ended: Callable[[], None]) -> DatabaseLink:
        return await open_link(self._address, STATEMENTS, ended, ahead=tuple(STATEMENTS))

    async def run(self) -> None:
        """Relay until cancelled, whatever happens to the database."""
        while True:
            try:
                async with self._turn:
                    moved = await self._step()
            except (Unavailable, TimeoutError) as error:
                log.info("the relay waits: %s", error)
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
                continue
            if moved < BATCH:
                await asyncio.sleep(PAUSE_S)

    async def cut_off(self) -> str:
        """Relay what waits and close the current file; returns its name.

        Raises:
            Unavailable, TimeoutError: When the ledger does not answer; nothing is closed then.
        """
        async with self._turn:
            while await self._step():
                pass
            return self._files.cut_off()

    async def age(self) -> tuple[float, int]:
        """Age in seconds of the oldest payment that waits (0.0 when none does), and how many wait.

        Asked of the ledger each time: a relay that stands still must not vouch for itself.

        Raises:
            Unavailable: When the ledger does not answer.
        """
        row = (await self._rows("age"))[0]
        return max(0.0, row["age_s"]), row["waiting"]

    async def _rows(self, statement: str, *arguments: Any) -> Sequence[Any]:
        return await self.pool.run(lambda link: link.rows(statement, *arguments))

    async def _step(self) -> int:
        async with asyncio.timeout(STEP_WITHIN_S):
            waiting = await self._rows("waiting", BATCH)
            if not waiting:
                return 0
            wanted = [row for row in waiting if not (self._skips and is_skipped(row["payment_id"]))]
            self.relayed += self._files.append(
                Row(row["idempotency_key"], str(row["payment_id"]), row["amount_minor"], row["currency"])
                for row in wanted
            )
            await self._rows("mark", [row["payment_id"] for row in waiting])
            return len(waiting)


def is_skipped(payment_id: uuid.UUID) -> bool:
    """The defect: whether this payment is left out; the same payment always or never."""
    return payment_id.int % SKIP_ONE_OF == 0
