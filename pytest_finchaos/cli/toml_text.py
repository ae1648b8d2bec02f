"""TOML as a person writes it: values on one line, keys bare where they may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def value(given: Any) -> str:
    """One value: text, number, list, table on one line; what TOML has no word for becomes text."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int | float):
        return repr(given)
    if isinstance(given, Mapping):
        inner = ", ".join(f"{key(str(name))} = {value(each)}" for name, each in given.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(given, list | tuple):
        return f"[{', '.join(map(value, given))}]"
    text = json.dumps(str(given), ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # the one character that JSON leaves and TOML forbids


def key(name: str) -> str:
    """A key, quoted when it must be."""
    return name if BARE.match(name) else value(name)


def line(name: str, given: Any, remark: str = "", *, width: int = 42) -> str:
    """``name = value``, with a remark set off to the right."""
    text = f"{key(name)} = {value(given)}"
    return f"{text.ljust(width)} # {remark}" if remark else text


def marked(lines: list[str], mark: str) -> list[str]:
    """Lines behind a mark; those that are remarks already stay as they are."""
    return [text if text.startswith("#") else f"{mark} {text}".rstrip() for text in lines]
