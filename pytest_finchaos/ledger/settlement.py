"""The settlement file: cut by HTTP, fetched by HTTP, read with the control totals that it states of itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from pytest_finchaos.ledger.target import Asks
from pytest_finchaos.load.client import Answer
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.money import SettlementFile, SettlementRow
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules, SettlementSpec

TIMEOUT_S = 10.0
_ONLY_2XX = OutcomeRules(ok=("2xx",), refused=("4xx",))
_COLUMNS = ("key", "id", "amount_minor", "currency")


class SettlementProblem(Exception):
    """The file could not be had or read; says why."""


def cut_off(settlement: SettlementSpec, api: Asks) -> SettlementFile:
    """Close the current settlement file and read it.

    A cut-off is sent once and never repeated: a second one would close the next, empty file.

    Args:
        settlement: How.
        api: Sends requests.

    Raises:
        SettlementProblem: No answer, no file name in it, or a file that is no such file.
    """
    method, _, path = settlement.cut_off.partition(" ")
    cut = OperationSpec("cut-off", settlement.component, method=method, path=path, outcomes=_ONLY_2XX)
    answer = _ask(api, cut, {})
    name = answer.json.get("file") if isinstance(answer.json, Mapping) else None
    if not isinstance(name, str) or not name:
        raise SettlementProblem(f"{settlement.cut_off} answered without a field 'file'")
    fetch = OperationSpec("settlement-file", settlement.component, path=settlement.file, outcomes=_ONLY_2XX)
    content = _ask(api, fetch, {"file": name}).body
    try:
        return parse(name, content.decode("utf-8-sig"), settlement)
    except UnicodeDecodeError as error:
        raise SettlementProblem(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from None


def _ask(api: Asks, operation: OperationSpec, values: Mapping[str, str]) -> Answer:
    try:
        answer = api.send(operation, values, TIMEOUT_S, direct=True)
    except UserError as error:
        raise SettlementProblem(error.render()) from None
    if answer.outcome is not Outcome.OK:
        how = f"HTTP {answer.status}" if answer.status else answer.detail
        raise SettlementProblem(f"{operation.method} {operation.path} of {operation.component}: {how}")
    return answer


def parse(name: str, text: str, settlement: SettlementSpec) -> SettlementFile:
    """Read a CSV file with a header row and a trailer ``TOTAL,count,sum_minor``.

    Args:
        name: The file's name.
        text: Its content.
        settlement: Columns, and the first cell of the trailer.

    Raises:
        SettlementProblem: A column is missing, an amount is no whole number, a row stands behind the trailer.
    """
    try:
        lines = [cells for cells in csv.reader(io.StringIO(text), strict=True) if cells]
    except csv.Error as error:
        raise SettlementProblem(f"{name} is no CSV: {error}") from None
    if not lines:
        raise SettlementProblem(f"{name} is empty")
    header, *rest = lines
    if header[0] == settlement.trailer:
        header, rest = list(settlement.columns.values()), lines  # nothing but totals: a file without a payment
    places = {}
    for ours in _COLUMNS:
        column = settlement.columns[ours]
        if column not in header:
            raise SettlementProblem(f"{name} has no column {column!r}, but {', '.join(header)}")
        places[ours] = header.index(column)
    rows: list[SettlementRow] = []
    stated: tuple[int, int] | None = None
    for number, cells in enumerate(rest, start=2):
        where = f"{name} row {number}"
        if stated is not None:
            raise SettlementProblem(f"{where} stands behind the totals")
        if cells[0] == settlement.trailer:
            if len(cells) < 3:
                raise SettlementProblem(f"{where}: totals need a count and a sum")
            stated = (_whole(cells[1], where), _whole(cells[2], where))
            continue
        if len(cells) != len(header):
            raise SettlementProblem(f"{where} has {len(cells)} cells, the header {len(header)}")
        rows.append(
            SettlementRow(
                cells[places["key"]],
                cells[places["id"]],
                _whole(cells[places["amount_minor"]], where),
                cells[places["currency"]],
            )
        )
    count, total = stated or (None, None)
    return SettlementFile(name, tuple(rows), count, total)


def _whole(cell: str, where: str) -> int:
    text = cell.strip()
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        raise SettlementProblem(f"{where}: {cell!r} is no whole number of minor units")
    return int(text)
