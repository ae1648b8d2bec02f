"""Finds and reads finchaos.toml: TOML, overrides, one JSON schema, then what a schema cannot say."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import config_parse, config_problems, config_references
from pytest_finchaos.environments.overrides import apply_overrides
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec

FILE_NAME = "finchaos.toml"


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration file, parsed.

    Args:
        source: The file.
        environments: By name.
        gates: Raw tables by name.
    """

    source: Path
    environments: Mapping[str, EnvironmentSpec]
    gates: Mapping[str, Any]


def find_configuration(option: str | None, base: Path) -> Path:
    """The configuration file: the one named, else ``finchaos.toml`` in ``base``, else its ``pyproject.toml``.

    Args:
        option: Path as given by the user, relative to ``base`` or absolute.
        base: Folder of the ini file, or the rootdir.

    Raises:
        UserError: No such file, or none at all.
    """
    if option is not None:
        path = (base / option).resolve()
        if path.is_dir():
            raise UserError(
                "--finchaos-config", f"{path} is a folder", cure=f"name the file, e.g. {option}/{FILE_NAME}"
            )
        if not path.is_file():
            raise UserError("--finchaos-config", f"no file {path}", cure="name an existing finchaos.toml")
        return path
    path = base / FILE_NAME
    if path.is_file():
        return path.resolve()
    project = base / "pyproject.toml"
    if project.is_file() and "finchaos" in _read(project).get("tool", {}):
        return project.resolve()
    raise UserError(
        str(base),
        f"drills were collected and there is no {FILE_NAME}",
        cure=f"write {FILE_NAME} with [environments.NAME], or name one with --finchaos-config FILE",
    )


def load_configuration(path: Path, overrides: Sequence[str] = ()) -> Configuration:
    """Read and check a configuration.

    Args:
        path: ``finchaos.toml``, or a ``pyproject.toml`` whose table ``[tool.finchaos]`` is the same document.
        overrides: ``dotted.path=VALUE``; VALUE is TOML, else a text; keys with dots are quoted.

    Raises:
        UserError: Everything that is wrong, in one message: file, dotted key, allowed keys, suggestion.
    """
    document, label = _read(path), path.name
    if label == "pyproject.toml":
        document, label = document.get("tool", {}).get("finchaos", {}), f"{label} [tool.finchaos]"
    document = apply_overrides(document, overrides)
    problems, damaged = config_problems.against_schema(document, schema(), label)
    tables = document.get("environments", {})
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if name not in damaged:
            problems += config_references.problems(name, table, file=label, base=path.parent)
    if problems:
        raise UserError(str(path), "\n".join([_count(len(problems)), *problems]))
    environments = {
        name: config_parse.environment(name, table, path) for name, table in document.get("environments", {}).items()
    }
    return Configuration(path, environments, document.get("gates", {}))


def schema() -> Mapping[str, Any]:
    """The JSON schema of the configuration."""
    text = resources.files("pytest_finchaos.environments").joinpath("finchaos.schema.json").read_text()
    parsed: Mapping[str, Any] = json.loads(text)
    return parsed


def _count(number: int) -> str:
    return "one mistake" if number == 1 else f"{number} mistakes"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(str(path), f"is not TOML: {error}", cure="mend that line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(str(path), f"cannot be read: {error}") from None
