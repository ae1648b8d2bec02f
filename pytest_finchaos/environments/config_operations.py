"""How the load speaks to a system and how its money is read: operations, data, ledger; parsed and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finchaos.model import matchers
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import DataSpec, LedgerSpec, OperationSpec, OutcomeRules, SettlementSpec


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
        component=spec["component"],
        operation=spec["operation"],
        lookup=spec.get("lookup"),
        queries=dict(spec["queries"]),
        settlement=SettlementSpec(**{**settlement, "columns": dict(settlement["columns"])}) if settlement else None,
        quiet_within_s=float(spec.get("quiet_within_s", 15.0)),
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


def _ledger(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    ledger = table.get("ledger")
    if ledger is None:
        return
    databases = [name for name, spec in table["components"].items() if spec.get("kind") == "postgres"]
    if ledger["component"] in table["components"] and ledger["component"] not in databases:
        what = f"{ledger['component']!r} is no database: adapter 'sql' reads a component of kind 'postgres'"
        yield UserError(f"{where}.component", what, allowed=databases)
    else:
        yield from reference(f"{where}.component", ledger["component"], databases)
    operations = table.get("operations", {})
    yield from reference(f"{where}.operation", ledger["operation"], operations)
    if "lookup" in ledger:
        yield from reference(f"{where}.lookup", ledger["lookup"], operations)
    if "settlement" in ledger:
        yield from reference(f"{where}.settlement.component", ledger["settlement"]["component"], table["components"])
