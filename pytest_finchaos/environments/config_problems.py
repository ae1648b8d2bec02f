"""What is wrong with a configuration, as sentences: first against the schema, then what a schema cannot say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_finchaos.model.errors import UserError

CLIENTS = "clients"
_EDGE = re.compile(r"\{edge\.([^}]+)\}")
BUILT_BACKENDS = ("processes",)


def against_schema(document: Mapping[str, Any], schema: Mapping[str, Any], name: str) -> list[str]:
    """Every violation of the schema, each with its dotted path and the allowed keys or values."""
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(schema).iter_errors(document), key=lambda error: list(map(str, error.path)))
    return [line for error in errors for line in _sentences(error, name)]


def _sentences(error: Any, name: str) -> Iterable[str]:
    where = f"{name}: {_dotted(error.absolute_path)}"
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        allowed = sorted(error.schema.get("properties", ()))
        for key in error.instance:
            if key not in allowed:
                yield UserError(where, f"unknown key {key!r}", allowed=allowed, got=key).render()
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield UserError(where, f"missing: {', '.join(missing)}").render()
    elif error.validator == "enum":
        allowed = [str(value) for value in error.validator_value]
        yield UserError(where, f"is {error.instance!r}", allowed=allowed, got=str(error.instance)).render()
    elif error.validator == "type":
        wanted = {"string": "text in quotes", "object": "a table", "array": "a list", "number": "a number"}
        what = wanted.get(str(error.validator_value), str(error.validator_value))
        yield UserError(where, f"is {error.instance!r}, {what} is wanted").render()
    else:
        yield UserError(where, error.message).render()


def _dotted(path: Iterable[Any]) -> str:
    parts = []
    for part in path:
        text = str(part)
        parts.append(text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else f'"{text}"')
    return ".".join(parts) or "top level"


def beyond_schema(document: Mapping[str, Any], name: str) -> list[str]:
    """References that lead nowhere, backends that are not built, hosts that are not allowed."""
    problems: list[str] = []
    for key, table in document.get("environments", {}).items():
        problems.extend(error.render() for error in _environment(f"{name}: environments.{key}", table))
    return problems


def _environment(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    components = table["components"]
    if table["backend"] not in BUILT_BACKENDS:
        yield UserError(f"{where}.backend", f"{table['backend']!r} is not available yet", allowed=BUILT_BACKENDS)
    if "127.0.0.1" not in table["allowed_hosts"]:
        yield UserError(
            f"{where}.allowed_hosts",
            f"{table['allowed_hosts']} does not hold 127.0.0.1, where backend 'processes' runs everything",
            allowed=("127.0.0.1",),
            cure='write allowed_hosts = ["127.0.0.1"]',
        )
    yield from _edges(where, table, components)
    for component, spec in components.items():
        yield from _component(f"{where}.components.{component}", component, spec, table)
    for operation, spec in table.get("operations", {}).items():
        yield from _reference(f"{where}.operations.{operation}.component", spec["component"], components)
    yield from _ledger(f"{where}.ledger", table)


def _reference(where: str, got: str, allowed: Iterable[str]) -> Iterable[UserError]:
    allowed = tuple(allowed)
    if got not in allowed:
        yield UserError(where, f"{got!r} is not declared", allowed=allowed, got=got)


def _edges(where: str, table: Mapping[str, Any], components: Mapping[str, Any]) -> Iterable[UserError]:
    seen = set()
    for at, edge in enumerate(table.get("edges", ())):
        yield from _reference(f"{where}.edges.{at}.source", edge["source"], (CLIENTS, *components))
        yield from _reference(f"{where}.edges.{at}.target", edge["target"], components)
        pair = (edge["source"], edge["target"])
        if pair in seen:
            yield UserError(f"{where}.edges.{at}", f"{pair[0]} → {pair[1]} is declared twice")
        seen.add(pair)


def _component(where: str, name: str, spec: Mapping[str, Any], table: Mapping[str, Any]) -> Iterable[UserError]:
    kind = spec.get("kind", "process")
    if kind == "process" and "command" not in spec:
        yield UserError(where, "a process needs a command")
    if kind == "postgres" and "command" in spec:
        yield UserError(f"{where}.command", "a postgres component has none: the harness starts the server")
    targets = [edge["target"] for edge in table.get("edges", ()) if edge["source"] == name]
    for text in (*spec.get("command", ()), *spec.get("variables", {}).values()):
        for target in _EDGE.findall(text):
            if target not in targets:
                yield UserError(
                    f"{where}.command",
                    f"{{edge.{target}}} is used and no edge {name} → {target} is declared",
                    allowed=[f"{{edge.{declared}}}" for declared in targets],
                    got=f"{{edge.{target}}}",
                    cure=f'declare [[…edges]] source = "{name}", target = "{target}"',
                )


def _ledger(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    ledger = table.get("ledger")
    if ledger is None:
        return
    databases = [name for name, spec in table["components"].items() if spec.get("kind") == "postgres"]
    yield from _reference(f"{where}.component", ledger["component"], databases)
    operations = table.get("operations", {})
    yield from _reference(f"{where}.operation", ledger["operation"], operations)
    if "lookup" in ledger:
        yield from _reference(f"{where}.lookup", ledger["lookup"], operations)
    if "settlement" in ledger:
        yield from _reference(f"{where}.settlement.component", ledger["settlement"]["component"], table["components"])
