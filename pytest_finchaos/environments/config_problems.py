"""What is wrong with a configuration against its schema, as sentences: place, value, what is allowed, a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_finchaos.model.errors import UserError

_WANTED = {
    "string": "text in quotes",
    "object": "a table",
    "array": "a list",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}
_LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "minItems": "at least {} in the list",
    "minProperties": "at least {} in the table",
}


def against_schema(document: Mapping[str, Any], schema: Mapping[str, Any], name: str) -> tuple[list[str], set[str]]:
    """Every violation of the schema.

    Args:
        document: The parsed file, overrides set.
        schema: JSON schema, Draft 2020-12.
        name: The file, for messages.

    Returns:
        The violations, and the names of the environments that have one: what a schema cannot say is checked on the
        others only.
    """
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(schema).iter_errors(document), key=lambda error: list(map(str, error.path)))
    damaged: set[str] = set()
    for error in errors:
        place = list(error.absolute_path)
        if not place or place[0] != "environments":
            continue
        tables = document["environments"]
        whole = map(str, tables) if isinstance(tables, Mapping) else ()
        damaged.update([str(place[1])] if len(place) > 1 else whole)
    return [line for error in errors for line in _sentences(error, name)], damaged


def _sentences(error: Any, name: str) -> Iterable[str]:
    where = f"{name}: {dotted(error.absolute_path)}"
    rule, value, got = str(error.validator), error.validator_value, error.instance
    if rule == "additionalProperties" and isinstance(got, Mapping):
        allowed = sorted(error.schema.get("properties", ()))
        for key in got:
            if key not in allowed:
                yield UserError(where, f"unknown key {key!r}", allowed=allowed, got=key).render()
    elif rule == "required":
        # jsonschema reports each missing key by itself
        missing = next((key for key in value if error.message.startswith(repr(key))), ", ".join(value))
        yield UserError(where, f"missing: {missing}").render()
    elif rule == "enum":
        allowed = [str(choice) for choice in value]
        yield UserError(where, f"is {shown(got)}", allowed=allowed, got=str(got)).render()
    elif rule == "type":
        cure = None
        if value == "string" and isinstance(got, int | float):
            cure = f'write "{shown(got)}", on a command line \'"{shown(got)}"\''
        yield UserError(where, f"is {shown(got)}, {_WANTED.get(str(value), str(value))} is wanted", cure=cure).render()
    elif rule == "pattern":
        what = error.schema.get("description", f"text like {value}")
        yield UserError(where, f"is {shown(got)}, {what} is wanted").render()
    elif rule in _LIMITS:
        yield UserError(where, f"is {shown(got)}, {_LIMITS[rule].format(value)} is wanted").render()
    else:
        yield UserError(where, str(error.message)).render()


def shown(value: Any) -> str:
    """A value for a message: as in TOML, cut when it is long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def dotted(path: Iterable[Any]) -> str:
    """A dotted path as it could be written in TOML; positions in lists as numbers."""
    parts = []
    for part in path:
        text = str(part)
        parts.append(text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else f'"{text}"')
    return ".".join(parts) or "top level"
