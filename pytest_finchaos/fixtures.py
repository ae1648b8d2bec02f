"""Thin fixtures; what they need is imported when they run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from pytest_finchaos.drill.drill import Drill
    from pytest_finchaos.environments.environment import Environment

Scope = Literal["function", "class", "module", "package", "session"]


def environment_fixture(name: str, *, scope: Scope = "function") -> Callable[..., Any]:
    """A fixture that yields the environment ``[environments.NAME]`` of ``finchaos.toml``.

    Args:
        name: NAME of the table.
        scope: Pytest scope. With a scope wider than ``function`` the environment is reset between drills:
            fault sweep, database cloned again from its template, components replaced, equal fingerprint proven.

    Returns:
        The fixture; bind it to the name that tests request: ``payments = environment_fixture("payments")``.
    """

    @pytest.fixture(scope=scope)
    def environment(request: pytest.FixtureRequest) -> Generator[Environment, None, None]:
        """An environment of finchaos.toml, running, and gone afterwards."""
        from pytest_finchaos.integration import environments

        yield from environments.provide(request.config, name)

    return environment


@pytest.fixture
def drill(request: pytest.FixtureRequest) -> Generator[Drill, None, None]:
    """One resilience drill: load, faults, phases, money; judged when the test ends."""
    from pytest_finchaos.integration import drills

    yield from drills.provide(request)
