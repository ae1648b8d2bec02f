"""Reads the ledger through any DB-API 2 driver (PEP 249) with the queries of the configuration.

Each look is one transaction on a connection of its own, in a thread of its own: PEP 249 knows no deadline, so the look
is waited for, and given up when it takes too long. SQLite files are opened read-only and interrupted.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pytest_finchaos.ledger.connect import SQLITE, Destination, destination
from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.rows import MAX_ROWS, TABLES, Typing, extract, whole_number
from pytest_finchaos.ledger.target import Target
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec
from pytest_finchaos.runtime.clock import Clock, SystemClock

Found = TypeVar("Found")

LOOK_S = 20.0
CONNECT_S = 5.0
# One snapshot for all queries of a look, where the driver's default is less. Others set it by the query 'begin'.
_BEGIN = {
    SQLITE: "begin",
    "psycopg": "set transaction isolation level repeatable read, read only",
    "psycopg2": "set transaction isolation level repeatable read, read only",
    "pg8000.dbapi": "set transaction isolation level repeatable read, read only",
}
_SQLITE_TRIES_AGAIN = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT", "SQLITE_IOERR", "SQLITE_CANTOPEN")


@dataclass(slots=True)
class _Job:
    """One look, under way in a thread."""

    thread: threading.Thread
    connection: Any = None
    result: Any = None
    error: BaseException | None = None


class DbApiLedger:
    """The SQL adapter for a driver.

    Args:
        spec: The environment's declaration.
        ledger: Its ledger.
        target: The running environment.
        clock: The clock.
        look_s: Limit of each look in seconds.
        max_rows: Limit on the rows of each query.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        ledger: LedgerSpec,
        target: Target,
        *,
        clock: Clock | None = None,
        look_s: float = LOOK_S,
        max_rows: int = MAX_ROWS,
    ) -> None:
        assert ledger.driver is not None
        self._where = f"{spec.source}: environments.{spec.name}.ledger"
        self._driver_name = ledger.driver
        self._ledger, self._target = ledger, target
        self._clock = clock or SystemClock()
        self._look_s, self._max_rows = look_s, max_rows
        self._begin = ledger.queries.get("begin") or _BEGIN.get(ledger.driver)
        self._there = Destination({})
        self._stuck: _Job | None = None

    def look(self, *, though_busy: bool = False) -> Look:
        """See `reader.LedgerReader.look`."""
        return self._bounded(partial(self._look, though_busy=though_busy))

    def ask(self, name: str, query: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Names of the columns and rows of one query of a data source; see `load.data.read`.

        Raises:
            LedgerUnreachable: No answer in time.
            UserError: The query does not fit.
        """
        where = f"{self._where.removesuffix('.ledger')}.data.{name}.query"
        return self._bounded(lambda connection: self._fetch(connection, query, where))

    def _look(self, connection: Any, *, though_busy: bool) -> Look:
        whole = self._begin is not None
        busy = self._busy(connection)
        if busy and not though_busy:
            return Look(busy, None, whole)
        queries = tuple(self._ledger.queries)
        return Look(busy, extract(partial(self._table, connection), queries, self._clock.now_ns()), whole)

    def _busy(self, connection: Any) -> int:
        if "busy" not in self._ledger.queries:
            return 0
        where = f"{self._where}.queries.busy"
        _, rows = self._fetch(connection, self._ledger.queries["busy"], where)
        if len(rows) != 1 or len(rows[0]) != 1:
            raise UserError(where, "must give one row with one number")
        return whole_number(rows[0][0], where)

    def _table(self, connection: Any, name: str) -> Sequence[Any]:
        where = f"{self._where}.queries.{name}"
        names, rows = self._fetch(connection, self._ledger.queries[name], where)
        return Typing(where, self._ledger.amount).rows(TABLES[name], names, rows)

    def _fetch(self, connection: Any, query: str, where: str) -> tuple[list[str], list[Sequence[Any]]]:
        driver, cursor = self._driver(), connection.cursor()
        try:
            cursor.execute(query)
            rows = list(cursor.fetchmany(self._max_rows + 1)) if cursor.description else []
            names = [str(column[0]) for column in cursor.description or ()]
        except driver.Error as error:
            if _unreachable(driver, error):
                raise
            raise UserError(where, self._told(error), cure="run it by hand; it must be one SELECT") from None
        finally:
            cursor.close()
        if len(rows) > self._max_rows:
            text = f"gave more than {self._max_rows} rows"
            raise UserError(where, text, cure="narrow it, e.g. to this year's payments")
        return names, rows

    # -- connection, deadline --------------------------------------------------------------------------------------

    def _bounded(self, work: Callable[[Any], Found]) -> Found:
        """``work`` on a connection, in a thread, within the limit."""
        if self._stuck is not None and self._stuck.thread.is_alive():
            raise LedgerUnreachable(f"the ledger does not answer: the look before has not ended in {self._look_s:g} s")
        there = destination(self._driver_name, self._ledger.connect, self._target, f"{self._where}.connect")
        self._there = there
        job = _Job(threading.Thread(target=lambda: self._run(job, there, work), name="finchaos ledger", daemon=True))
        job.thread.start()
        job.thread.join(self._look_s)
        if job.thread.is_alive():
            self._stuck = job
            _interrupt(job.connection)
            job.thread.join(1.0)
            raise LedgerUnreachable(f"the ledger does not answer: no end within {self._look_s:g} s")
        if job.error is not None:
            raise self._public(job.error) from None
        found: Found = job.result
        return found

    def _run(self, job: _Job, there: Destination, work: Callable[[Any], Any]) -> None:
        try:
            job.connection = self._connect(there)
            try:
                if self._begin is not None:
                    self._fetch(job.connection, self._begin, f"{self._where}.queries.begin")
                job.result = work(job.connection)
            finally:
                job.connection.close()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the thread
            job.error = error

    def _connect(self, there: Destination) -> Any:
        if self._driver_name != SQLITE:
            return self._driver().connect(**there.arguments)
        import sqlite3

        arguments = {"timeout": CONNECT_S, **there.arguments}
        path = Path(arguments.pop("database"))
        arguments |= {"uri": True, "check_same_thread": False, "isolation_level": None}
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", **arguments)

    def _driver(self) -> Any:
        try:
            module = importlib.import_module(self._driver_name)
        except ImportError as error:
            cure = f"install the package of {self._driver_name!r} where pytest runs"
            raise UserError(f"{self._where}.driver", f"cannot be imported: {error}", cure=cure) from None
        if not hasattr(module, "connect") or not hasattr(module, "Error"):
            raise UserError(f"{self._where}.driver", f"{self._driver_name!r} is no DB-API module (PEP 249)")
        return module

    def _public(self, error: BaseException) -> BaseException:
        """An error of the look, as it may be told."""
        driver = self._driver() if not isinstance(error, UserError) else None
        if driver is not None and isinstance(error, driver.Error) and _unreachable(driver, error):
            return LedgerUnreachable(f"the ledger does not answer: {self._told(error)}")
        if driver is not None and isinstance(error, driver.Error | TypeError):  # e.g. an argument that it does not know
            return UserError(f"{self._where}.connect", self._told(error), cure="see the driver's connect()")
        return error

    def _told(self, error: BaseException) -> str:
        lines = str(error).strip().splitlines()
        return self._there.told(lines[0]) if lines else type(error).__name__


def _unreachable(driver: Any, error: BaseException) -> bool:
    """True for what the server or the network did, not the query (PEP 249); SQLite says it by a name of its own."""
    name = getattr(error, "sqlite_errorname", None)
    if name is not None:
        return str(name).startswith(_SQLITE_TRIES_AGAIN)
    kinds = tuple(getattr(driver, name) for name in ("OperationalError", "InterfaceError") if hasattr(driver, name))
    return isinstance(error, kinds)


def _interrupt(connection: Any) -> None:
    """End what a connection is doing, from another thread, where the driver can."""
    names = [name for name in ("interrupt", "cancel") if hasattr(connection, name)]
    if names:
        getattr(connection, names[0])()
