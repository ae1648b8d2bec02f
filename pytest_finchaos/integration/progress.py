"""Live progress of long drills on the terminal, at most a line every few seconds and at each change of phase."""

from __future__ import annotations

import pytest


def say(config: pytest.Config, text: str) -> None:
    """Write one line past pytest's capture, when somebody watches or asked for it.

    Silent under ``-q``, in workers, and when the output is neither a terminal nor verbose.
    """
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.option.verbose < 0:
        return
    if not (reporter.isatty or config.option.verbose > 0):
        return
    capture = config.pluginmanager.get_plugin("capturemanager")
    if capture is None:
        reporter.write_line(f"  finchaos: {text}")
        return
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(f"  finchaos: {text}")
