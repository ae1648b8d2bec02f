"""How the load speaks to a system and how its money is read: operations, data, ledger; parsed and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
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


def data(name: str, spec: Mapping[str, Any]) -> DataSpec:
    """One source of test data."""
    return DataSpec(name, spec["format"], spec["count"])


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


def problems(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    """What a schema cannot say of the operations, the data and the ledger of one environment.

    Args:
        where: File and environment, for messages.
        table: The environment's table, which satisfies the schema.
    """
    for name, spec in table.get("operations", {}).items():
        yield from reference(f"{where}.operations.{name}.component", spec["component"], table["components"])
        yield from _operation(f"{where}.operations.{name}", spec)
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
