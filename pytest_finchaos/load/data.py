"""Test data: made from a format, read from a file, or asked of the ledger's database; bounded, without card numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finchaos.load.request import refuse_card_number
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.matchers import find, missing
from pytest_finchaos.model.spec import DataSpec

MAX_BYTES = 16 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 50

Query = Callable[[str, str], tuple[Sequence[str], Sequence[Sequence[Any]]]]
"""Name of a source and its query; gives the names of the columns and the rows."""


def read(sources: Mapping[str, DataSpec], query: Query | None = None) -> dict[str, DataSpec]:
    """The sources with their rows, as they are now.

    Args:
        sources: As declared.
        query: Asks the ledger's database, for sources that are queries.

    Raises:
        UserError: A source is empty, too large, not readable, or holds what looks like a card number.
    """
    return {name: _read(source, query) for name, source in sources.items()}


def _read(source: DataSpec, query: Query | None) -> DataSpec:
    where = f"data {source.name!r}"
    if source.file is not None:
        columns, rows = _of_file(source.file, source.column, f"{where}: {source.file}")
    elif source.query is not None:
        if query is None:
            raise UserError(where, "is a query, and the environment's ledger has no SQL connection")
        columns, rows = _of_query(query(source.name, source.query), where)
    else:
        return source
    if not rows:
        raise UserError(where, "holds no value", cure="put one row in at least")
    for number, row in enumerate(rows, start=1):
        for value in row:
            refuse_card_number(str(value), f"{where}: row {number}")
    return replace(source, columns=tuple(columns), rows=tuple(map(tuple, rows)))


def size(source: DataSpec) -> int:
    """How many rows a source has."""
    return len(source.rows) if source.rows else source.count


def placeholders(source: DataSpec) -> list[str]:
    """The placeholders that a source fills, without braces: its name, or its name with a column."""
    if not source.rows:
        return [source.name]
    named = [f"{source.name}.{column}" for column in source.columns if column]
    return [source.name, *named] if len(source.columns) == 1 else named


def values(source: DataSpec, rank: int) -> dict[str, Any]:
    """Placeholder values of one row.

    Args:
        source: Read (see `read`), or a format.
        rank: 0 for the first row, or the first number of a format.
    """
    if not source.rows:
        return {source.name: source.format.format(n=rank + 1)}
    row = source.rows[rank]
    found = {f"{source.name}.{column}": value for column, value in zip(source.columns, row, strict=True) if column}
    return {source.name: row[0], **found} if len(row) == 1 else found


def _of_file(path: Path, column: str | None, where: str) -> tuple[list[str], list[list[Any]]]:
    text = _text(path, where)
    if path.suffix == ".csv":
        columns, rows = _csv(text, where)
    elif path.suffix in (".jsonl", ".ndjson"):
        return _json_lines(text, column, where)
    else:
        if column is not None:
            raise UserError(where, "has plain lines, which have no columns", cure="leave 'column' out, or use .csv")
        columns, rows = [""], [[line.strip()] for line in text.splitlines() if line.strip()]
    _bounded(rows, where)
    if column is None:
        return columns, rows
    if column not in columns:
        raise UserError(where, f"has no column {column!r}", allowed=columns, got=column)
    at = columns.index(column)
    return [column], [[row[at]] for row in rows]


def _text(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(where, f"cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise UserError(where, f"is larger than {MAX_BYTES // 1024 // 1024} MiB", cure="keep a part of it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(where, f"is not UTF-8: {error.reason} at byte {error.start}") from None


def _csv(text: str, where: str) -> tuple[list[str], list[list[Any]]]:
    try:
        header, *rows = [cells for cells in csv.reader(io.StringIO(text), strict=True) if cells] or [[]]
    except csv.Error as error:
        raise UserError(where, f"is no CSV: {error}") from None
    if not header or len(set(header)) != len(header) or not all(name.strip() for name in header):
        raise UserError(where, f"needs a first row with the names of the columns, each once, not {header}")
    for number, cells in enumerate(rows, start=2):
        if len(cells) != len(header):
            raise UserError(where, f"row {number} has {len(cells)} cells, the header {len(header)}")
    return header, list(rows)


def _json_lines(text: str, column: str | None, where: str) -> tuple[list[str], list[list[Any]]]:
    columns: list[str] = [] if column is None else [column]
    rows: list[list[Any]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            plain = json.loads(line)
        except ValueError as error:
            raise UserError(where, f"line {number} is no JSON: {error}") from None
        if isinstance(plain, Mapping) and not columns:
            columns = list(plain)
        found = [find(plain, name) for name in columns] if isinstance(plain, Mapping) else [plain]
        for name, value in zip(columns or [""], found, strict=False):
            if missing(value):
                raise UserError(where, f"line {number} has nothing at {name!r}")
            _scalar(value, f"{where}: line {number}")
        if rows and len(found) != len(rows[0]):
            raise UserError(where, f"line {number} holds {len(found)} values, the first one {len(rows[0])}")
        rows.append(found)
        _bounded(rows, where)
    return columns or [""], rows


def _of_query(answer: tuple[Sequence[str], Sequence[Sequence[Any]]], where: str) -> tuple[list[str], list[list[Any]]]:
    columns, rows = answer
    _bounded(rows, where)
    for number, row in enumerate(rows, start=1):
        for value in row:
            _scalar(value, f"{where}: row {number}")
    return list(columns), [list(row) for row in rows]


def _bounded(rows: Sequence[Sequence[Any]], where: str) -> None:
    if len(rows) > MAX_ROWS:
        raise UserError(where, f"has more than {MAX_ROWS} rows", cure="keep a part of it")
    if rows and len(rows[0]) > MAX_COLUMNS:
        raise UserError(where, f"has more than {MAX_COLUMNS} columns", cure="name the column that is meant")


def _scalar(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = "null" if value is None else type(value).__name__
        raise UserError(where, f"holds a value that is no text and no whole number ({kind})", cure="cast it to text")


def unfilled(sources: Iterable[DataSpec]) -> list[str]:
    """Names of sources that are still to be read."""
    return [source.name for source in sources if not source.rows and (source.file or source.query)]
