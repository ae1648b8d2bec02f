"""Resilience tests of payment systems as pytest files; names are loaded when they are used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finchaos import faults
    from pytest_finchaos.drill.drill import Drill
    from pytest_finchaos.drill.injection import Injection
    from pytest_finchaos.drill.release import Release
    from pytest_finchaos.drill.traffic import Traffic
    from pytest_finchaos.environments.environment import Environment
    from pytest_finchaos.fixtures import environment_fixture
    from pytest_finchaos.model.verdict import Undecided, Verdict

__all__ = [
    "Drill",
    "Environment",
    "Injection",
    "Release",
    "Traffic",
    "Undecided",
    "Verdict",
    "environment_fixture",
    "faults",
]

_HOMES = {
    "Drill": "pytest_finchaos.drill.drill",
    "Environment": "pytest_finchaos.environments.environment",
    "Injection": "pytest_finchaos.drill.injection",
    "Release": "pytest_finchaos.drill.release",
    "Traffic": "pytest_finchaos.drill.traffic",
    "Undecided": "pytest_finchaos.model.verdict",
    "Verdict": "pytest_finchaos.model.verdict",
    "environment_fixture": "pytest_finchaos.fixtures",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use, so that an unused plugin costs nothing (PEP 562)."""
    if name == "faults":
        return importlib.import_module("pytest_finchaos.faults")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
