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
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.rows import MAX_ROWS, TABLES, Typing, whole_number
from pytest_finchaos.ledger.rows import extract as rows_of
from pytest_finchaos.ledger.target import Target, refuse_host
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec
from pytest_finchaos.runtime.clock import Clock, SystemClock

if TYPE_CHECKING:
    import psycopg


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
            tables = rows_of(partial(self._table, connection), tuple(self._ledger.queries), self._clock.now_ns())
            return Look(busy, tables)

    def ask(self, name: str, query: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Names of the columns and rows of one query of a data source; see `load.data.read`.

        Raises:
            LedgerUnreachable: No answer in time.
            UserError: The query does not fit.
        """
        where = f"{self._where.removesuffix('.ledger')}.data.{name}.query"
        with self._errors(), self._connection() as connection:
            return self._fetch(connection, name, query, where)

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
        url = self._target.database_url(self._ledger.component or "")
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
        where = f"{self._where}.queries.busy"
        with self._named("busy", where):
            row = connection.execute(query.encode()).fetchone()
        if row is None or len(row) != 1:
            raise UserError(where, f"must give one row with one number, gave {row!r}")
        return whole_number(row[0], where)

    def _table(self, connection: psycopg.Connection[tuple[Any, ...]], name: str) -> Sequence[Any]:
        names, rows = self._fetch(connection, name, self._ledger.queries[name], f"{self._where}.queries.{name}")
        return Typing(f"{self._where}.queries.{name}", self._ledger.amount).rows(TABLES[name], names, rows)

    def _fetch(
        self, connection: psycopg.Connection[tuple[Any, ...]], name: str, query: str, where: str
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Rows of a query through a cursor of the server, so that too many are never brought here."""
        with self._named(name, where), connection.cursor(f"finchaos_{name}") as cursor:
            cursor.execute(query.encode())
            rows = cursor.fetchmany(self._max_rows + 1)
            names = [column.name for column in cursor.description or ()]
        if len(rows) > self._max_rows:
            text = f"gave more than {self._max_rows} rows"
            raise UserError(where, text, cure="narrow it, e.g. to this year's payments")
        return names, rows

    @contextmanager
    def _named(self, query: str, where: str) -> Iterator[None]:
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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
