"""What an environment is, as one digest: declared settings and built artefacts, without ports, paths and times.

Commands are taken as declared, with their placeholders, so that two starts of one declaration have one fingerprint.
What stands on disk is read each time: a fingerprint taken later is a proof, not a memory.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_finchaos.environments.hashing import file_digest
from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec

_SECRET_NAME = re.compile(r"secret|token|passw|passphrase|key|credential|dsn|auth", re.IGNORECASE)
_SALT = b"finchaos-fingerprint"
UNREADABLE = "unreadable"


def digest_of_file(path: Path | None) -> str:
    """sha256 of a file; "" for None; a fixed word when it cannot be read, which no digest equals."""
    if path is None:
        return ""
    try:
        return file_digest(path)
    except OSError:
        return UNREADABLE


def interpreter() -> str:
    """Digest of the interpreter behind ``{python}`` and of every distribution that it can import."""
    program = digest_of_file(Path(sys.executable).resolve())
    if program == UNREADABLE:  # some may be run and not read
        program = f"{UNREADABLE} {sys.version}"
    total = hashlib.sha256(program.encode())
    for place in sys.path:
        # RECORD holds the digest of every installed file; an editable install has one too, its source is the build
        for record in sorted(Path(place or ".").glob("*.dist-info/RECORD")):
            total.update(f"{record.parent.name}\0{digest_of_file(record)}\n".encode())
    return total.hexdigest()


def component_digest(spec: ComponentSpec, *, build: str, executable: str, server: str = "", schema: str = "") -> str:
    """The digest of one component.

    Args:
        spec: As declared; its command still holds placeholders.
        build: Digest of its build.
        executable: Digest of the program that runs: for ``{python}`` see `interpreter`.
        server: For postgres: version of the server.
        schema: For postgres: digest of the schema that its template was made with.
    """
    facts = {
        "kind": spec.kind,
        "version": spec.version,
        "build": build,
        "executable": executable,
        "argv": list(spec.command),
        "variables": {name: _shown(name, value) for name, value in spec.variables.items()},
        "settings": dict(spec.settings),
        "database": spec.database,
        "schema": schema,
        "server": server,
        "restart": spec.restart,
        "ready": [spec.ready.http, dict(spec.ready.fields), spec.ready.within_s],
    }
    return _digest(facts)


def external_digest(spec: ComponentSpec, told: str) -> str:
    """The digest of a component that the harness did not build.

    Args:
        spec: As declared.
        told: Which build it says it is; "" when nobody declared where it would say so.
    """
    facts = {
        "kind": spec.kind,
        "address": spec.address,
        "database": spec.database,
        "restart": spec.restart,
        "ready": [spec.ready.http, dict(spec.ready.fields), spec.ready.within_s],
        "identity": None if spec.identity is None else [spec.identity.http, spec.identity.field],
        "told": told,
    }
    return _digest(facts)


def system_digest(spec: EnvironmentSpec, program: Path | None) -> str:
    """The digest of a system's start and stop commands, and of the files that their words name.

    Args:
        spec: As declared; the commands still hold placeholders.
        program: The file that the start command executes.
    """
    folder = Path(spec.source).parent
    books = {Path(text).name for text in (spec.ledger.connect if spec.ledger else {}).values() if isinstance(text, str)}
    words = [word for word in (*spec.start[1:], *spec.stop[1:]) if "{" not in word]
    named = {word: folder / word for word in words if Path(word).name not in books}  # the ledger's file is data
    facts = {
        "start": list(spec.start),
        "stop": list(spec.stop),
        "variables": {name: _shown(name, value) for name, value in spec.variables.items()},
        "program": interpreter() if spec.start[0] == "{python}" else digest_of_file(program),
        "files": {word: digest_of_file(path) for word, path in named.items() if path.is_file()},
    }
    return _digest(facts)


def _shown(name: str, value: str) -> str:
    """The value, or for what looks like a secret its keyed digest: equal secrets stay equal, none is told."""
    if _SECRET_NAME.search(name) or "://" in value:  # a URL may hold a password
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
        "data": {name: digest_of_file(source.file) for name, source in spec.data.items() if source.file},
    }
    return _digest(facts)


def _digest(facts: Mapping[str, object]) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
