"""What a pytest process keeps while drills run: configuration, run folder, environments in use."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finchaos.environments.config import Configuration, find_configuration, load_configuration
from pytest_finchaos.integration import identity, options
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment

_KEY: pytest.StashKey[Session] = pytest.StashKey()


@dataclass(slots=True)
class Session:
    """State of this pytest process.

    Args:
        config: Pytest's configuration.
        identity: Run id and seed.
        configuration: The parsed finchaos.toml.
        directory: ``reports/<run id>``, absolute.
        used: Ids of environments that a drill has used since their start or reset.
    """

    config: pytest.Config
    identity: identity.Identity
    configuration: Configuration
    directory: Path
    used: set[str] = field(default_factory=set)

    def spec(self, name: str) -> EnvironmentSpec:
        """The environment called ``name``.

        Raises:
            UserError: Unknown name, with a suggestion.
        """
        known = self.configuration.environments
        if name not in known:
            raise UserError(
                f"environment_fixture({name!r})",
                f"no environment of that name in {self.configuration.source}",
                allowed=known,
                got=name,
                cure=f"add [environments.{name}] or use one of the names above",
            )
        return known[name]

    def profile_folders(self) -> tuple[Path, ...]:
        """Where load profiles are looked up first: beside the configuration and beside the rootdir."""
        roots = dict.fromkeys((self.configuration.source.parent, self.config.rootpath))
        return tuple(root / "loadprofiles" for root in roots)

    def replay(self, node_id: str) -> str:
        """The command that repeats one drill."""
        words = ["pytest", node_id, f"--finchaos-seed={self.identity.seed}"]
        for setting in options.value(self.config, "set") or ():
            words.append(f"--finchaos-set={setting}")
        named = options.value(self.config, "config")
        if named:
            words.append(f"--finchaos-config={named}")
        return shlex.join(words)

    def first_use(self, environment: Environment) -> bool:
        """True when no drill has touched ``environment`` since it was started; marks it as used."""
        fresh = environment.id not in self.used
        self.used.add(environment.id)
        return fresh


def of(config: pytest.Config) -> Session:
    """The session; the configuration is read on first use.

    Raises:
        UserError: The configuration is missing or wrong.
    """
    known = config.stash.get(_KEY, None)
    if known is None:
        base = config.inipath.parent if config.inipath else config.rootpath
        path = find_configuration(options.value(config, "config"), base)
        ours = identity.of(config)
        reports = Path(options.value(config, "reports") or "reports")
        directory = (config.rootpath / reports / ours.id).resolve()
        loaded = load_configuration(path, tuple(options.value(config, "set") or ()))
        known = config.stash[_KEY] = Session(config, ours, loaded, directory)
    return known


def prepare(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read the configuration before any test runs, so that a mistake in it is one clean message.

    Raises:
        pytest.UsageError: On the controller or without workers; a worker hands the text to its controller.
    """
    for item in items:
        if options.is_drill(item):
            item.keywords[options.MARK] = True
    try:
        of(config)
        identity.of(config)
    except UserError as error:
        _refuse(config, items, error.render())
    if options.received(config).get("distribution") == "each":
        _refuse(
            config,
            items,
            "--dist each: every worker would run every drill, under one name\n"
            "  allowed: load, loadscope, loadfile, loadgroup, worksteal\n"
            "  next: use one of these; for several interpreters start pytest once with each",
        )


def _refuse(config: pytest.Config, items: list[pytest.Item], message: str) -> None:
    output = getattr(config, "workeroutput", None)
    if output is None:
        raise pytest.UsageError(message)
    output[options.PROPERTY] = message  # a UsageError raised in a worker is lost on its way (pytest-xdist PR 1345)
    items.clear()


def environments_of(values: Iterable[object]) -> list[Environment]:
    """The environments among a test's fixture values."""
    if "pytest_finchaos.environments.environment" not in sys.modules:
        return []
    from pytest_finchaos.environments.environment import Environment

    return [value for value in values if isinstance(value, Environment)]
