"""What a schema cannot say of a configuration: references that lead nowhere, placeholders, backends, hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import config_external, config_operations
from pytest_finchaos.environments.config_external import CLIENTS, EXTERNAL_BACKENDS, LOOPBACK
from pytest_finchaos.environments.placeholders import EDGE, IN_COMMANDS, IN_FIELDS, names_in
from pytest_finchaos.model.errors import UserError

BUILT_BACKENDS = ("processes", *EXTERNAL_BACKENDS)


def problems(name: str, table: Mapping[str, Any], *, file: str, base: Path) -> list[str]:
    """Every such mistake in one environment that satisfies the schema, as sentences.

    Args:
        name: Name of the environment.
        table: Its table.
        file: The file, for messages.
        base: The file's folder.
    """
    return [error.render() for error in _environment(f"{file}: environments.{name}", table, base)]


def _environment(where: str, table: Mapping[str, Any], base: Path) -> Iterable[UserError]:
    components = table["components"]
    if table["backend"] not in BUILT_BACKENDS:
        yield UserError(f"{where}.backend", f"{table['backend']!r} is not available yet", allowed=BUILT_BACKENDS)
    external = table["backend"] in EXTERNAL_BACKENDS
    if not external and LOOPBACK not in table["allowed_hosts"]:
        yield UserError(
            f"{where}.allowed_hosts",
            f"{table['allowed_hosts']} does not hold {LOOPBACK}, where backend 'processes' runs everything",
            allowed=(LOOPBACK,),
            cure=f'write allowed_hosts = ["{LOOPBACK}"]',
        )
    if CLIENTS in components:
        yield UserError(
            f"{where}.components.{CLIENTS}", "is the name of where the load enters", cure="name it otherwise"
        )
    yield from _edges(where, table, components)
    if external:
        yield from config_external.problems(where, table)
    else:
        yield from config_external.foreign_keys(where, table)
        for component, spec in components.items():
            yield from _component(f"{where}.components.{component}", component, spec, table, base)
    yield from config_operations.problems(where, table, base)


def _edges(where: str, table: Mapping[str, Any], components: Mapping[str, Any]) -> Iterable[UserError]:
    seen = set()
    for at, edge in enumerate(table.get("edges", ())):
        yield from config_operations.reference(f"{where}.edges.{at}.source", edge["source"], (CLIENTS, *components))
        yield from config_operations.reference(f"{where}.edges.{at}.target", edge["target"], components)
        pair = (edge["source"], edge["target"])
        if pair in seen:
            yield UserError(f"{where}.edges.{at}", f"{pair[0]} → {pair[1]} is declared twice")
        seen.add(pair)


def _component(
    where: str, name: str, spec: Mapping[str, Any], table: Mapping[str, Any], base: Path
) -> Iterable[UserError]:
    kind = spec.get("kind", "process")
    versions = spec.get("versions", {})
    if "version" in spec:
        yield from config_operations.reference(f"{where}.version", spec["version"], versions)
    if kind == "external":
        cure = 'write command = […], or backend = "attach" or "command"'
        yield UserError(f"{where}.kind", "is 'external': backend 'processes' starts every component", cure=cure)
    elif kind == "process":
        if "command" not in spec and not (versions and all("command" in part for part in versions.values())):
            yield UserError(where, "a process needs a command")
        for key in ("schema", "settings", "database"):
            if key in spec:
                yield UserError(f"{where}.{key}", "is for kind = 'postgres'", cure='write kind = "postgres"')
    else:
        for key in ("command", "build"):
            if key in spec:
                yield UserError(f"{where}.{key}", "a postgres component has none: the harness starts the server")
        if "schema" in spec and not (base / spec["schema"]).is_file():
            yield UserError(
                f"{where}.schema",
                f"no file {(base / spec['schema']).resolve()}",
                cure="paths start at this file's folder",
            )
    targets = [edge["target"] for edge in table.get("edges", ()) if edge["source"] == name]
    if not set(targets) <= set(table["components"]):
        targets = [*targets, *table["components"]]  # a misspelt edge is told where it stands, not where it is used too
    for key, part in (("", spec), *((f".versions.{key}", part) for key, part in versions.items())):
        yield from _placeholders(f"{where}{key}", name, part, targets)


def _placeholders(where: str, name: str, spec: Mapping[str, Any], targets: Iterable[str]) -> Iterable[UserError]:
    allowed = (*IN_COMMANDS, *(f"{EDGE}{target}" for target in targets))
    for at, text in enumerate(spec.get("command", ())):
        yield from _unknown(f"{where}.command.{at}", text, allowed, name)
    for key, text in spec.get("variables", {}).items():
        yield from _unknown(f"{where}.variables.{key}", text, allowed, name)
    for key, text in spec.get("ready", {}).get("fields", {}).items():
        yield from _unknown(f"{where}.ready.fields.{key}", text, IN_FIELDS, name)


def _unknown(where: str, text: str, allowed: Iterable[str], component: str) -> Iterable[UserError]:
    try:
        used = names_in(text)
    except ValueError as error:
        yield UserError(where, f"{text!r}: {error}", cure="write {{ and }} for plain braces")
        return
    allowed = tuple(allowed)
    for name in used:
        if name in allowed:
            continue
        listed = [f"{{{each}}}" for each in allowed]
        if name.startswith(EDGE):
            target = name.removeprefix(EDGE)
            what = f"{{{name}}} is used and no edge {component} → {target} is declared"
            cure = f'declare [[…edges]] source = "{component}", target = "{target}"'
            yield UserError(where, what, allowed=listed, got=f"{{{name}}}", cure=cure)
        else:
            cure = "write {{ and }} for plain braces"
            yield UserError(where, f"unknown placeholder {{{name}}}", allowed=listed, got=f"{{{name}}}", cure=cure)
