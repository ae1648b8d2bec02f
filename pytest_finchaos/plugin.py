"""Pytest's entry point: hooks without logic; anything heavy is imported when a drill is really there."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finchaos.fixtures import drill
from pytest_finchaos.integration import guard, options

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["drill"]


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config), "finchaos-worker")
    else:
        config.pluginmanager.register(Reports(config), "finchaos-reports")
        config.pluginmanager.register(guard.Guard(config), "finchaos-guard")  # last, so that it sees reports first
    if options.value(config, "experiments"):
        from pytest_finchaos.integration import experiment_paths

        experiment_paths.configure(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not options.value(parent.config, "experiments"):
        return None
    from pytest_finchaos.integration import experiment_paths

    if not experiment_paths.claims(parent.config, file_path):
        return None
    from pytest_finchaos.integration import experiment_files

    return experiment_files.collector(file_path, parent)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except ValueError as error:
        raise options.explain_clash(error) from None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any(options.is_drill(item) for item in items):
        from pytest_finchaos.integration import session

        session.prepare(config, items)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    from pytest_finchaos.integration import workers

    workers.give(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if message := getattr(node, "workeroutput", {}).get(options.PROPERTY):
        raise pytest.UsageError(message)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    if not options.is_drill(item):
        return (yield)
    from pytest_finchaos.integration import outcome

    with outcome.around(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: xfail has had its say
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if "pytest_finchaos.model.errors" in sys.modules:  # loaded by the first use of any of our fixtures
        from pytest_finchaos.integration import outcome

        outcome.settle(item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_to_serializable(report: Any) -> dict[str, Any] | None:
    if getattr(report, "when", None) != options.PROGRESS:
        return None
    from pytest_finchaos.integration import workers

    return workers.to_plain(report)


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(data: dict[str, Any]) -> Any:
    if data.get("$report_type") != options.PROGRESS:
        return None
    from pytest_finchaos.integration import workers

    return workers.from_plain(data)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    return ("", "", "") if report.when == options.PROGRESS else None


class Worker:
    """A worker's side: notes which test runs, so that its progress can be told.

    Args:
        config: Pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        output: dict[str, Any] = getattr(self._config, "workeroutput", {})
        output.setdefault(options.DESELECTED, []).extend(options.drills_among(items))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self._config.stash[options.RUNNING] = item


class Reports:
    """The controller's side: takes results out of reports, writes the run, prints the summary.

    Args:
        config: Pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_report_header(self) -> str | None:
        return options.header(self._config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == options.PROGRESS:
            from pytest_finchaos.integration import workers

            workers.show(self._config, report)
        elif any(name == options.PROPERTY for name, _ in report.user_properties):
            from pytest_finchaos.integration import controller

            controller.of(self._config).take(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if options.COLLECTED in self._config.stash:
            from pytest_finchaos.integration import controller

            controller.of(self._config).write(session, int(exitstatus))

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if options.COLLECTED in self._config.stash:
            from pytest_finchaos.integration import controller

            controller.of(self._config).summarise(terminalreporter)
