"""What an environment is, as one digest: declared settings and built artefacts, without ports, paths and times."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec

_SECRET_NAME = re.compile(r"secret|token|password|key|credential", re.IGNORECASE)
_SALT = b"finchaos-fingerprint"


@functools.cache
def interpreter_digest() -> str:
    """sha256 of the interpreter that runs ``{python}``; of its version where the file may be run but not read."""
    try:
        return hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest()
    except PermissionError:
        return hashlib.sha256(f"unreadable {sys.version}".encode()).hexdigest()


def component_digest(spec: ComponentSpec, *, build: str, server: str) -> str:
    """The digest of one component.

    Args:
        spec: As declared; its command still holds placeholders, so that ports and paths do not count.
        build: Digest of its build.
        server: For postgres: version of the server.
    """
    schema = spec.schema.read_bytes() if spec.schema is not None and spec.schema.exists() else b""
    facts = {
        "kind": spec.kind,
        "version": spec.version,
        "build": build,
        "interpreter": interpreter_digest() if "{python}" in spec.command else "",
        "argv": list(spec.command),
        "variables": {name: _shown(name, value) for name, value in spec.variables.items()},
        "settings": dict(spec.settings),
        "schema": hashlib.sha256(schema).hexdigest(),
        "server": server,
        "restart": spec.restart,
        "ready": [spec.ready.http, dict(spec.ready.fields)],
    }
    return _digest(facts)


def _shown(name: str, value: str) -> str:
    """The value, or for what looks like a secret its keyed digest: equal secrets stay equal, none is told."""
    if _SECRET_NAME.search(name):
        return hmac.new(_SALT, value.encode(), hashlib.sha256).hexdigest()
    return value


def environment_digest(spec: EnvironmentSpec, components: Mapping[str, str], proxy: str) -> str:
    """The digest of an environment over its components, its edges and its fault proxy.

    Args:
        spec: As declared.
        components: Digest of each component.
        proxy: Kind and version of the fault proxy.
    """
    facts = {
        "backend": spec.backend,
        "components": dict(components),
        "edges": sorted(f"{edge.source} → {edge.target}" for edge in spec.edges),
        "proxy": proxy,
    }
    return _digest(facts)


def _digest(facts: Mapping[str, object]) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
