"""Opening one database connection with every statement prepared, so that each call is one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

OPEN_WITHIN_S = 1.0
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
    """A connection and its prepared statements."""

    def __init__(self, connection: Any, statements: Mapping[str, Any]) -> None:
        self._connection = connection
        self._statements = statements

    async def rows(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """The rows that the prepared ``statement`` returns; the transaction is committed when they are here."""
        rows: Sequence[Any] = await self._statements[statement].fetch(*arguments)
        return rows

    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._connection.is_closed())

    def terminate(self) -> None:
        """End the connection at once."""
        self._connection.terminate()


async def open_link(
    address: Address, statements: Mapping[str, str], ended: Callable[[], None], *, first: str = ""
) -> DatabaseLink:
    """Open a connection.

    Args:
        address: Where.
        statements: Name to SQL text.
        ended: Called when the connection has ended, for whatever reason.
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
        try:
            if first:
                await connection.execute(first)
            prepared = {name: await connection.prepare(text) for name, text in statements.items()}
        except BaseException:
            connection.terminate()
            raise
    connection.add_termination_listener(lambda _connection: ended())
    return DatabaseLink(connection, prepared)
