"""How the load speaks to a system and how its money is read: operations, data, ledger; parsed and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finchaos.model import matchers
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import DataSpec, EndpointSpec, LedgerSpec, OperationSpec, OutcomeRules, SettlementSpec

PARTIES = ("debtor", "creditor")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)\}")


def operation(name: str, spec: Mapping[str, Any]) -> OperationSpec:
    """One operation."""
    rules = {key: tuple(values) for key, values in spec.get("outcomes", {}).items()}
    default = OperationSpec(name, spec["component"])
    return OperationSpec(
        name=name,
        component=spec["component"],
        method=spec.get("method", default.method),
        path=spec.get("path", default.path),
        headers=dict(spec.get("headers", {})),
        body=spec.get("body"),
        outcomes=OutcomeRules(**rules),
        timeout_s=float(spec.get("timeout_s", default.timeout_s)),
        reference=spec.get("reference"),
        answer=tuple(spec.get("answer", ())),
        value=spec.get("value"),
        setup=spec.get("setup", False),
        provides=dict(spec.get("provides", {})),
        encoding=spec.get("encoding", default.encoding),
        items=spec.get("items"),
    )


def data(name: str, spec: Mapping[str, Any], base: Path) -> DataSpec:
    """One source of test data; a file is meant from the configuration's folder."""
    return DataSpec(
        name,
        spec.get("format", ""),
        spec.get("count", 0),
        file=(base / spec["file"]).resolve() if "file" in spec else None,
        column=spec.get("column"),
        query=spec.get("query"),
    )


def ledger(spec: Mapping[str, Any]) -> LedgerSpec:
    """The ledger adapter."""
    settlement = spec.get("settlement")
    return LedgerSpec(
        adapter=spec["adapter"],
        component=spec.get("component"),
        operation=spec["operation"],
        lookup=spec.get("lookup"),
        queries=dict(spec.get("queries", {})),
        settlement=SettlementSpec(**{**settlement, "columns": dict(settlement["columns"])}) if settlement else None,
        quiet_within_s=float(spec.get("quiet_within_s", 15.0)),
        driver=spec.get("driver"),
        connect=dict(spec.get("connect", {})),
        endpoints={name: EndpointSpec(**endpoint) for name, endpoint in spec.get("endpoints", {}).items()},
        headers=dict(spec.get("headers", {})),
        fields=dict(spec.get("fields", {})),
        amount=spec.get("amount", "minor"),
        no_effect=tuple(spec.get("no_effect", ())),
        exclusive=spec.get("exclusive"),
        parties={party: spec[party] for party in PARTIES if party in spec},
    )


def problems(where: str, table: Mapping[str, Any], base: Path) -> Iterable[UserError]:
    """What a schema cannot say of the operations, the data and the ledger of one environment.

    Args:
        where: File and environment, for messages.
        table: The environment's table, which satisfies the schema.
        base: The file's folder.
    """
    for name, spec in table.get("operations", {}).items():
        yield from reference(f"{where}.operations.{name}.component", spec["component"], table["components"])
        yield from _operation(f"{where}.operations.{name}", spec)
    for name, spec in table.get("data", {}).items():
        yield from _data(f"{where}.data.{name}", spec, table, base)
    yield from _ledger(f"{where}.ledger", table)


def reference(where: str, got: str, allowed: Iterable[str]) -> Iterable[UserError]:
    """A name that must be declared elsewhere."""
    allowed = tuple(allowed)
    if got not in allowed:
        yield UserError(where, f"{got!r} is not declared", allowed=allowed, got=got)


