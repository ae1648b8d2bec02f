"""``finchaos doctor``: what this machine and this configuration can do, and the cure for what is missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finchaos.cli import finding, needs, pytest_settings
from pytest_finchaos.cli.machine import Machine, Program, Project
from pytest_finchaos.model.errors import UserError

if TYPE_CHECKING:
    from pytest_finchaos.cli.needs import Needs

TEXT = "Say level by level what this machine and this configuration can do; exit 1 when something needed is missing."
CONFTESTS = 200  # a project with more of them is told of the first ones
SKIPPED = (".venv", "venv", "node_modules", ".git", "site-packages")


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("doctor", description=TEXT)
    parser.add_argument("--config", metavar="FILE", help="configuration (default: as pytest would find it here)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, judge, print."""
    from pytest_finchaos.cli import checks

    project, wanted = look_at_project(Path.cwd(), arguments.config, os.environ)
    folder = Path(project.configuration).parent if project.configuration else Path.cwd()
    found = checks.examine(look_at_machine(wanted, folder, os.environ), project, wanted)
    if arguments.json:
        print(json.dumps(finding.as_data(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(finding.rendered(found)))
    return finding.exit_code(found)


def look_at_machine(wanted: Needs, folder: Path, environ: Mapping[str, str]) -> Machine:
    """Measure this machine."""
    from pytest_finchaos.cli import probes, probes_host

    cache, free_mb = probes_host.cache()
    usable = not cache.problem
    return Machine(
        python=platform.python_version(),
        python_suits=sys.version_info >= (3, 11),
        system=platform.system(),
        packages=probes.packages(),
        toxiproxy=probes.toxiproxy(environ),
        attached=probes.attached(wanted, environ),
        components=probes.components(wanted),
        postgres=probes.postgres(environ) if usable else Program(problem="not looked for: the cache cannot be used"),
        envoy=probes.envoy(environ),
        programs=probes.programs(wanted.programs, folder, environ),
        drivers=probes.drivers(wanted.drivers),
        landlock_abi=probes_host.landlock_abi(),
        engine=probes.engine(environ),
        kube=probes.kube(environ),
        open_files=probes_host.open_files(),
        cores=probes_host.cores(),
        cache=cache,
        cache_free_mb=free_mb,
        ends_processes=probes_host.ends_processes(),
        ptrace_scope=probes_host.ptrace_scope(),
        leftovers=probes_host.leftovers() if usable else (),
    )


def look_at_project(folder: Path, option: str | None, environ: Mapping[str, str]) -> tuple[Project, Needs]:
    """The project in ``folder``, and what its configuration needs.

    Raises:
        UserError: ``--config`` names no file, or an ini file of pytest cannot be parsed.
    """
    settings = pytest_settings.read(folder)
    words = settings.words(environ)
    locust = locust_is_loaded(words, environ)
    path = find(folder, option, settings)
    mistakes, wanted = ("", needs.NOTHING) if path is None else judged(path)
    project = Project(
        configuration="" if path is None else str(path),
        mistakes=mistakes,
        locust_plugin=locust,
        host_declared_in=declaring_host(folder) if locust else (),
        workers=pytest_settings.workers(words),
        settings="" if settings.source is None else str(settings.source),
    )
    return project, wanted


def find(folder: Path, option: str | None, settings: pytest_settings.PytestSettings) -> Path | None:
    """The configuration: named, else as pytest finds it; None when there is none.

    Raises:
        UserError: The named one is no file.
    """
    if option is not None:
        path = (folder / option).resolve()
        if not path.is_file():
            raise UserError("--config", f"no file {path}", cure="name an existing finchaos.toml")
        return path
    from pytest_finchaos.environments.config import find_configuration

    try:
        named = settings.values.get("finchaos_config")
        return find_configuration(None if named is None else str(named), settings.folder)
    except UserError:
        if settings.values.get("finchaos_config"):
            raise
        return None


def judged(path: Path) -> tuple[str, Needs]:
    """What is wrong with a configuration, and what it needs as far as it can be read."""
    from pytest_finchaos.environments.config import load_configuration

    try:
        load_configuration(path)
        mistakes = ""
    except UserError as error:
        mistakes = error.render()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return mistakes, needs.NOTHING
    if path.name == "pyproject.toml":
        document = document.get("tool", {}).get("finchaos", {})
    return mistakes, needs.of(document)


def locust_is_loaded(words: tuple[str, ...], environ: Mapping[str, str]) -> bool:
    """True when pytest would load Locust's own plugin in this project."""
    if environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") or "--disable-plugin-autoload" in words:
        return False
    there = any(point.name == "locust" for point in metadata.entry_points(group="pytest11"))
    return there and not pytest_settings.plugin_is_off(words, "locust")


def declaring_host(folder: Path) -> tuple[str, ...]:
    """The conftest files below ``folder`` that declare the option ``--host`` themselves."""
    found = []
    for number, path in enumerate(folder.rglob("conftest.py")):
        if number >= CONFTESTS:
            break
        if not any(part in SKIPPED for part in path.relative_to(folder).parts):
            text = path.read_text(encoding="utf-8", errors="replace")
            if "addoption" in text and ('"--host"' in text or "'--host'" in text):
                found.append(str(path.relative_to(folder)))
    return tuple(sorted(found))
