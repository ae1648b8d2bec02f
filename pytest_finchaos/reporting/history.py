"""Runs of the past in one SQLite file: added once each, readable after their folders are gone."""

from __future__ import annotations

import enum
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.reporting import document as documents
from pytest_finchaos.slo import attempts

FILE = "history.sqlite"
VERSION = 1
APPLICATION = 0x46434853  # "FCHS": tells the file from other databases
_WAIT_S = 30.0
_CURE = "move it away and run the command again: it is made anew from the run folders that are still there"
_BULKY: dict[str, Any] = {"series": None, "events": [], "generator": None}
_TABLES = """
CREATE TABLE run (
    id TEXT NOT NULL, digest TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT NOT NULL,
    verdict TEXT NOT NULL, drills INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (id, digest)
) STRICT;
CREATE INDEX run_by_time ON run (started_at);
"""


class Added(enum.Enum):
    """What adding a run did."""

    NEW = "new"
    KNOWN = "known"
    CHANGED = "changed"  # the run was known with another content; both are kept


@dataclass(frozen=True, slots=True)
class Past:
    """The runs of a stretch of time.

    Args:
        runs: Oldest first; of a run that was added with different contents, all of them.
        changed: Ids of runs that were added with different contents.
    """

    runs: tuple[RunResult, ...]
    changed: tuple[str, ...] = ()


class History:
    """The file, open.

    Args:
        path: The file, for messages.
        connection: To it, in autocommit.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def add(self, document: Mapping[str, Any]) -> Added:
        """Add a parsed ``report.json``; the same one again changes nothing.

        Points of charts and single events stay in the run's folder.

        Raises:
            UserError: The document is no report, or the file cannot be written.
        """
        run = documents.from_document(document)
        digest = hashlib.sha256(documents.to_text(document).encode("utf-8", "backslashreplace")).hexdigest()
        drills = [{**entry, **_BULKY} for entry in document["drills"]]
        packed = zlib.compress(documents.to_text({**document, "drills": drills}).encode("utf-8", "backslashreplace"))
        with self._transaction():
            known = self._connection.execute("SELECT digest FROM run WHERE id = ?", (run.run.id,)).fetchall()
            if (digest,) in known:
                return Added.KNOWN
            self._connection.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    run.run.id,
                    digest,
                    _utc(run.run.started_at),
                    _utc(run.run.ended_at),
                    run.verdict.value,
                    len(drills),
                    packed,
                ),
            )
        return Added.CHANGED if known else Added.NEW

    def since(self, instant: str) -> Past:
        """The runs that began at or after an instant; those without a date are among them.

        Args:
            instant: ISO 8601 UTC.

        Raises:
            UserError: The file is damaged.
        """
        with _telling(self._path):
            rows = self._connection.execute(
                "SELECT id, document FROM run WHERE started_at >= ? OR started_at = '' ORDER BY started_at, id, digest",
                (_utc(instant),),
            ).fetchall()
        runs = tuple(self._unpack(name, packed) for name, packed in rows)
        names = [name for name, _ in rows]
        return Past(runs, tuple(sorted({name for name in names if names.count(name) > 1})))

    def _unpack(self, name: str, packed: bytes) -> RunResult:
        try:
            document = json.loads(zlib.decompress(packed))
        except (zlib.error, ValueError):
            raise UserError(str(self._path), f"run {name} in it is damaged", cure=_CURE) from None
        return documents.from_document(document, f"{self._path}: run {name}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _telling(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


@contextmanager
def open_history(path: Path) -> Iterator[History]:
    """The history in a file, made when missing.

    One writer at a time; a write is there whole or not at all, also after a power loss. No other file stays beside it.

    Raises:
        UserError: No database, another program's, damaged, written by a newer version, or not writable.
    """
    with _telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        with _telling(path):
            connection.execute("PRAGMA journal_mode = DELETE")  # one file that can be copied, also over a network
            connection.execute("PRAGMA synchronous = FULL")
            _prepare(path, connection)
        yield History(path, connection)
    finally:
        connection.close()


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION:
            raise UserError(str(path), "is a database of another program", cure="name another file with --history")
        if version > VERSION:
            raise UserError(
                str(path),
                f"its layout is {version}, this version reads {VERSION}",
                cure="install a newer pytest-finchaos, or name another file with --history",
            )
        if not tables:
            for statement in _TABLES.strip().split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        elif (problem := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise UserError(str(path), f"is damaged: {problem}", cure=_CURE)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what SQLite says into what a person can act on."""
    try:
        yield
    except sqlite3.OperationalError as error:
        cure = "wait for the other command to end" if "locked" in str(error) else "see --history"
        raise UserError(str(path), f"cannot be used: {error}", cure=cure) from None
    except sqlite3.DatabaseError as error:
        raise UserError(str(path), f"is damaged or no history: {error}", cure=_CURE) from None
    except OSError as error:
        raise UserError(str(path), f"cannot be used: {error.strerror or error}", cure="see --history") from None


def _utc(instant: str) -> str:
    """The instant in one spelling that sorts as text; "" when it is none."""
    parsed = attempts.instant(instant)
    return "" if parsed is None else parsed.isoformat(timespec="milliseconds")
