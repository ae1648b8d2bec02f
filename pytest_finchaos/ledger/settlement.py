"""Cuts the settlement file off, fetches and parses it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from pytest_finchaos.ledger.target import Target
from pytest_finchaos.load import client
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.money import SettlementFile, SettlementRow
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules, SettlementSpec
from pytest_finchaos.runtime.clock import Clock

CUT_OFF_WITHIN_S = 10.0
FETCH_WITHIN_S = 30.0
MAX_ROWS = 2_000_000
COLUMNS = ("key", "id", "amount_minor", "currency")
WHERE = "ledger.settlement"


def cut_off(spec: SettlementSpec, target: Target, *, clock: Clock) -> SettlementFile:
    """Close the current settlement file and read it.

    A cut-off without an answer is not repeated: the second one would close another, emptier file.

    Args:
        spec: How.
        target: Where.
        clock: The clock.

    Returns:
        The file.

    Raises:
        UserError: The service does not answer as configured, or the file cannot be read.
    """
    base_url = f"http://{target.direct_address(spec.component)}"
    method, _, path = spec.cut_off.partition(" ")
    closed = _exchange(_operation("cut-off", spec, method, path.strip()), {}, base_url, CUT_OFF_WITHIN_S, clock)
    plain = closed.json
    name = plain.get("file") if isinstance(plain, Mapping) else None
    if not isinstance(name, str) or not name:
        raise UserError(f"{WHERE}.cut_off", f"{spec.cut_off} must answer a JSON object with the text 'file'")
    content = _exchange(_operation("file", spec, "GET", spec.file), {"file": name}, base_url, FETCH_WITHIN_S, clock)
    try:
        text = content.body.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{WHERE}: {name}", f"is not UTF-8: {error}") from None
    return parse(name, text, spec)


def _operation(name: str, spec: SettlementSpec, method: str, path: str) -> OperationSpec:
    rules = OutcomeRules(ok=("2xx",), refused=("4xx",))
    return OperationSpec(name=name, component=spec.component, method=method, path=path, outcomes=rules)


def _exchange(
    operation: OperationSpec, values: Mapping[str, str], base_url: str, within_s: float, clock: Clock
) -> client.Answer:
    answer = client.send(operation, values, base_url, within_s, clock)
    if answer.outcome is not Outcome.OK:
        end = f"HTTP {answer.status}" if answer.status else answer.detail
        raise UserError(f"{WHERE}.{operation.name.replace('-', '_')}", f"{operation.method} {operation.path}: {end}")
    return answer


def parse(name: str, text: str, spec: SettlementSpec) -> SettlementFile:
    """Read a CSV file with a header and, at its end, control totals.

    Args:
        name: Name of the file.
        text: Its content.
        spec: Names of the columns and of the trailer.

    Returns:
        The file; without stated totals when it has no trailer.

    Raises:
        UserError: A column is missing, a line has another number of cells, an amount is no whole number,
            or something follows the trailer.
    """
    where = f"{WHERE}: {name}"
    lines = csv.reader(io.StringIO(text), strict=True)
    try:
        header = next(lines, [])
        positions = [_position(header, spec, column, where) for column in COLUMNS]
        rows: list[SettlementRow] = []
        stated: tuple[int, int] | None = None
        for cells in lines:
            here = f"{where}, line {lines.line_num}"
            if stated is not None:
                raise UserError(here, f"something follows the trailer {spec.trailer}")
            if cells and cells[0] == spec.trailer:
                stated = _totals(cells, here)
                continue
            if len(cells) != len(header):
                raise UserError(here, f"has {len(cells)} cells, the header has {len(header)}")
            key, payment_id, amount, currency = (cells[position] for position in positions)
            rows.append(SettlementRow(key, payment_id, _whole(amount, here), currency))
            if len(rows) > MAX_ROWS:
                raise UserError(where, f"has more than {MAX_ROWS} rows")
    except csv.Error as error:
        raise UserError(f"{where}, line {lines.line_num}", f"is no CSV: {error}") from None
    count, total_minor = stated or (None, None)
    return SettlementFile(name, tuple(rows), count, total_minor)


def _position(header: list[str], spec: SettlementSpec, column: str, where: str) -> int:
    wanted = spec.columns.get(column, column)
    if wanted not in header:
        raise UserError(where, f"has no column {wanted!r}", allowed=header, got=wanted, cure=f"see {WHERE}.columns")
    return header.index(wanted)


def _totals(cells: list[str], where: str) -> tuple[int, int]:
    if len(cells) < 3:
        raise UserError(where, "the trailer must hold a count and a total")
    return _whole(cells[1], where), _whole(cells[2], where)


def _whole(text: str, where: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise UserError(where, f"{text!r} is no whole number of minor units")
    return int(text)