def _operation(where: str, spec: Mapping[str, Any]) -> Iterable[UserError]:
    seen: dict[matchers.Matcher, str] = {}
    for outcome, texts in spec.get("outcomes", {}).items():
        for at, text in enumerate(texts):
            place = f"{where}.outcomes.{outcome}.{at}"
            try:
                matcher = replace(matchers.parse(text), text="")
            except ValueError as error:
                yield UserError(place, str(error), allowed=matchers.KINDS)
                continue
            if seen.setdefault(matcher, outcome) != outcome:
                yield UserError(place, f"{text!r} stands under {seen[matcher]!r} too", cure="keep it under one of them")
    if spec.get("encoding") == "form":
        for name, value in spec.get("body", {}).items():
            if isinstance(value, Mapping):
                yield UserError(f"{where}.body.{name}", "is a table, and a form holds texts and numbers only")
    if spec.get("provides") and not spec.get("setup"):
        yield UserError(f"{where}.provides", "only a set-up operation keeps values", cure="write setup = true")


def _data(where: str, spec: Mapping[str, Any], table: Mapping[str, Any], base: Path) -> Iterable[UserError]:
    kinds = [kind for kind in ("format", "file", "query") if kind in spec]
    if len(kinds) != 1:
        what = f"has {' and '.join(kinds)}, and one of them is wanted" if kinds else "says nowhere what its values are"
        yield UserError(where, what, allowed=('{ format = "…", count = N }', '{ file = "…" }', '{ query = "…" }'))
        return
    if ("count" in spec) != ("format" in spec):
        yield UserError(where, "format and count belong together", cure='write format = "c-{n:04d}" and count = 200')
    if "column" in spec and "file" not in spec:
        yield UserError(f"{where}.column", "is for a file", cure="name the column in the query itself")
    if "file" in spec and not (base / spec["file"]).is_file():
        path = (base / spec["file"]).resolve()
        yield UserError(f"{where}.file", f"no file {path}", cure="paths start at this file's folder")
    if "query" in spec and table.get("ledger", {}).get("adapter") != "sql":
        yield UserError(f"{where}.query", "needs the SQL connection of a ledger with adapter = 'sql'")
    if "format" in spec:
        try:
            spec["format"].format(n=1)
        except (ValueError, LookupError, AttributeError) as error:
            yield UserError(f"{where}.format", f"{spec['format']!r} cannot be filled with n: {error}")


# Which keys of a ledger belong to which adapter; the others belong to all.
_OF_ADAPTER: Mapping[str, tuple[str, ...]] = {
    "sql": ("component", "driver", "connect", "queries"),
    "rest": ("component", "endpoints", "headers"),
    "api": ("fields",),
}
_COLUMNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # needed, possible
    "payments": (("key", "id", "amount_minor", "currency", "status"), ("debtor", "creditor")),
    "entries": (("payment_id", "account", "version", "amount_minor", "currency", "balance_after_minor"), ()),
    "balances": (("account", "currency", "opening_minor", "balance_minor", "version"), ()),
}
_LOOKED_UP = ("amount_minor", "currency", "status")


