"""What a project tells pytest in its ini file, read without starting pytest."""

from __future__ import annotations

import configparser
import itertools
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError

FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
SECTIONS = {"setup.cfg": "tool:pytest"}


@dataclass(frozen=True, slots=True)
class PytestSettings:
    """The settings of a project.

    Args:
        source: The ini file, or None.
        folder: Where paths in it start.
        values: Its keys.
    """

    source: Path | None
    folder: Path
    values: Mapping[str, Any] = field(default_factory=dict)

    def words(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Options that every run gets: ``addopts``, then ``PYTEST_ADDOPTS``."""
        given = self.values.get("addopts", "")
        words = [str(word) for word in given] if isinstance(given, list) else _split(str(given))
        return (*words, *_split(environ.get("PYTEST_ADDOPTS", "")))


def read(folder: Path) -> PytestSettings:
    """The nearest ini file in ``folder`` or above that speaks of pytest.

    Raises:
        UserError: It cannot be parsed.
    """
    for place in (folder, *folder.parents):
        for name in FILES:
            path = place / name
            if path.is_file() and (values := _section(path)) is not None:
                return PytestSettings(path, place, values)
    return PytestSettings(None, folder)


def plugin_is_off(words: tuple[str, ...], name: str) -> bool:
    """True when options switch a plugin off: ``-p no:NAME`` or ``-pno:NAME``."""
    pairs = itertools.pairwise(words)
    return f"-pno:{name}" in words or any(pair == ("-p", f"no:{name}") for pair in pairs)


def workers(words: tuple[str, ...]) -> str:
    """What ``-n`` says, "" when it is not there."""
    found = ""
    for at, word in enumerate(words):
        if word in ("-n", "--numprocesses") and at + 1 < len(words):
            found = words[at + 1]
        elif word.startswith("--numprocesses="):
            found = word.partition("=")[2]
        elif word.startswith("-n") and word[2:].isalnum() and not word.startswith("--"):
            found = word[2:]
    return found


def _section(path: Path) -> Mapping[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return _of_toml(path.name, tomllib.loads(text))
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
    except (tomllib.TOMLDecodeError, configparser.Error, UnicodeDecodeError) as error:
        raise UserError(str(path), f"cannot be parsed: {error}", cure="mend that line") from None
    section = SECTIONS.get(path.name, "pytest")
    if parser.has_section(section):
        return dict(parser.items(section))
    return {} if path.name in ("pytest.ini", ".pytest.ini") else None


def _of_toml(name: str, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if name != "pyproject.toml":
        found = document.get("pytest")
        return found if isinstance(found, dict) else {}
    table = document.get("tool", {}).get("pytest")
    if not isinstance(table, dict):
        return None
    inner = table.get("ini_options")
    return inner if isinstance(inner, dict) else table


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote: pytest will say so
        return text.split()
