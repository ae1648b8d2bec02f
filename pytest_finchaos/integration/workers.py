"""What crosses between a controller and its workers beside results: identity of the run, lines of progress."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from pytest_finchaos.integration import identity, options, progress


def give(node: Any) -> None:
    """Put what a worker needs to know into its input, as one JSON text."""
    config = node.config
    node.workerinput[options.PROPERTY] = json.dumps(
        {
            **asdict(identity.of(config)),
            "progress": progress.wanted(config),
            "distribution": str(config.getoption("dist", "no")),
        }
    )


class ProgressReport(pytest.TestReport):
    """A line on its way from a worker to the controller's terminal; no report of a test to anybody else."""

    def __init__(self, nodeid: str, text: str, worker: str) -> None:
        super().__init__(
            nodeid=nodeid,
            location=(nodeid.partition("::")[0], None, nodeid),
            keywords={},
            outcome="passed",
            longrepr=None,
            when=options.PROGRESS,  # type: ignore[arg-type]  # no phase of a test: pytest passes it on
        )
        self.text = text
        self.worker = worker


def to_plain(report: pytest.TestReport) -> dict[str, Any]:
    """What crosses of a line of progress."""
    assert isinstance(report, ProgressReport)
    return {"$report_type": options.PROGRESS, "nodeid": report.nodeid, "text": report.text, "worker": report.worker}


def from_plain(data: dict[str, Any]) -> ProgressReport:
    """A line of progress that crossed."""
    return ProgressReport(data["nodeid"], data["text"], data["worker"])


def tell(config: pytest.Config, text: str) -> None:
    """Send one line of progress to the controller, when somebody there wants it and a test is running."""
    item = config.stash.get(options.RUNNING, None)
    if item is None or not options.received(config).get("progress"):
        return
    worker = str(getattr(config, "workerinput", {}).get("workerid", ""))
    config.hook.pytest_runtest_logreport(report=ProgressReport(item.nodeid, text, worker))


def show(config: pytest.Config, report: pytest.TestReport) -> None:
    """Print a line that a worker sent."""
    assert isinstance(report, ProgressReport)
    progress.write(config, f"{report.worker} {report.nodeid.rpartition('/')[2]}: {report.text}")
