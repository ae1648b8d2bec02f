"""``--finchaos-set KEY=VALUE``: one setting, by dotted path."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_finchaos.model.errors import UserError


def apply_overrides(document: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of ``document`` with each override set; tables on the way are made, lists are not entered.

    Raises:
        UserError: No ``=``, a malformed path, or a path through something that is no table.
    """
    changed = copy.deepcopy(dict(document))
    for override in overrides:
        key, equals, text = override.partition("=")
        where = f"--finchaos-set {override}"
        if not equals or not key.strip():
            raise UserError(
                where, "KEY=VALUE is wanted", cure="e.g. --finchaos-set environments.payments.backend=processes"
            )
        path = split_path(key.strip(), where)
        table = changed
        for part in path[:-1]:
            inner = table.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UserError(where, f"{part!r} is no table, nothing can be set below it")
            table = inner
        table[path[-1]] = parse_value(text)
    return changed


def split_path(key: str, where: str) -> list[str]:
    """The parts of a dotted path; parts with dots are quoted as in TOML."""
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        raise UserError(where, f"{key!r} is no dotted path", cure='quote keys that hold dots: a."b.c".d') from None
    parts = []
    while isinstance(table, dict):
        ((part, table),) = table.items()
        parts.append(part)
    return parts


def parse_value(text: str) -> Any:
    """A TOML value, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
