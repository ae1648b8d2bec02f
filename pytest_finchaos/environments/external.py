"""Components that the harness did not build: whether they are ready, and which build they say they are.

Nothing but allowed hosts is contacted: each look checks the host again.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping
from typing import Any

from pytest_finchaos.environments import postgres_wire, readiness
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec

LOOK_LIMIT_S = 2.0
BODY_BYTES = 100_000
TOLD_CHARACTERS = 200
LOCAL_HOSTS = ("127.0.0.1", "localhost")


class NotTold(Exception):
    """The component did not say which build it is: why."""


def split(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def refuse_host(address: str, spec: EnvironmentSpec, where: str) -> None:
    """Refuse an address that the configuration does not allow.

    Args:
        address: ``host:port``.
        spec: The environment.
        where: Whose address it is, for the message.

    Raises:
        UserError: Its host is not among the allowed ones.
    """
    host, _ = split(address)
    if host not in spec.allowed_hosts:
        raise UserError(
            where,
            f"host {host!r} is not among the allowed hosts of environment {spec.name}",
            allowed=spec.allowed_hosts,
            got=host,
            cure=f"add it to allowed_hosts in {spec.source}, or correct the address",
        )


def problem(component: ComponentSpec, address: str, environment: EnvironmentSpec) -> str | None:
    """Why a component is not ready at its address, or None.

    Raises:
        UserError: The address is not on an allowed host.
    """
    refuse_host(address, environment, f"component {component.name}")
    host, port = split(address)
    if component.kind == "postgres":
        name = component.database
        refusal = postgres_wire.refusal(host, port, LOOK_LIMIT_S, user=name, database=name)
        return None if refusal is None else f"PostgreSQL at {address}, database and role {name}: {refusal}"
    if component.ready.http is None:
        return _refused(host, port)
    try:
        body = _get(address, component.ready.http)
    except NotTold as error:
        return str(error)
    return readiness.body_problem(component.ready.http, body, component.ready.fields)


def accepts(address: str) -> bool:
    """True when somebody accepts a connection there."""
    return _refused(*split(address)) is None


def _refused(host: str, port: int) -> str | None:
    try:
        with socket.create_connection((host, port), timeout=LOOK_LIMIT_S):
            return None
    except OSError as error:
        return f"{host}:{port} does not accept connections: {error.strerror or error}"


def told(component: ComponentSpec, address: str, environment: EnvironmentSpec) -> str:
    """Which build a component says it is; "" when nobody declared where it would say so.

    Raises:
        NotTold: It could not be asked, or its answer does not hold it.
        UserError: The address is not on an allowed host.
    """
    identity = component.identity
    if identity is None:
        return ""
    refuse_host(address, environment, f"component {component.name}")
    body = _get(address, identity.http)
    if not identity.field:
        text = body.decode(errors="replace").strip()
        return text if len(text) <= TOLD_CHARACTERS else hashlib.sha256(body).hexdigest()
    try:
        plain = json.loads(body)
    except ValueError:
        raise NotTold(f"GET {identity.http}: the body is no JSON, field {identity.field!r} is wanted") from None
    value = readiness.dig(plain, identity.field)
    if value is None:
        raise NotTold(f"GET {identity.http}: the body has no field {identity.field!r}{_fields(plain)}")
    return readiness.as_text(value)


def _fields(plain: Any) -> str:
    return f"; it has {', '.join(map(str, list(plain)[:20]))}" if isinstance(plain, Mapping) and plain else ""


def _get(address: str, path: str) -> bytes:
    import http.client  # slow to import, and no other backend needs it here

    host, port = split(address)
    connection = http.client.HTTPConnection(host, port, timeout=LOOK_LIMIT_S)
    try:
        connection.request("GET", path, headers={"User-Agent": "finchaos"})
        response = connection.getresponse()
        body = response.read(BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise NotTold(f"GET {path} at {address}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        said = body[:TOLD_CHARACTERS].decode(errors="replace")
        raise NotTold(f"GET {path} at {address}: status {response.status}: {said}")
    return body
