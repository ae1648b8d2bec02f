"""What an answer must be to match: a status, a header, a JSON value, or how the exchange ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

ENDINGS = ("timeout", "reset", "refused-connection", "malformed")
KINDS = ("a status (402)", "a class of statuses (4xx)", "json:PATH=VALUE", "header:NAME=VALUE", *ENDINGS)
JOINT = " & "
ANY = "*"  # as a value: there is one, and it is not null
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher, parsed.

    Args:
        text: As written.
        ending: One of `ENDINGS`, or "" for a complete answer.
        status: ``402``, ``4xx``, or "" for any.
        headers: Lower-case name and wanted value.
        values: Dotted path and wanted value, as text.
    """

    text: str
    ending: str = ""
    status: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    values: tuple[tuple[str, str], ...] = ()

    @property
    def rank(self) -> tuple[int, int]:
        """How specific it is; higher goes first: more headers and values, then a status before its class."""
        exact = 0 if not self.status else 1 if self.status.endswith("xx") else 2
        return len(self.headers) + len(self.values), exact

    def matches(self, status: int, headers: Mapping[str, str], plain: Any) -> bool:
        """Whether a complete answer matches.

        Args:
            status: HTTP status.
            headers: Lower-case name to value.
            plain: The parsed JSON body, None where it is no JSON.
        """
        if self.ending or self.status not in ("", str(status), f"{status // 100}xx"):
            return False
        named = all(name in headers and wanted in (ANY, headers[name]) for name, wanted in self.headers)
        return named and all(_holds(plain, path, wanted) for path, wanted in self.values)


@lru_cache(maxsize=4096)
def parse(text: str) -> Matcher:
    """Read a matcher.

    Raises:
        ValueError: Says what is wrong with it.
    """
    if text in ENDINGS:
        return Matcher(text, ending=text)
    status = ""
    headers: list[tuple[str, str]] = []
    values: list[tuple[str, str]] = []
    for part in text.split(JOINT):
        kind, _, rest = part.partition(":")
        name, equals, value = rest.partition("=")
        if _STATUS.fullmatch(part):
            if status:
                raise ValueError(f"{text!r} names two statuses; nothing has both")
            status = part
        elif part in ENDINGS:
            raise ValueError(f"{part!r} is no answer, so it cannot be joined with anything")
        elif kind not in ("json", "header"):
            raise ValueError(f"{part!r} is no matcher")
        elif not name or not equals or not value:
            raise ValueError(f"{part!r} names no value: write {kind}:{name or 'NAME'}=VALUE, or =* for any value")
        elif kind == "header":
            headers.append((name.lower(), value))
        else:
            values.append((name, value))
    return Matcher(text, "", status, tuple(headers), tuple(values))


def find(plain: Any, dotted: str) -> Any:
    """The value at a dotted path, list positions as numbers; a private mark where there is none (see `missing`)."""
    for part in dotted.split("."):
        if isinstance(plain, Mapping) and part in plain:
            plain = plain[part]
        elif isinstance(plain, list) and part.isdigit() and int(part) < len(plain):
            plain = plain[int(part)]
        else:
            return _MISSING
    return plain


def missing(found: Any) -> bool:
    """True for what `find` gives where there is nothing."""
    return found is _MISSING


def _holds(plain: Any, dotted: str, wanted: str) -> bool:
    found = find(plain, dotted)
    if missing(found):
        return False
    return found is not None if wanted == ANY else _spelt(found) == wanted


def _spelt(value: Any) -> str:
    """As the value would be written in JSON, a text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value)
