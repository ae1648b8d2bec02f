"""Writes what init wrote up: all or nothing, nothing of anybody else's lost, and only what is right by the schema."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finchaos.cli import init_files, init_toml, pytest_settings
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.files import write_atomic

if TYPE_CHECKING:
    from pytest_finchaos.cli.init_toml import System

CONFIGURATION = "finchaos.toml"


def write(system: System, fixture: str, folder: Path, *, force: bool) -> tuple[str, ...]:
    """Write every file.

    Args:
        system: The system.
        fixture: Name of its fixture.
        folder: The project.
        force: Overwrite what is there.

    Returns:
        Paths within the project, in the order of writing.

    Raises:
        UserError: Files are there already, or what was made up would not be right.
    """
    around = init_files.around(
        name=system.name,
        fixture=fixture,
        entry=system.entry.name,
        attached=not system.start,
        has_settings=has_settings(folder),
    )
    files = {CONFIGURATION: init_toml.render(system), **around}
    refuse_wrong(files[CONFIGURATION])
    refuse(folder, files, force)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_bytes() != text.encode():
            path.replace(path.with_name(f"{path.name}.old"))
        write_atomic(path, text)
    return tuple(files)


def refuse_existing(folder: Path, force: bool) -> None:
    """Before the system is asked: is there room for the files?

    Raises:
        UserError: Some are there already, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError("finchaos init", f"{folder} is a file", cure="name a folder")
    names = init_files.around(name="", fixture="", entry="", attached=True, has_settings=has_settings(folder))
    refuse(folder, {CONFIGURATION: "", **names}, force)


def refuse(folder: Path, files: Mapping[str, str], force: bool) -> None:
    """Refuse to overwrite.

    Raises:
        UserError: Names the files that are there.
    """
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        what = f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already; nothing was changed"
        raise UserError("finchaos init", what, cure="name another folder, or overwrite with --force")


def has_settings(folder: Path) -> bool:
    """True when the folder itself has an ini file that speaks of pytest; it is not ours to change."""
    settings = pytest_settings.read(folder)
    return settings.source is not None and settings.folder == folder


def locust_warning(folder: Path) -> str:
    """What to change in the project's own settings for pytest, "" when nothing."""
    settings = pytest_settings.read(folder)
    if pytest_settings.plugin_is_off(settings.words({}), "locust"):
        return ""
    return f"add -p no:locust to addopts in {settings.source}: Locust's own pytest plugin claims --host"


def refuse_wrong(text: str) -> None:
    """What was written must be what is read.

    Raises:
        UserError: It is not; this would be a mistake of init.
    """
    from pytest_finchaos.environments.config import load_configuration

    with tempfile.TemporaryDirectory(prefix="finchaos-init-") as place:
        path = Path(place) / CONFIGURATION
        path.write_text(text, encoding="utf-8")
        load_configuration(path)