def _ledger(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    ledger = table.get("ledger")
    if ledger is None:
        return
    adapter, operations = ledger["adapter"], table.get("operations", {})
    for other, keys in _OF_ADAPTER.items():
        for key in keys:
            if key in ledger and key not in _OF_ADAPTER[adapter]:
                yield UserError(f"{where}.{key}", f"is for adapter = {other!r}, not for {adapter!r}")
    yield from reference(f"{where}.operation", ledger["operation"], operations)
    if "lookup" in ledger:
        yield from reference(f"{where}.lookup", ledger["lookup"], operations)
    if ledger["operation"] in operations:
        yield from _parties(where, ledger, operations[ledger["operation"]])
    if "settlement" in ledger:
        yield from reference(f"{where}.settlement.component", ledger["settlement"]["component"], table["components"])
    yield from {"sql": _sql, "rest": _rest, "api": _api}[adapter](where, ledger, table)


def _parties(where: str, ledger: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterable[UserError]:
    """A party is a placeholder of the request: what the load did not ask for cannot be compared."""
    texts = str([operation.get(part) for part in ("path", "headers", "body")])
    held = tuple(dict.fromkeys(_PLACEHOLDER.findall(texts)))
    for party in PARTIES:
        if party in ledger and ledger[party] not in held:
            what = f"{ledger[party]!r} is no placeholder of operation {ledger['operation']!r}"
            yield UserError(f"{where}.{party}", what, allowed=held, got=ledger[party])


def _sql(where: str, ledger: Mapping[str, Any], table: Mapping[str, Any]) -> Iterable[UserError]:
    if "payments" not in ledger.get("queries", {}):
        yield UserError(f"{where}.queries", "missing: payments", cure="the SELECT that gives one row a payment")
    databases = [name for name, spec in table["components"].items() if spec.get("kind") == "postgres"]
    if "driver" in ledger:
        if "component" in ledger:
            yield UserError(f"{where}.component", "stands beside a driver", cure="keep one: component, or driver")
        if not ledger.get("connect"):
            cure = 'write connect = { database = "/path" }, or what the driver needs'
            yield UserError(f"{where}.connect", "missing: where the driver connects to", cure=cure)
        return
    for place, found in (("connect", ledger), ("queries.begin", ledger.get("queries", {}))):
        if place.rpartition(".")[2] in found:
            yield UserError(f"{where}.{place}", "is for a driver", cure='write driver = "sqlite3", or another one')
    if "component" not in ledger:
        cure = "name a component of kind 'postgres', or a driver with connect"
        yield UserError(f"{where}.component", "missing: which database is read", allowed=databases, cure=cure)
    elif ledger["component"] in table["components"] and ledger["component"] not in databases:
        what = f"{ledger['component']!r} is no database: adapter 'sql' reads a component of kind 'postgres'"
        yield UserError(f"{where}.component", what, allowed=databases, cure="or name a driver with connect")
    else:
        yield from reference(f"{where}.component", ledger["component"], databases)


def _rest(where: str, ledger: Mapping[str, Any], table: Mapping[str, Any]) -> Iterable[UserError]:
    endpoints = ledger.get("endpoints", {})
    if "component" not in ledger:
        yield UserError(f"{where}.component", "missing: who is asked", allowed=table["components"])
    else:
        yield from reference(f"{where}.component", ledger["component"], table["components"])
    if "payments" not in endpoints:
        yield UserError(f"{where}.endpoints", "missing: payments", cure='payments = { path = "/…", fields = { … } }')
    for name, endpoint in endpoints.items():
        place = f"{where}.endpoints.{name}"
        if name == "busy":
            if "value" not in endpoint:
                yield UserError(place, "missing: value", cure="the dotted path to the number, . for the answer itself")
            continue
        needed, possible = _COLUMNS[name]
        yield from _columns(f"{place}.fields", endpoint.get("fields", {}), needed, possible)


def _api(where: str, ledger: Mapping[str, Any], table: Mapping[str, Any]) -> Iterable[UserError]:
    if "lookup" not in ledger:
        cure = "name the operation that reads one payment by {key} or {reference}"
        yield UserError(f"{where}.lookup", "missing: adapter 'api' has nothing else to read", cure=cure)
    lookup = table.get("operations", {}).get(ledger.get("lookup"), {})
    money = table.get("operations", {}).get(ledger["operation"], {})
    needed = _LOOKED_UP if "reference" in lookup else ("id", *_LOOKED_UP)
    yield from _columns(f"{where}.fields", ledger.get("fields", {}), needed, ("id", "key", "debtor", "creditor"))
    if "{reference}" in str(lookup) and "reference" not in money:
        what = f"{ledger['lookup']!r} goes by {{reference}}, and {ledger['operation']!r} says nowhere what that is"
        yield UserError(f"{where}.lookup", what, cure='write reference = "PATH" into that operation')


def _columns(
    where: str, given: Mapping[str, str], needed: Iterable[str], possible: Iterable[str]
) -> Iterable[UserError]:
    allowed = tuple(dict.fromkeys((*needed, *possible)))
    for name in needed:
        if name not in given:
            cure = f'write {name} = "dotted.path", or {name} = "=constant"'
            yield UserError(where, f"missing: {name}", cure=cure)
    for name in given:
        if name not in allowed:
            yield UserError(where, f"unknown key {name!r}", allowed=allowed, got=name)
