"""Environments as fixtures."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_finchaos.integration import progress, session

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment


def provide(config: pytest.Config, name: str) -> Generator[Environment, None, None]:
    """Start the environment ``name``, yield it, and remove every trace of it."""
    from pytest_finchaos.environments.environment import start_environment

    ours = session.of(config)
    spec = ours.spec(name)
    progress.say(config, f"environment {name}: starting {len(spec.components)} components")
    ours.directory.mkdir(parents=True, exist_ok=True)
    environment = start_environment(spec, directory=ours.directory, run_id=ours.identity.id)
    try:
        yield environment
    finally:
        ours.used.discard(environment.id)
        environment.close()
