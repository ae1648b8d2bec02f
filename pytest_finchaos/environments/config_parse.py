"""From a checked table to frozen specifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import config_operations
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import (
    ComponentSpec,
    EdgeSpec,
    EnvironmentSpec,
    IdentitySpec,
    ReadySpec,
)


def environment(name: str, table: Mapping[str, Any], source: Path) -> EnvironmentSpec:
    """One ``[environments.NAME]`` table."""
    base = source.parent
    own = table["backend"] == "processes"
    default = EnvironmentSpec(name, table["backend"], (), {})
    return EnvironmentSpec(
        name=name,
        backend=table["backend"],
        allowed_hosts=tuple(table["allowed_hosts"]),
        components={key: component(key, spec, base, own=own) for key, spec in table["components"].items()},
        edges=tuple(EdgeSpec(edge["source"], edge["target"], edge.get("proxy", "")) for edge in table.get("edges", ())),
        operations={key: config_operations.operation(key, spec) for key, spec in table.get("operations", {}).items()},
        data={key: config_operations.data(key, spec, base) for key, spec in table.get("data", {}).items()},
        ledger=config_operations.ledger(table["ledger"]) if "ledger" in table else None,
        slos=table.get("slos", {}),
        source=str(source),
        start=command(table.get("start", ()), base),
        stop=command(table.get("stop", ()), base),
        variables=dict(table.get("variables", {})),
        stop_within_s=float(table.get("stop_within_s", default.stop_within_s)),
        toxiproxy=table.get("toxiproxy", ""),
    )


def component(name: str, spec: Mapping[str, Any], base: Path, *, own: bool = True) -> ComponentSpec:
    """One component, as its declared or first version; paths become absolute, from the configuration's folder.

    Args:
        name: Its name.
        spec: Its table.
        base: The configuration's folder.
        own: True when the harness starts it itself.
    """
    made = ComponentSpec(
        name=name,
        kind=spec.get("kind", "process" if own else "external"),
        command=command(spec.get("command", ()), base),
        build=paths(spec.get("build", ()), base),
        variables=dict(spec.get("variables", {})),
        ready=ready(spec.get("ready", {})),
        restart=spec.get("restart", "never"),
        schema=(base / spec["schema"]).resolve() if "schema" in spec else None,
        settings=dict(spec.get("settings", {})),
        versions={key: _version(changes, base) for key, changes in spec.get("versions", {}).items()},
        database=spec.get("database", ComponentSpec(name).database),
        address=spec.get("address", ""),
        identity=IdentitySpec(**spec["identity"]) if "identity" in spec else None,
    )
    version = spec.get("version") or next(iter(made.versions), None)
    return made if version is None else with_version(made, version)


def paths(texts: Iterable[str], base: Path) -> tuple[Path, ...]:
    """Absolute paths."""
    return tuple((base / text).resolve() for text in texts)


def command(words: Sequence[str], base: Path) -> tuple[str, ...]:
    """A command whose program is named by a relative path is meant from the configuration's folder."""
    if words and "/" in words[0] and not words[0].startswith(("/", "{")):
        return (str((base / words[0]).resolve()), *words[1:])
    return tuple(words)


def _version(changes: Mapping[str, Any], base: Path) -> Mapping[str, Any]:
    """The overrides of one version, with absolute paths."""
    done = dict(changes)
    if "command" in changes:
        done["command"] = command(changes["command"], base)
    if "build" in changes:
        done["build"] = paths(changes["build"], base)
    return done


def with_version(spec: ComponentSpec, version: str) -> ComponentSpec:
    """``spec`` with the overrides of one version; variables and settings are merged, the rest is replaced.

    Args:
        spec: A component as `component` made it.
        version: Name in its ``versions``.

    Returns:
        The component as that version. The versions stay, and so does the component without any, from which another
        version is made: nothing of this one gets into it.

    Raises:
        UserError: Unknown version.
    """
    if version not in spec.versions:
        raise UserError(f"component {spec.name}", f"no version {version!r}", allowed=spec.versions, got=version)
    plain, changes = spec.unversioned or spec, spec.versions[version]
    return replace(
        plain,
        command=tuple(changes.get("command", plain.command)),
        build=tuple(changes.get("build", plain.build)),
        variables={**plain.variables, **changes.get("variables", {})},
        ready=ready(changes["ready"]) if "ready" in changes else plain.ready,
        settings={**plain.settings, **changes.get("settings", {})},
        version=version,
        unversioned=plain,
    )


def ready(spec: Mapping[str, Any]) -> ReadySpec:
    """Readiness."""
    default = ReadySpec()
    return ReadySpec(spec.get("http"), float(spec.get("within_s", default.within_s)), dict(spec.get("fields", {})))
