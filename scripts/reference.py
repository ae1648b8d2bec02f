"""Writes ``docs/reference/`` from the code, so that it cannot say otherwise than the code does.

``python scripts/reference.py`` writes; ``--check`` compares and exits 1 when a page is stale.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
HEAD = "<!-- made by scripts/reference.py from the code; change the code, then run it -->\n\n"
INTERNAL = ("Drill.abandon", "Drill.bind", "Drill.close", "Drill.finish", "Injection.remove", "Injection.result")
OTHER_CHECKS = {
    "quiescence": "The system comes to rest after the load: nothing waits, nothing changes.",
    "lookup-agrees": "What the API says of a payment is what the ledger holds.",
}
MEMBERS_OF = ("Drill", "Environment", "Traffic", "Injection", "Release", "Verdict")


class Recorder:
    """Stands in for pytest's parser and keeps what is declared."""

    def __init__(self) -> None:
        self.options: list[tuple[str, str, str]] = []
        self.ini: dict[str, str] = {}

    def getgroup(self, *_: str) -> Recorder:
        return self

    def addoption(self, name: str, **words: Any) -> None:
        metavar = f" {words['metavar']}" if words.get("metavar") else ""
        self.options.append((name, metavar, str(words.get("help", ""))))

    def addini(self, name: str, **words: Any) -> None:
        self.ini[name] = str(words.get("type") or "text")


def options_page() -> str:
    """Pytest options and ini keys."""
    from pytest_finchaos.integration import options

    recorder = Recorder()
    options.add(recorder)  # type: ignore[arg-type]  # as much of a parser as is used
    lines = ["# Pytest options", "", "Each option is an ini key too, without the leading dashes and with `_` for `-`."]
    lines += ["", "| option | ini key (type) | meaning |", "|---|---|---|"]
    for name, metavar, text in recorder.options:
        key = name.lstrip("-").replace("-", "_")
        ini = f"`{key}` ({recorder.ini[key]})" if key in recorder.ini else "none"
        lines.append(f"| `{name}{metavar}` | {ini} | {cell(text)} |")
    return page(lines)


def settings_page() -> str:
    """Every key of finchaos.toml."""
    from pytest_finchaos.environments.config import schema

    intro = [
        "# finchaos.toml",
        "",
        "One JSON schema describes it: `pytest_finchaos/environments/finchaos.schema.json`. An unknown key is an error",
        "with a suggestion. Paths are relative to the file. The same document may stand in `pyproject.toml`, below",
        "`[tool.finchaos]`.",
    ]
    return page([*intro, *from_schema(schema())])


def profiles_page() -> str:
    """Every key of a load profile."""
    schema = json.loads((ROOT / "loadprofiles" / "profile.schema.json").read_text(encoding="utf-8"))
    intro = [
        "# Load profiles",
        "",
        "One TOML file each, in `loadprofiles/` beside `finchaos.toml` or in the package.",
    ]
    return page([*intro, *from_schema(schema)])


def report_page() -> str:
    """Every key of report.json."""
    path = ROOT / "pytest_finchaos" / "reporting" / "report.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    intro = ["# report.json", "", schema["description"], "", f"The schema: `{path.relative_to(ROOT)}`."]
    return page([*intro, *from_schema(schema)])


def from_schema(schema: Mapping[str, Any]) -> Iterator[str]:
    """A section for the root and for each definition that is a table of keys."""
    yield from section("the document", schema)
    for name, part in schema.get("$defs", {}).items():
        if "properties" in part:
            yield from section(name, part)


