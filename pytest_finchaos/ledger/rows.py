"""From what a ledger gives to typed rows: each column of the right type, each amount a whole number of minor units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from pytest_finchaos.load.request import dig
from pytest_finchaos.model import currency
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Balance, Entry, Extract, Payment

TABLES: Mapping[str, type[Any]] = {"payments": Payment, "entries": Entry, "balances": Balance}
MAX_ROWS = 2_000_000
_MONEY = frozenset({"amount_minor", "balance_after_minor", "opening_minor", "balance_minor"})
_CONSTANT = "="
_CAST = "money is whole minor units: cast it, e.g. (amount * 100)::bigint; never through float"
_MAJOR = 'decimal text or whole numbers for amount = "major"; never a float'


@dataclass(frozen=True, slots=True)
class Typing:
    """How the rows of one table are read.

    Args:
        where: The table's place in the configuration, for messages.
        amount: ``minor`` or ``major``.
    """

    where: str
    amount: str = "minor"

    def rows(self, kind: type[Any], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        """Rows whose cells stand in the order of the fields of ``kind``.

        Args:
            kind: What a row is.
            names: Names of the columns as the ledger calls them.
            rows: The rows.

        Raises:
            UserError: The number of columns or a type does not fit.
        """
        wanted = columns(kind)
        if len(names) != len(wanted):
            text = f"gave {len(names)} columns ({', '.join(names)}), not {len(wanted)}"
            raise UserError(self.where, text, cure=f"select, in this order: {', '.join(wanted)}")
        if self.amount == "major":
            rows = [self._minor(list(wanted), row) for row in rows]
        types = tuple(wanted.values())
        for row in rows:
            if tuple(map(type, row)) != types:
                self._mistyped(names, wanted, row)
        return tuple(kind(*row) for row in rows)

    def items(self, kind: type[Any], items: Sequence[Any], paths: Mapping[str, str]) -> tuple[Any, ...]:
        """Rows out of parsed JSON.

        Args:
            kind: What a row is.
            items: One object for each row.
            paths: Our name of a column to its dotted path, or to ``=`` and a constant; a column without one is empty.

        Raises:
            UserError: A path leads nowhere, or a type does not fit.
        """
        wanted = columns(kind)
        cells = [_cell(paths.get(name), type_of) for name, type_of in wanted.items()]
        rows = []
        for number, item in enumerate(items, start=1):
            row = [cell(item) for cell in cells]
            for name, value in zip(wanted, row, strict=True):
                if value is None:
                    raise UserError(f"{self.where}.fields.{name}", f"item {number} has nothing at {paths[name]!r}")
            rows.append(row)
        return self.rows(kind, [paths.get(name, "") for name in wanted], rows)

    def _minor(self, names: Sequence[str], row: Sequence[Any]) -> list[Any]:
        code = row[names.index("currency")]
        done = list(row)
        for at, name in enumerate(names):
            value = row[at]
            if name not in _MONEY:
                continue
            if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
                raise UserError(self.where, f"column {at + 1} is {name} and {_kind(value)}", cure=_MAJOR)
            try:
                done[at] = currency.minor(value, code if isinstance(code, str) else "")
            except ValueError as error:
                raise UserError(self.where, f"column {at + 1} ({name}): {error}", cure=_MAJOR) from None
        return done

    def _mistyped(self, names: Sequence[str], wanted: Mapping[str, type], row: Sequence[Any]) -> None:
        for number, (value, (column, kind)) in enumerate(zip(row, wanted.items(), strict=True), start=1):
            if type(value) is kind:
                continue
            text = f"column {number} ({names[number - 1]}) is {column} and must be {kind.__name__}, not {_kind(value)}"
            raise UserError(self.where, text, cure=_CAST if kind is int else "cast it: column::text")


def columns(kind: type[Payment | Entry | Balance]) -> dict[str, type]:
    """Name to type of the columns of a table, in their order."""
    return {field.name: int if field.type == "int" else str for field in fields(kind)}


def extract(read: Callable[[str], Sequence[Any]], given: Sequence[str], taken_at_ns: int) -> Extract:
    """An extract of the tables that a ledger gives.

    Args:
        read: Gives the rows of one table.
        given: Names of the tables that are configured.
        taken_at_ns: CLOCK_MONOTONIC.
    """
    tables = {name: tuple(read(name)) if name in given else () for name in TABLES}
    return Extract(tables["payments"], tables["entries"], tables["balances"], taken_at_ns=taken_at_ns)


def whole_number(value: Any, where: str) -> int:
    """How much is under way, from what a ledger says; half an event is under way, too.

    Raises:
        UserError: It is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UserError(where, f"must give a number, gave {_kind(value)}")
    return int(value) + (value % 1 > 0)


def _cell(path: str | None, kind: type) -> Callable[[Any], Any]:
    """Reads one column out of an item; ids that are numbers become text, for ours are text."""
    if path is None:
        return lambda _item: kind()
    if path.startswith(_CONSTANT):
        constant = path.removeprefix(_CONSTANT)
        return lambda _item: constant

    def read(item: Any) -> Any:
        value = dig(item, path)
        return str(value) if kind is str and isinstance(value, int) and not isinstance(value, bool) else value

    return read


def _kind(value: Any) -> str:
    return "NULL" if value is None else type(value).__name__
