"""Finding and reading run reports, as commands name them: folders of runs, runs, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.reporting.document import FILE, read_report

DEFAULT = "reports"
_WILD = "*?["


def find(folder: str | None, named: Sequence[str]) -> tuple[Path, ...]:
    """The ``report.json`` files meant by a command line, each once.

    Args:
        folder: ``--reports``: everything below it counts; None without it.
        named: Run folders, files, folders of runs, or patterns of them; when empty and no folder is named, the folder
            ``reports`` is meant.

    Raises:
        UserError: Something named does not exist, or a pattern matches nothing.
    """
    places = [*([folder] if folder is not None else []), *named] or [DEFAULT]
    found: dict[Path, Path] = {}
    for place in places:
        for path in _expand(place):
            for file in below(path):
                found.setdefault(file.resolve(), file)
    return tuple(found.values())


def _expand(place: str) -> list[Path]:
    if os.path.lexists(place):
        return [Path(place)]
    if any(letter in place for letter in _WILD):
        anchor = Path(place).anchor
        matched = sorted(Path(anchor or ".").glob(place.removeprefix(anchor)))
        if matched:
            return matched
        raise UserError(place, "no file or folder matches", cure="quote the pattern, or name folders of runs")
    raise UserError(place, "there is no such file or folder", cure=f"name a run, its {FILE}, or a folder of runs")


def below(path: Path) -> list[Path]:
    """Every ``report.json`` in a folder and below, links to folders not followed; a file is itself."""
    if not path.is_dir():
        return [path]
    if (path / FILE).is_file():
        return [path / FILE]
    found = []
    for folder, folders, files in os.walk(path, onerror=_refuse):
        folders.sort()
        if FILE in files:
            found.append(Path(folder) / FILE)
            folders.clear()  # below a run are its records
    return found


def _refuse(error: OSError) -> None:
    raise error


def read(files: Iterable[Path]) -> tuple[RunResult, ...]:
    """The runs, all of them.

    Raises:
        UserError: One cannot be read: a report that is left out could be the one that failed.
    """
    return tuple(read_report(file) for file in files)
