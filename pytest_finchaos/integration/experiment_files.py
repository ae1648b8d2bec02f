"""Chaos Toolkit files as test items: found under the configured paths only, one item a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finchaos.integration import drills, environments, session
from pytest_finchaos.model.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Generator

    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from pytest_finchaos.environments.environment import Environment
    from pytest_finchaos.experiments.drill import ExperimentDrill
    from pytest_finchaos.experiments.spec import ExperimentSpec

_KEEPER = "finchaos-experiment-environments"


def collector(path: Path, parent: pytest.Collector) -> pytest.Collector:
    """The collector of a file that `experiment_paths.claims`."""
    manager = parent.config.pluginmanager
    if not manager.has_plugin(_KEEPER):
        manager.register(Keeper(parent.config), _KEEPER)
    made: ExperimentFile = ExperimentFile.from_parent(parent, path=path)
    return made


class ExperimentFile(pytest.File):
    """One file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its one item.

        Raises:
            UserError: It is no experiment, or asks for what is not there.
        """
        from pytest_finchaos.experiments import preflight, reading

        label = str(self.path.relative_to(self.config.rootpath)) if self._below_root() else str(self.path)
        spec = reading.read_experiment(self.path, label)
        if spec.extension.environment:
            ours = session.of(self.config)
            preflight.check(
                spec,
                ours.configuration.environments,
                label=label,
                source=ours.configuration.source,
                profile_folders=ours.profile_folders(),
            )
        item: ExperimentItem = ExperimentItem.from_parent(self, name=spec.slug, spec=spec)
        yield item

    def _below_root(self) -> bool:
        return self.path.is_relative_to(self.config.rootpath)

    def repr_failure(  # type: ignore[override]  # as pytest's own collectors have it
        self, excinfo: ExceptionInfo[BaseException]
    ) -> str | TerminalRepr:
        """A mistake in the file is told without a traceback."""
        if isinstance(excinfo.value, UserError):
            return excinfo.value.render()
        return super().repr_failure(excinfo)


class ExperimentItem(pytest.Item):
    """One experiment.

    Args:
        spec: The file.
    """

    finchaos_drill = True

    def __init__(self, *, spec: ExperimentSpec, **rest: Any) -> None:
        super().__init__(**rest)
        self.spec = spec
        self.funcargs: dict[str, Environment] = {}
        self.extra_keyword_matches.update(spec.tags)

    def setup(self) -> None:
        """The drill, and the environment that the file names."""
        from pytest_finchaos.experiments.drill import ExperimentDrill

        drill = ExperimentDrill(drills.context_of(self), self.spec, root=self.config.rootpath)
        self.stash[drills.KEY] = drill
        name = self.spec.extension.environment
        if name:
            keeper = self.config.pluginmanager.get_plugin(_KEEPER)
            assert isinstance(keeper, Keeper)  # registered before the item was made
            self.funcargs = {name: keeper.environment(name)}

    def runtest(self) -> None:
        """Run the experiment; its verdict is put into the report as that of every drill."""
        drill: ExperimentDrill = self.stash[drills.KEY]  # type: ignore[assignment]  # `setup` put one of these there
        drill.run()

    def teardown(self) -> None:
        """Whatever is still armed is taken down."""
        if drills.KEY in self.stash:
            self.stash[drills.KEY].abandon()

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """A mistake of the user is told without a traceback."""
        if isinstance(excinfo.value, UserError):
            return excinfo.value.render()
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the item is, for the terminal."""
        return self.path, None, f"experiment: {self.spec.title}"


class Keeper:
    """Environments of experiment files: one at a time, reset between files, gone when the next test needs another.

    Args:
        config: Pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._name = ""
        self._running: Generator[Environment, None, None] | None = None
        self._environment: Environment | None = None

    def environment(self, name: str) -> Environment:
        """The environment ``name``, started unless it runs; `outcome.around` resets one that was used."""
        if self._environment is None or self._name != name:
            self._close()
            self._running = environments.provide(self._config, name)
            self._name, self._environment = name, next(self._running)
        return self._environment

    def _close(self) -> None:
        running, self._running, self._environment = self._running, None, None
        if running is not None:
            running.close()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> None:
        """Two environments at once would disturb each other: what the next test does not use goes."""
        wanted = nextitem.spec.extension.environment if isinstance(nextitem, ExperimentItem) else ""
        if wanted != self._name:
            self._close()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """After an interrupt no teardown came."""
        self._close()
