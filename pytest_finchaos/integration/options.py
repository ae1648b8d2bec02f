"""Options and ini keys; light, because every pytest run of the machine imports this."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_finchaos.integration.controller import Collected

PROPERTY = "finchaos"  # the one user property, and the one key in xdist's worker input and output
PROGRESS = "finchaos-progress"  # phase and type of a report that is a worker's line of progress
MARK = "finchaos-drill"  # keyword of a test that is a drill; crosses with each of its reports
DESELECTED = "finchaos-deselected"  # key in a worker's output: drills that it left out on purpose
COLLECTED: pytest.StashKey[Collected] = pytest.StashKey()
RUNNING: pytest.StashKey[pytest.Item] = pytest.StashKey()  # the test that a worker is at

_TEXTS = (
    ("config", "FILE", "configuration (default: finchaos.toml beside the rootdir's ini, else [tool.finchaos])"),
    ("seed", "N", "seed of all draws; printed in each report, repeats arrivals, amounts, keys and fault draws"),
    ("reports", "DIR", "where run folders are written (default: reports)"),
)
_EXPERIMENTS = "Chaos Toolkit files to collect: a file or a folder; repeatable"
_SET = "override one setting, dotted path, VALUE is TOML or else text; repeatable"


def add(parser: pytest.Parser) -> None:
    """Declare each option, and each as an ini key without dashes."""
    group = parser.getgroup("finchaos", "resilience drills (pytest-finchaos)")
    for name, metavar, text in _TEXTS:
        group.addoption(f"--finchaos-{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"finchaos_{name}", help=text, default=None)
    group.addoption("--finchaos-set", metavar="KEY=VALUE", default=None, action="append", help=_SET)
    parser.addini("finchaos_set", help=_SET, type="linelist", default=[])
    group.addoption("--finchaos-experiments", metavar="PATH", default=None, action="append", help=_EXPERIMENTS)
    parser.addini("finchaos_experiments", help=_EXPERIMENTS, type="linelist", default=[])


def value(config: pytest.Config, name: str) -> Any:
    """The option when given, else the ini key, else None (or an empty list)."""
    given = config.getoption(f"finchaos_{name}", default=None)
    if given is not None:
        return given
    return config.getini(f"finchaos_{name}") or None


def is_drill(item: pytest.Item) -> bool:
    """True for an experiment file, and when a test requests our ``drill`` fixture, not something else of that name."""
    if getattr(item, "finchaos_drill", False):
        return True
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).get("drill")
    return definitions is not None and definitions[-1].func.__module__ == "pytest_finchaos.fixtures"


def drills_among(items: Iterable[pytest.Item]) -> list[str]:
    """Node ids of the drills among some tests."""
    return [item.nodeid for item in items if is_drill(item)]


def received(config: pytest.Config) -> dict[str, Any]:
    """What the controller gave this worker; empty on the controller and without workers."""
    text = getattr(config, "workerinput", {}).get(PROPERTY)
    known: dict[str, Any] = json.loads(text) if text else {}
    return known


def configured(config: pytest.Config) -> bool:
    """True when there is a configuration, so that drills could run."""
    if value(config, "config") is not None:
        return True
    base = config.inipath.parent if config.inipath else config.rootpath
    project = base / "pyproject.toml"
    return (base / "finchaos.toml").is_file() or (project.is_file() and b"[tool.finchaos" in project.read_bytes())


def header(config: pytest.Config) -> str | None:
    """One line when a configuration is there, else nothing."""
    named = value(config, "config")
    base = config.inipath.parent if config.inipath else config.rootpath
    if named is None and not (base / "finchaos.toml").is_file():
        return None
    from pytest_finchaos.integration import identity

    ours = identity.of(config)
    return f"finchaos: seed {ours.seed}, run {ours.id}, configuration {named or 'finchaos.toml'}"


def explain_clash(error: ValueError) -> Exception:
    """Locust ships a pytest plugin that claims ``--host``; a conftest that adds it too cannot load."""
    if "'--host'" not in str(error):
        return error
    return pytest.UsageError(
        "two plugins declare the option --host: Locust installs a pytest plugin of its own that claims it.\n"
        "  next: switch that plugin off, pytest-finchaos does not need it: add `addopts = -p no:locust` to your "
        "pytest settings or run `pytest -p no:locust`"
    )
