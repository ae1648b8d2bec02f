"""A database connection with prepared statements, so that each call is one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

OPEN_WITHIN_S = 2.0  # some round trips, also over a slow link
NAME = "payments"  # of the role and of the database

# The server ends what nobody waits for any more: the client's deadline is 2 s. Plans are made once, not five times.
SETTINGS = {
    "statement_timeout": "1700",
    "lock_timeout": "1500",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "tcp_keepalives_idle": "5",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of the database, or of the proxy in front of it."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """``host:port``.

    Raises:
        ValueError: For anything else.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"expected host:port, got {text!r}")
    return Address(host.strip("[]"), int(port))


class DatabaseLink:
    """A connection and its prepared statements.

    Args:
        connection: asyncpg's connection.
        statements: Name to SQL text.
    """

    def __init__(self, connection: Any, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._statements = statements
        self._prepared: dict[str, Any] = {}

    async def prepare(self, statement: str) -> Any:
        """The prepared ``statement``; the first time it costs a round trip of its own."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = await self._connection.prepare(self._statements[statement])
        return prepared

    async def execute(self, sql: str) -> None:
        """Run ``sql`` once, without a result."""
        await self._connection.execute(sql)

    async def rows(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """The rows that ``statement`` returns; the transaction is committed when they are here."""
        rows: Sequence[Any] = await (await self.prepare(statement)).fetch(*arguments)
        return rows

    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._connection.is_closed())

    def terminate(self) -> None:
        """End the connection at once."""
        self._connection.terminate()


async def open_link(
    address: Address,
    statements: Mapping[str, str],
    ended: Callable[[], None],
    *,
    ahead: Sequence[str],
    first: str = "select 1",
) -> DatabaseLink:
    """Open a connection.

    Args:
        address: Where.
        statements: Name to SQL text.
        ended: Called when the connection has ended, for whatever reason.
        ahead: Names of the statements to prepare now.
        first: SQL to run once before the connection is used.

    Raises:
        OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: When it cannot be opened in time.
    """
    async with asyncio.timeout(OPEN_WITHIN_S):
        connection = await asyncpg.connect(
            host=address.host,
            port=address.port,
            user=NAME,
            database=NAME,
            ssl=False,
            timeout=OPEN_WITHIN_S,
            server_settings=SETTINGS,
        )
        link = DatabaseLink(connection, statements)
        try:
            for name in ahead:
                await link.prepare(name)
            await link.execute(first)  # asyncpg leaves the transaction of a preparation open; this ends it
        except BaseException:
            connection.terminate()
            raise
    connection.add_termination_listener(lambda _connection: ended())
    return link
