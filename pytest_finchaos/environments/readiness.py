"""Whether the process that was started is the one that serves: owner of the port, answer, what the answer says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_finchaos.environments import listeners, postgres_wire, tagged
from pytest_finchaos.environments.plan import ComponentPlan

PROBE_LIMIT_S = 0.5
BODY_BYTES = 100_000


def problem(plan: ComponentPlan, pid: int) -> str | None:
    """Why the component is not the one that should serve, or None.

    Args:
        plan: What was started.
        pid: Its root process.
    """
    owned = listeners.owned_by(plan.port, _root_first(pid))
    if owned is None:
        return f"nobody listens on port {plan.port}"
    if not owned:
        owner = listeners.describe_owner(plan.port)
        return f"port {plan.port} belongs to {owner}, not to the process that was started ({pid})"
    if plan.kind == "postgres":
        return None if postgres_wire.accepts(plan.port, PROBE_LIMIT_S) else "PostgreSQL does not accept sessions yet"
    return None if plan.ready_http is None else _http_problem(plan, pid, plan.ready_http)


def _root_first(pid: int) -> Iterator[int]:
    """The root, and only when that is not enough its whole tree, which takes a look at every process."""
    yield pid
    yield from tagged.tree_of(pid)[1:]


def _http_problem(plan: ComponentPlan, pid: int, path: str) -> str | None:
    import http.client  # slow to import: while components boot there is time

    connection = http.client.HTTPConnection("127.0.0.1", plan.port, timeout=PROBE_LIMIT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return f"GET {path}: {error or type(error).__name__}"
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        return f"GET {path}: status {response.status}: {body[:200].decode(errors='replace')}"
    return field_problem(plan, pid, path, body)


def field_problem(plan: ComponentPlan, pid: int, path: str, body: bytes) -> str | None:
    """What the body of a component that was started says that it should not, or None."""
    places = {"{pid}": str(pid), "{build_digest}": plan.build, "{build}": plan.build}
    wanted = {}
    for field, text in plan.ready_fields.items():
        expected = text
        for placeholder, value in places.items():
            expected = expected.replace(placeholder, value)
        wanted[field] = expected
    return body_problem(path, body, wanted)


def body_problem(path: str, body: bytes, wanted: Mapping[str, str]) -> str | None:
    """Which field of a JSON body is not as wanted, as a sentence, or None.

    Args:
        path: Where the body came from.
        body: It.
        wanted: Dotted path to text.
    """
    if not wanted:
        return None
    try:
        told = json.loads(body)
    except ValueError:
        return f"GET {path}: the body is no JSON, fields {', '.join(wanted)} are expected"
    for field, expected in wanted.items():
        got = dig(told, field)
        if as_text(got) != expected:
            return f"GET {path}: {field} is {got!r}, expected {expected!r}: another build or process serves here"
    return None


def as_text(value: Any) -> str:
    """A JSON value as a configuration would write it."""
    return value if isinstance(value, str) else json.dumps(value)


def dig(value: Any, path: str) -> Any:
    """What stands at a dotted path of a JSON value, or None."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
