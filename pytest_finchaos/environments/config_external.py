"""What a schema cannot say of a system that the harness does not start part by part: backends attach and command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pytest_finchaos.environments.placeholders import EDGE, IN_SYSTEM, PORT, names_in
from pytest_finchaos.model.errors import UserError

CLIENTS = "clients"
LOOPBACK = "127.0.0.1"
EXTERNAL_BACKENDS = ("attach", "command")
COMMAND_KEYS = ("start", "stop", "variables", "stop_within_s")
STARTED_KEYS = ("command", "build", "variables", "schema", "settings", "versions", "version")
KINDS = ("external", "postgres")


def problems(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    """Every such mistake in one environment of an external backend.

    Args:
        where: File and environment, for messages.
        table: The environment's table, which satisfies the schema.
    """
    backend = table["backend"]
    yield from _hosts(where, table)
    for name, spec in table["components"].items():
        yield from _component(f"{where}.components.{name}", backend, spec, table["allowed_hosts"])
    if backend == "command":
        yield from _command(where, table)
        return
    for key in COMMAND_KEYS:
        if key in table:
            what = "is for backend = 'command': an attached system is never started or stopped"
            yield UserError(f"{where}.{key}", what, cure='write backend = "command", or leave it out')


def foreign_keys(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    """Keys of external backends in an environment that the harness starts itself."""
    for key in COMMAND_KEYS:
        if key in table:
            yield UserError(f"{where}.{key}", "is for backend = 'command'", cure="each component has its own command")
    if "toxiproxy" in table:
        cure = "leave it out: each edge gets a proxy; TOXIPROXY_URL says where they are made"
        yield UserError(f"{where}.toxiproxy", "is for backends 'attach' and 'command'", cure=cure)
    for at, edge in enumerate(table.get("edges", ())):
        if "proxy" in edge:
            what = "is for backends 'attach' and 'command'"
            yield UserError(f"{where}.edges.{at}.proxy", what, cure="leave it out: the edge gets a proxy of its own")
    for name, spec in table["components"].items():
        for key in ("address", "identity"):
            if key in spec:
                what = "is for backends 'attach' and 'command': the harness starts this component and knows it"
                yield UserError(f"{where}.components.{name}.{key}", what, cure="leave it out")


def own_proxy_wanted(backend: str, edge: Mapping[str, Any]) -> bool:
    """True when the harness puts a proxy of its own on an edge: nobody else can be told another address."""
    return not edge.get("proxy") and (backend == "command" or edge["source"] == CLIENTS)


def _hosts(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    allowed = table["allowed_hosts"]
    if "toxiproxy" in table:
        parts = urlsplit(table["toxiproxy"])
        yield from _allowed(f"{where}.toxiproxy", parts.hostname or "", allowed)
    wanted = []
    edges = table.get("edges", ())
    if any(own_proxy_wanted(table["backend"], edge) for edge in edges):
        wanted.append("the harness's fault proxies listen")
    if any("address" not in spec for spec in table["components"].values()) and table["backend"] == "command":
        wanted.append("components without an address listen")
    if wanted and LOOPBACK not in allowed:
        yield UserError(
            f"{where}.allowed_hosts",
            f"{allowed} does not hold {LOOPBACK}, where {' and '.join(wanted)}",
            cure=f'add "{LOOPBACK}"',
        )


def _allowed(where: str, host: str, allowed: Sequence[str]) -> Iterable[UserError]:
    if host not in allowed:
        what = f"host {host!r} is not among the allowed hosts"
        yield UserError(where, what, allowed=allowed, got=host, cure="add it to allowed_hosts, or correct the address")


def _component(where: str, backend: str, spec: Mapping[str, Any], allowed: Sequence[str]) -> Iterable[UserError]:
    if "address" in spec:
        host, _, port = spec["address"].rpartition(":")
        yield from _allowed(f"{where}.address", host, allowed)
        if not 0 < int(port) < 65536:
            yield UserError(f"{where}.address", f"port {port} is none", cure="a port lies between 1 and 65535")
    elif backend == "attach":
        cure = 'write address = "HOST:PORT", where the component itself listens'
        yield UserError(where, "a component of an attached system needs an address", cure=cure)
    if (kind := spec.get("kind", "external")) not in KINDS:
        what = f"is {kind!r}: backend {backend!r} does not start single components"
        yield UserError(f"{where}.kind", what, allowed=KINDS)
    for key in STARTED_KEYS:
        if key in spec:
            what = f"is for backend = 'processes': backend {backend!r} does not start single components"
            cure = "write start = […] for the whole system" if backend == "command" else "leave it out"
            yield UserError(f"{where}.{key}", what, cure=cure)
    if backend == "attach" and "restart" in spec:
        yield UserError(f"{where}.restart", "is for components that can be killed; an attached one cannot")
    if "database" in spec and kind != "postgres":
        yield UserError(f"{where}.database", "is for kind = 'postgres'", cure='write kind = "postgres"')
    ready = spec.get("ready", {})
    if "fields" in ready and "http" not in ready:
        yield UserError(
            f"{where}.ready.fields", "are read from an HTTP answer", cure='write http = "/PATH" beside them'
        )
    for key, text in ready.get("fields", {}).items():
        yield from _unknown(f"{where}.ready.fields.{key}", text, ())


def _command(where: str, table: Mapping[str, Any]) -> Iterable[UserError]:
    if "start" not in table:
        cure = 'e.g. start = ["docker", "compose", "up", "-d"], stop = ["docker", "compose", "down"]'
        yield UserError(where, "backend 'command' needs start, the command that starts the system", cure=cure)
    ports = [f"{PORT}{name}" for name in table["components"]]
    edges = [
        f"{EDGE}{edge['source']}.{edge['target']}"
        for edge in table.get("edges", ())
        if own_proxy_wanted("command", edge)
    ]
    allowed = (*IN_SYSTEM, *ports, *edges)
    for key in ("start", "stop"):
        for at, text in enumerate(table.get(key, ())):
            yield from _unknown(f"{where}.{key}.{at}", text, allowed)
    for key, text in table.get("variables", {}).items():
        yield from _unknown(f"{where}.variables.{key}", text, allowed)


def _unknown(where: str, text: str, allowed: Sequence[str]) -> Iterable[UserError]:
    try:
        used = names_in(text)
    except ValueError as error:
        yield UserError(where, f"{text!r}: {error}", cure="write {{ and }} for plain braces")
        return
    for name in used:
        if name not in allowed:
            listed = [f"{{{each}}}" for each in allowed]
            cure = "write {{ and }} for plain braces"
            yield UserError(where, f"unknown placeholder {{{name}}}", allowed=listed, got=f"{{{name}}}", cure=cure)
