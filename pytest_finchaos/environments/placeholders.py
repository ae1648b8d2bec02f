"""Placeholders of commands, variables and ready fields: which exist, and how they are filled."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

from pytest_finchaos.model.errors import UserError

IN_COMMANDS = ("python", "port", "workdir", "build", "build_digest")
IN_FIELDS = ("pid", "build", "build_digest")
IN_SYSTEM = ("python", "workdir")
EDGE = "edge."
PORT = "port."


def names_in(text: str) -> list[str]:
    """Names of the placeholders in ``text``, in order.

    Raises:
        ValueError: Braces that do not match.
    """
    return [name for _, name in _parts(text) if name is not None]


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    for literal, name, _, _ in string.Formatter().parse(text):
        yield literal, name


def fill(text: str, places: Mapping[str, str], where: str) -> str:
    """``text`` with its placeholders replaced; ``{{`` and ``}}`` stand for plain braces.

    Raises:
        UserError: Unknown placeholder, or braces that do not match.
    """
    done = []
    try:
        parts = list(_parts(text))
    except ValueError as error:
        raise UserError(where, f"{text!r}: {error}", cure="write {{ and }} for plain braces") from None
    for literal, name in parts:
        done.append(literal)
        if name is None:
            continue
        if name not in places:
            raise UserError(where, f"unknown placeholder {{{name}}}", allowed=sorted(places), got=name)
        done.append(places[name])
    return "".join(done)
