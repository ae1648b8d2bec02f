"""What ``--ledger URL`` says: driver, connection, and for SQLite the tables that are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pytest_finchaos.model.errors import UserError

CURE = "sqlite:///relative.db, sqlite:////absolute.db or postgresql://USER@HOST:PORT/DATABASE"
TABLES = 20
NAMES = "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%' order by 1"
QUERIES = {
    "payments": (
        "select idempotency_key, cast(id as text), amount_minor, currency, debtor, creditor, status from payments"
    ),
    "entries": (
        "select cast(payment_id as text), account, version, amount_minor, currency, balance_after_minor from entries"
    ),
    "balances": "select account, currency, opening_minor, balance_minor, version from accounts",
}


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where the money can be read.

    Args:
        driver: Module of the DB-API driver.
        connect: Its keyword arguments.
        remark: What to know of them.
        seen: Tables that were found there, one line each.
        queries: SQL to begin with.
    """

    driver: str
    connect: Mapping[str, Any]
    remark: str = ""
    seen: tuple[str, ...] = ()
    queries: Mapping[str, str] = field(default_factory=lambda: QUERIES)


def of(url: str, folder: Path) -> Ledger:
    """The ledger that a URL names.

    Args:
        url: As SQLAlchemy writes it.
        folder: What a relative path starts from.

    Raises:
        UserError: Another kind of database, or a SQLite file that is not there.
    """
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        return _sqlite(parts.path, folder)
    if kind in ("postgresql", "postgres"):
        return _postgresql(url)
    raise UserError("--ledger", f"{parts.scheme!r} is not known", allowed=("sqlite", "postgresql"), cure=CURE)


def _sqlite(given: str, folder: Path) -> Ledger:
    name = unquote(given.removeprefix("/"))
    path = (folder / name).resolve()
    if not name or not path.is_file():
        raise UserError("--ledger", f"no file {path}", cure="start the system once, so that it makes its database")
    return Ledger("sqlite3", {"database": str(path)}, seen=tables(path))


def tables(path: Path) -> tuple[str, ...]:
    """Tables with their columns, read only.

    Raises:
        UserError: It is no SQLite database.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            names = [str(row[0]) for row in connection.execute(NAMES)][:TABLES]
            return tuple(f"{name}({', '.join(_columns(connection, name))})" for name in names)
    except sqlite3.Error as error:
        raise UserError("--ledger", f"{path} cannot be read: {error}", cure="name an SQLite database") from None


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[0]) for row in connection.execute("select name from pragma_table_info(?)", (table,))]


def _postgresql(url: str) -> Ledger:
    parts = urlsplit(url)
    try:
        port = parts.port or 5432
    except ValueError:
        raise UserError("--ledger", f"{url!r} has no usable port", cure=CURE) from None
    database = unquote(parts.path.strip("/"))
    if not parts.hostname or not database:
        raise UserError("--ledger", "host and database are wanted", cure=CURE)
    connect: dict[str, Any] = {"host": parts.hostname, "port": port, "dbname": database}
    if parts.username:
        connect["user"] = unquote(parts.username)
    if parts.password is None:
        return Ledger("psycopg", connect, "no password here: PGPASSWORD or ~/.pgpass")
    connect["password"] = "{env.LEDGER_PASSWORD}"  # noqa: S105 - a placeholder: the password itself is not written
    return Ledger("psycopg", connect, "set LEDGER_PASSWORD when pytest runs; no secret stands here")
