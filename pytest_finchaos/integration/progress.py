"""Live progress of long drills on the terminal, at most a line every few seconds and at each change of phase."""

from __future__ import annotations

import pytest

MOST = 300


def say(config: pytest.Config, text: str) -> None:
    """Write one line past pytest's capture, when somebody watches or asked for it; a worker sends it to its controller.

    Silent under ``-q``, and when the output is neither a terminal nor verbose.
    """
    if hasattr(config, "workerinput"):
        from pytest_finchaos.integration import workers

        workers.tell(config, text[:MOST])
    else:
        write(config, text[:MOST])


def wanted(config: pytest.Config) -> bool:
    """True when progress is shown: on a terminal or with ``-v``, never under ``-q``."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.verbose < 0:
        return False
    return bool(reporter.isatty or config.option.verbose > 0)


def write(config: pytest.Config, text: str) -> None:
    """One line on this process's terminal, if `wanted`."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not wanted(config):
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is None:
        reporter.write_line(f"  finchaos: {text}")
        return
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(f"  finchaos: {text}")
