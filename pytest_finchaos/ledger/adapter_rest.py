"""Reads the ledger from HTTP endpoints that answer with JSON, page by page, past the fault proxies.

The tables are read one after another, so one look is no snapshot: it counts once another look shows the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.rows import MAX_ROWS, TABLES, Typing, extract, whole_number
from pytest_finchaos.ledger.target import Asks
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.request import dig, items_of
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import EndpointSpec, EnvironmentSpec, LedgerSpec, OperationSpec, OutcomeRules
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock

LOOK_S = 20.0
PAGE_S = 10.0
MAX_PAGES = 10_000
CURSOR = "{cursor}"
OUTER = "^"  # in a path of a nested row: the item that it stands in
_ONLY_2XX = OutcomeRules(ok=("2xx",), refused=("4xx",))


class RestLedger:
    """The REST adapter.

    Args:
        spec: The environment's declaration.
        ledger: Its ledger.
        api: Sends requests.
        clock: The clock.
        look_s: Limit of each look in seconds.
        max_rows: Limit on the rows of each table.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        ledger: LedgerSpec,
        api: Asks,
        *,
        clock: Clock | None = None,
        look_s: float = LOOK_S,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self._where = f"{spec.source}: environments.{spec.name}.ledger.endpoints"
        self._ledger, self._api = ledger, api
        self._clock = clock or SystemClock()
        self._look_s, self._max_rows = look_s, max_rows
        self._deadline_ns = 0

    def look(self, *, though_busy: bool = False) -> Look:
        """See `reader.LedgerReader.look`."""
        self._deadline_ns = self._clock.now_ns() + int(self._look_s * NS_PER_S)
        busy = self._busy()
        if busy and not though_busy:
            return Look(busy, None, whole=False)
        given = tuple(self._ledger.endpoints)
        return Look(busy, extract(self._table, given, self._clock.now_ns()), whole=False)

    def _busy(self) -> int:
        endpoint = self._ledger.endpoints.get("busy")
        if endpoint is None or endpoint.value is None:
            return 0
        where = f"{self._where}.busy"
        plain = self._get("busy", endpoint.path)
        value = plain if endpoint.value == "." else dig(plain, endpoint.value)
        return whole_number(value, where)

    def _table(self, name: str) -> Sequence[Any]:
        endpoint = self._ledger.endpoints[name]
        where = f"{self._where}.{name}"
        rows: list[Any] = []
        path: str | None = endpoint.path.replace(CURSOR, "")
        seen: set[str] = set()
        while path is not None:
            if path in seen or len(seen) >= MAX_PAGES:
                what = f"its pages lead back to {path}" if path in seen else f"has more than {MAX_PAGES} pages"
                raise UserError(f"{where}.next", what)
            seen.add(path)
            plain = self._get(name, path)
            items = items_of(plain, endpoint.items)
            if items is None:
                raise UserError(f"{where}.items", f"its answer has no list at {endpoint.items!r}")
            rows += items if endpoint.nested is None else _nested(items, endpoint.nested, where)
            if len(rows) > self._max_rows:
                text = f"gave more than {self._max_rows} rows"
                raise UserError(where, text, cure="narrow it, e.g. to this year's payments")
            path = _next(endpoint, plain, where)
        return Typing(where, self._ledger.amount).items(TABLES[name], rows, endpoint.fields)

    def _get(self, name: str, path: str) -> Any:
        left_s = (self._deadline_ns - self._clock.now_ns()) / NS_PER_S
        if left_s <= 0:
            raise LedgerUnreachable(f"the ledger was not read within {self._look_s:g} s; {name!r} was under way")
        operation = OperationSpec(
            f"ledger {name}",
            self._ledger.component or "",
            path=_literal(path),
            headers=self._ledger.headers,
            outcomes=_ONLY_2XX,
        )
        answer = self._api.send(operation, {}, min(PAGE_S, left_s), direct=True)
        if answer.outcome is not Outcome.OK:
            return self._refused(name, path, answer)
        try:
            return json.loads(answer.body, parse_float=Decimal)
        except ValueError as error:
            raise UserError(f"{self._where}.{name}", f"GET {path} answered no JSON: {error}") from None

    def _refused(self, name: str, path: str, answer: Answer) -> Any:
        how = f"HTTP {answer.status}" if answer.status else answer.detail
        if answer.outcome is Outcome.REFUSED and answer.status != 429:
            cure = "see the path, and the headers that the ledger may need"
            raise UserError(f"{self._where}.{name}", f"GET {path}: {how}", cure=cure)
        raise LedgerUnreachable(f"the ledger does not answer: GET {path}: {how}")


def _nested(items: Sequence[Any], path: str, where: str) -> list[dict[str, Any]]:
    """The rows within items, each with its item beside it; an item, e.g. a declined payment, may have none."""
    rows = []
    for number, item in enumerate(items, start=1):
        inner = dig(item, path)
        if inner is None:
            continue
        if not isinstance(inner, list) or not all(isinstance(each, Mapping) for each in inner):
            raise UserError(f"{where}.nested", f"item {number} has no list of objects at {path!r}")
        rows += [{**each, OUTER: item} for each in inner]
    return rows


def _next(endpoint: EndpointSpec, plain: Any, where: str) -> str | None:
    """The path of the next page, or None; of a URL only path and query count, for nothing else is contacted."""
    if endpoint.next is None:
        return None
    told = dig(plain, endpoint.next)
    if told is None or told in ("", False):
        return None
    text = str(told)
    if text.startswith("/"):
        return text
    if text.startswith(("http://", "https://")):
        parts = urlsplit(text)
        return parts.path + (f"?{parts.query}" if parts.query else "")
    if CURSOR in endpoint.path:
        return endpoint.path.replace(CURSOR, quote(text, safe=""))
    cure = "write {cursor} into the path where it belongs"
    raise UserError(f"{where}.next", f"gave {text[:80]!r}, which is no path", cure=cure)


def _literal(path: str) -> str:
    """A path that the ledger itself gave holds no placeholder."""
    return path.replace("{", "%7B").replace("}", "%7D")
