"""The ledger over SQL: four queries of the configuration, read in one snapshot, checked by type."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Balance, Entry, Extract, Payment
from pytest_finchaos.runtime.clock import Clock

if TYPE_CHECKING:
    import psycopg

CONNECT_WITHIN_S = 5
STATEMENT_WITHIN_S = 30
MAX_ROWS = 2_000_000  # of one query: about 1 GB in memory
BATCH = 10_000

Record = TypeVar("Record", Payment, Entry, Balance)


class UnreachableError(UserError):
    """The database does not answer now; it may do so later."""


class SqlLedger:
    """A read-only connection to the database of the ledger.

    Args:
        url: ``postgresql://user@host:port/database``.
        queries: ``payments``, ``entries``, ``balances``, ``busy``: SQL text, columns in the order of the dataclasses.
        clock: Dates the extracts.
        max_rows: Most rows that one query may return.

    Raises:
        UnreachableError: The database does not answer.
        UserError: psycopg is not installed.
    """

    def __init__(self, url: str, queries: Mapping[str, str], *, clock: Clock, max_rows: int = MAX_ROWS) -> None:
        self._psycopg = _psycopg()
        self._queries = queries
        self._clock = clock
        self._max_rows = max_rows
        self._where = f"ledger at {_without_user(url)}"
        try:
            self._connection: psycopg.Connection[tuple[Any, ...]] = self._psycopg.connect(
                url,
                connect_timeout=CONNECT_WITHIN_S,
                application_name="finchaos-ledger",
                options=f"-c statement_timeout={STATEMENT_WITHIN_S}s",
            )
        except self._psycopg.Error as error:
            raise UnreachableError(self._where, f"the database does not answer: {_one_line(error)}") from None
        self._connection.isolation_level = self._psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True

    def close(self) -> None:
        """Close the connection."""
        with suppress(self._psycopg.Error):
            self._connection.close()

    def busy(self) -> int | Decimal:
        """How much the system still has to do; 0 when quiet.

        Raises:
            UnreachableError: The connection is lost.
            UserError: The query fails, or returns something other than one number.
        """
        with self._snapshot():
            rows = self._rows("busy")
        value = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows[:2]
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise UserError(_query("busy"), f"must return one number, returned {value!r}")
        return value

    def extract(self) -> Extract:
        """Payments, entries and balances of one instant, sorted, so that equal ledgers give equal extracts.

        Raises:
            UnreachableError: The connection is lost.
            UserError: A query fails, returns too many rows, or a column has the wrong type.
        """
        taken_at_ns = self._clock.now_ns()
        with self._snapshot():
            payments = self._records("payments", Payment)
            entries = self._records("entries", Entry)
            balances = self._records("balances", Balance)
        return Extract(
            payments=tuple(sorted(payments, key=lambda row: (row.key, row.id))),
            entries=tuple(sorted(entries, key=lambda row: (row.account, row.version, row.payment_id))),
            balances=tuple(sorted(balances, key=lambda row: (row.account, row.currency))),
            taken_at_ns=taken_at_ns,
        )

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        try:
            with self._connection.transaction():
                yield
        except self._psycopg.errors.QueryCanceled as error:
            raise UserError(self._where, f"a query was cancelled: {_one_line(error)}") from None
        except self._psycopg.OperationalError as error:
            raise UnreachableError(self._where, f"the connection is lost: {_one_line(error)}") from None
        except self._psycopg.Error as error:
            raise UserError(self._where, f"a query fails: {_one_line(error)}") from None

    def _rows(self, name: str) -> list[tuple[Any, ...]]:
        text = self._queries.get(name)
        if text is None:
            raise UserError(_query(name), "is missing", allowed=("payments", "entries", "balances", "busy"))
        rows: list[tuple[Any, ...]] = []
        try:
            with self._connection.cursor(name=f"finchaos_{name}") as cursor:  # server-side: a limit that holds
                cursor.execute(text.strip().rstrip(";").encode())
                while batch := cursor.fetchmany(BATCH):
                    rows += batch
                    if len(rows) > self._max_rows:
                        raise UserError(
                            _query(name),
                            f"returns more than {self._max_rows} rows",
                            cure="select the rows of the drill, e.g. by time",
                        )
        except (self._psycopg.errors.QueryCanceled, self._psycopg.OperationalError):
            raise
        except self._psycopg.Error as error:
            raise UserError(_query(name), f"fails: {_one_line(error)}") from None
        return rows

    def _records(self, name: str, kind: type[Record]) -> list[Record]:
        columns = dataclasses.fields(kind)
        rows = self._rows(name)
        if rows and len(rows[0]) != len(columns):
            wanted = ", ".join(column.name for column in columns)
            raise UserError(_query(name), f"returns {len(rows[0])} columns, not {len(columns)}: {wanted}")
        readers: list[tuple[str, Callable[[Any, str, str], Any]]] = [
            (column.name, _whole if column.type == "int" else _text) for column in columns
        ]
        return [
            kind(*(read(value, name, column) for value, (column, read) in zip(row, readers, strict=True)))
            for row in rows
        ]


def _whole(value: Any, query: str, column: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UserError(
        _query(query),
        f"column {column} must be a whole number, found {type(value).__name__} {value!r}",
        cure=f"select whole minor units, e.g. ({column})::bigint",
    )


def _text(value: Any, query: str, column: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, uuid.UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise UserError(
        _query(query),
        f"column {column} must be text, found {type(value).__name__} {value!r}",
        cure=f"select ({column})::text, without nulls",
    )


def _query(name: str) -> str:
    return f"ledger.queries.{name}"


def _psycopg() -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        raise UserError(
            "ledger.adapter", f"sql needs psycopg: {error}", cure="pip install 'pytest-finchaos[postgres]'"
        ) from None
    return psycopg


def _without_user(url: str) -> str:
    parts = urlsplit(url)  # a password must not reach a message
    return f"{parts.hostname}:{parts.port}{parts.path}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
