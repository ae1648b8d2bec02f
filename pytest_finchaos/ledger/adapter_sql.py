"""Reads the ledger out of PostgreSQL with the queries of the configuration, past the fault proxies.

Each look is one read-only transaction with one snapshot (REPEATABLE READ), on a connection of its own, with limits on
both sides: the server's for each statement, and one of ours that closes the socket, for a server that stands still.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.target import Target, refuse_host
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Balance, Entry, Extract, Payment
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec
from pytest_finchaos.runtime.clock import Clock, SystemClock

if TYPE_CHECKING:
    import psycopg

Row = TypeVar("Row", Payment, Entry, Balance)

MAX_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits of one look, in seconds.

    Args:
        connect_s: For a connection; PostgreSQL's client library rounds to seconds, two at least.
        statement_s: For each query, kept by the server.
        look_s: For the whole look, kept here.
    """

    connect_s: int = 5
    statement_s: float = 10.0
    look_s: float = 20.0


class SqlLedger:
    """The SQL adapter.

    Args:
        spec: The environment's declaration.
        ledger: Its ledger.
        target: The running environment.
        clock: The clock.
        deadlines: Limits of each look.
        max_rows: Limit on the rows of each query.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        ledger: LedgerSpec,
        target: Target,
        *,
        clock: Clock | None = None,
        deadlines: Deadlines | None = None,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._where = f"{spec.source}: environments.{spec.name}.ledger"
        self._spec, self._ledger, self._target = spec, ledger, target
        self._clock = clock or SystemClock()
        self._deadlines = deadlines or Deadlines()
        self._max_rows = max_rows

    def look(self, *, though_busy: bool = False) -> Look:
        """See `reader.LedgerReader.look`."""
        with self._errors(), self._connection() as connection:
            busy = self._busy(connection)
            if busy and not though_busy:
                return Look(busy, None)
            extract = Extract(
                payments=self._rows(connection, "payments", Payment),
                entries=self._rows(connection, "entries", Entry),
                balances=self._rows(connection, "balances", Balance),
                taken_at_ns=self._clock.now_ns(),
            )
            return Look(busy, extract)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        psycopg = _driver(self._where)
        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise LedgerUnreachable(f"the ledger does not answer: {_first_line(error)}") from None
        except psycopg.Error as error:
            cure = "run the query by hand; it must be one SELECT"
            raise UserError(f"{self._where}.queries", _first_line(error), cure=cure) from None

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        psycopg = _driver(self._where)
        url = self._target.database_url(self._ledger.component)
        refuse_host(url, self._spec)
        connection = psycopg.connect(url, connect_timeout=self._deadlines.connect_s, application_name="finchaos ledger")
        wire = socket.socket(fileno=os.dup(connection.fileno()))
        alarm = threading.Timer(self._deadlines.look_s, _hang_up, [wire])
        alarm.daemon = True
        alarm.start()
        try:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute(f"set local statement_timeout = {int(self._deadlines.statement_s * 1000)}".encode())
            yield connection
        finally:
            alarm.cancel()
            connection.close()
            wire.close()

    def _busy(self, connection: psycopg.Connection[tuple[Any, ...]]) -> int:
        query = self._ledger.queries.get("busy")
        if query is None:
            return 0
        with self._named("busy"):
            row = connection.execute(query.encode()).fetchone()
        where = f"{self._where}.queries.busy"
        if row is None or len(row) != 1:
            raise UserError(where, f"must give one row with one number, gave {row!r}")
        number = row[0]
        if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
            raise UserError(where, f"must give a number, gave {type(number).__name__}")
        return int(number) + (number % 1 > 0)  # half an event is under way, too

    def _rows(self, connection: psycopg.Connection[tuple[Any, ...]], name: str, kind: type[Row]) -> tuple[Row, ...]:
        """Rows of a query through a cursor of the server, so that too many are never brought here."""
        with self._named(name), connection.cursor(f"finchaos_{name}") as cursor:
            cursor.execute(self._ledger.queries[name].encode())
            rows = cursor.fetchmany(self._max_rows + 1)
            names = [column.name for column in cursor.description or ()]
        if len(rows) > self._max_rows:
            text = f"gave more than {self._max_rows} rows"
            raise UserError(f"{self._where}.queries.{name}", text, cure="narrow it, e.g. to this year's payments")
        return self._typed(name, kind, names, rows)

    def _typed(
        self, name: str, kind: type[Row], names: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> tuple[Row, ...]:
        wanted = [(field.name, int if field.type == "int" else str) for field in fields(kind)]
        columns = [column for column, _ in wanted]
        where = f"{self._where}.queries.{name}"
        if len(names) != len(wanted):
            text = f"gave {len(names)} columns ({', '.join(names)}), not {len(wanted)}"
            raise UserError(where, text, cure=f"select, in this order: {', '.join(columns)}")
        types = tuple(kind_of for _, kind_of in wanted)
        for row in rows:
            if tuple(map(type, row)) != types:
                self._mistyped(where, names, wanted, row)
        return tuple(kind(*row) for row in rows)

    def _mistyped(
        self, where: str, names: Sequence[str], wanted: Sequence[tuple[str, type]], row: tuple[Any, ...]
    ) -> None:
        for number, (value, (column, kind)) in enumerate(zip(row, wanted, strict=True), start=1):
            if type(value) is kind:
                continue
            text = f"column {number} ({names[number - 1]}) is {column} and must be {kind.__name__}, not {_kind(value)}"
            cure = "cast it: column::text"
            if kind is int:
                cure = "money is whole minor units: cast it, e.g. (amount * 100)::bigint; never through float"
            raise UserError(where, text, cure=cure)

    @contextmanager
    def _named(self, query: str) -> Iterator[None]:
        """Errors that a query causes name it."""
        psycopg = _driver(self._where)
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            text = f"query {query!r} did not end within {self._deadlines.statement_s:g} s ({_first_line(error)})"
            raise LedgerUnreachable(text) from None
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except psycopg.Error as error:
            where = f"{self._where}.queries.{query}"
            raise UserError(where, _first_line(error), cure="run it by hand; it must be one SELECT") from None


def _driver(where: str) -> Any:
    """The DB-API driver, imported when first needed."""
    try:
        import psycopg
    except ImportError:
        raise UserError(
            where, "the adapter 'sql' needs psycopg", cure="pip install 'pytest-finchaos[postgres]'"
        ) from None
    return psycopg


def _hang_up(wire: socket.socket) -> None:
    """End a connection from another thread: whoever waits on it wakes up with an error."""
    try:
        wire.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # ended by itself


def _kind(value: Any) -> str:
    return "NULL" if value is None else type(value).__name__


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