def section(title: str, part: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| key | value | meaning |", "|---|---|---|")
    yield from rows(part, "")


def rows(part: Mapping[str, Any], prefix: str) -> Iterator[str]:
    required = part.get("required", ())
    for key, value in part.get("properties", {}).items():
        needed = ", required" if key in required else ""
        yield f"| `{prefix}{key}` | {cell(kind(value))}{needed} | {cell(meaning(value))} |"
        inner, dots = (value["items"], "[].") if "properties" in value.get("items", {}) else (value, ".")
        yield from rows(inner, f"{prefix}{key}{dots}")


def kind(value: Mapping[str, Any]) -> str:
    """The type of a value in words."""
    if "$ref" in value:
        return f"*{value['$ref'].rpartition('/')[2]}*"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{each}`" for each in value["enum"])
    for word in ("oneOf", "anyOf"):
        if word in value:
            return " or ".join(kind(each) for each in value[word])
    named = value.get("type", "any")
    text = " or ".join(named) if isinstance(named, list) else str(named)
    if text == "array" and "items" in value and "properties" not in value["items"]:
        return f"list of {kind(value['items'])}"
    more = value.get("additionalProperties")
    if text == "object" and isinstance(more, dict) and more:
        return f"table of {kind(more)}"
    return {"object": "table", "array": "list", "string": "text"}.get(text, text) + limits(value)


def limits(value: Mapping[str, Any]) -> str:
    words = []
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in value:
            words.append(f"{sign} {value[key]}")
    return f" {', '.join(words)}" if words else ""


def meaning(value: Mapping[str, Any]) -> str:
    default = f" Default: `{value['default']}`." if "default" in value else ""
    return str(value.get("description", "")) + default


def python_page() -> str:
    """The public names, their signatures and docstrings."""
    package = importlib.import_module("pytest_finchaos")
    lines = ["# Python", "", f"`from pytest_finchaos import {', '.join(package.__all__)}`", ""]
    lines += ["Fixtures: `drill` (function-scoped), and what `environment_fixture` makes."]
    for name in package.__all__:
        value = getattr(package, name)
        if name == "faults":
            continue
        lines += entry(name, value)
        for member, part in inspect.getmembers(value) if name in MEMBERS_OF else ():
            if not member.startswith("_") and f"{name}.{member}" not in INTERNAL and documented(part, value):
                lines += entry(f"{name}.{member}", part, level=3)
    lines += ["", "## faults"]
    for name in package.faults.__all__:
        value = getattr(package.faults, name)
        if dataclasses.is_dataclass(value):
            lines += entry(f"faults.{name}", value, level=3)
    return page(lines)


def documented(part: Any, owner: Any) -> bool:
    """True for methods and properties of our own; fields of enums and dataclasses are told by their owner."""
    if isinstance(part, property):
        return bool(part.fget and part.fget.__doc__)
    return inspect.isfunction(part) and part.__module__ == owner.__module__ and bool(part.__doc__)


def entry(name: str, value: Any, *, level: int = 2) -> list[str]:
    signature = ""
    if callable(value) and not (inspect.isclass(value) and not dataclasses.is_dataclass(value)):
        found = inspect.signature(value)
        shown = [part for key, part in found.parameters.items() if key != "self"]
        kept = [part.replace(annotation=inspect.Parameter.empty) for part in shown]
        signature = str(found.replace(parameters=kept, return_annotation=inspect.Signature.empty))
    return ["", f"{'#' * level} `{name}{signature}`", "", *prose(inspect.getdoc(value) or "")]


def prose(text: str) -> list[str]:
    """A Google-style docstring as Markdown: its sections become lists."""
    lines: list[str] = []
    for line in text.replace("``", "`").splitlines():
        if line in ("Args:", "Returns:", "Raises:", "Attributes:"):
            lines += [f"*{line.rstrip(':')}*", ""]
        elif line.startswith("        "):
            lines.append(f"  {line.strip()}")
        elif line.startswith("    "):
            lines.append(f"- {line.strip()}")
        else:
            lines.append(line)
    return lines


def checks_page() -> str:
    """Objectives and invariants."""
    from pytest_finchaos.ledger.invariants import CHECKS, INVARIANTS
    from pytest_finchaos.slo.catalogue import load_objectives

    lines = ["# Objectives and invariants", "", "## Objectives of the catalogue", ""]
    lines += ["`[environments.X.slos.NAME]` changes one or defines another.", ""]
    lines += ["| objective | measured on | good means | target |", "|---|---|---|---|"]
    for name, one in load_objectives({}, "").items():
        lines.append(f"| `{name}` | `{one.operation}` | {cell(one.good_means())} | {one.describe()} |")
    lines += ["", "## Invariants of the money", "", "Checked in every drill, as far as the ledger adapter allows;"]
    lines += ["what it does not allow is listed as not checked.", "", "| invariant | what it finds |", "|---|---|"]
    lines += [f"| `{name}` | {cell(told(CHECKS.get(name), OTHER_CHECKS.get(name, '')))} |" for name in INVARIANTS]
    return page(lines)


def told(check: object, else_text: str) -> str:
    """First paragraph of a check's docstring."""
    return (inspect.getdoc(check) or "").partition("\n\n")[0] if check is not None else else_text


def exit_codes_page() -> str:
    """Exit codes of pytest and of the command."""
    from pytest_finchaos.cli import main

    lines = ["# Commands and exit codes", "", "## finchaos", "", "| command | what it does |", "|---|---|"]
    lines += [f"| `finchaos {name}` | {main.SUMMARIES[name]} |" for name in main.COMMANDS]
    lines += ["", "| exit code | meaning |", "|---|---|", "| 0 | pass |", "| 1 | fail, or blocked |"]
    lines += [f"| {main.WRONG_USE} | wrong use, or input that cannot be read |"]
    lines += ["| 3 | undecided is the only ground for blocking |", f"| {main.INTERRUPTED} | interrupted |"]
    lines += ["", "## pytest", "", "Pytest keeps its own codes: 0 all passed, 1 some failed, 2 interrupted,"]
    lines += [
        "3 internal error, 4 wrong use, 5 nothing collected. An undecided drill is a failed test; a result that was"
    ]
    lines += ["lost on its way from a worker, and a report that could not be written, make it 1."]
    return page(lines)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def page(lines: Sequence[str]) -> str:
    return HEAD + "\n".join(line.rstrip() for line in lines).strip() + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "options.md": options_page,
    "settings.md": settings_page,
    "profiles.md": profiles_page,
    "report.md": report_page,
    "python.md": python_page,
    "checks.md": checks_page,
    "exit-codes.md": exit_codes_page,
}


def stale() -> list[str]:
    """Names of pages that are missing or say otherwise than the code."""
    return [
        name
        for name, make in PAGES.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != make()
    ]


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a page is stale")
    if parser.parse_args().check:
        found = stale()
        for name in found:
            print(f"docs/reference/{name} is stale: run python scripts/reference.py", file=sys.stderr)
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
