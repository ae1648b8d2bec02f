"""The table: experiment files, run by Chaos Toolkit itself, and the verdict that each must get.

Runs on the Chaos Toolkit of this interpreter, and on that of a newer Python where there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "experiments"
ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 300.0

# file, verdict, code of a reason, status in Chaos Toolkit's journal ("" = none was written)
TABLE = [
    ("good.yaml", "PASS", "passed", "completed"),
    ("baseline_not_met.yaml", "INCONCLUSIVE", "baseline-not-met", "completed"),
    ("action_failed.yaml", "INVALID", "action-failed", "completed"),
    ("action_exit_status.yaml", "INVALID", "action-failed", "completed"),
    ("broken_during.yaml", "FAIL", "hypothesis-broken-during", "completed"),
    ("probe_in_method.yaml", "FAIL", "probe-out-of-tolerance", "completed"),
    ("broken_after.yaml", "FAIL", "hypothesis-broken-after", "completed"),
    ("rollback_failed.yaml", "INVALID", "rollback-failed", "completed"),
    ("nothing_injected.yaml", "INCONCLUSIVE", "nothing-injected", "completed"),
    ("zero_targets.yaml", "INVALID", "no-target", "completed"),
    ("dry.yaml", "INCONCLUSIVE", "nothing-injected", "completed"),
    ("no_hypothesis.yaml", "INCONCLUSIVE", "no-hypothesis", "completed"),
    ("over_deadline.yaml", "INVALID", "experiment-deadline", "interrupted"),
    ("exits.json", "INVALID", "experiment-interrupted", "interrupted"),
    ("killed.yaml", "INVALID", "experiment-died", ""),
    ("refused.yaml", "INVALID", "experiment-refused", ""),
]


@dataclass(frozen=True, slots=True)
class Table:
    """One run of all files.

    Args:
        folder: Where it took place.
        code: Exit status of pytest.
        output: What pytest printed.
        drills: The report's drills, by file name.
        journals: Chaos Toolkit's journals, by file name.
    """

    folder: Path
    code: int
    output: str
    drills: dict[str, dict[str, Any]]
    journals: dict[str, dict[str, Any]]


def run_files(python: str, folder: Path) -> Table:
    # another interpreter need not have the package: the checkout lends it; this one must show what is installed
    lent = {} if python == sys.executable else {"PYTHONPATH": str(ROOT)}
    shutil.copytree(SAMPLES, folder / "files", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:locust\nfinchaos_experiments = files\n")
    (folder / "finchaos.toml").write_text("")
    done = subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "files"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
        env=os.environ | lent,
    )
    output = done.stdout + done.stderr
    report = folder / "reports" / "latest" / "report.json"
    assert report.is_file(), output
    drills = {_file(drill["id"]): drill for drill in json.loads(report.read_text())["drills"]}
    journals = {
        name: json.loads(path.read_text())
        for name, drill in drills.items()
        if (path := Path(drill["directory"]) / "journal.json").is_file()
    }
    return Table(folder, done.returncode, output, drills, journals)


def _file(node_id: str) -> str:
    return node_id.partition("::")[0].rpartition("/")[2]


def newer_python() -> str:
    """An interpreter of Python 3.12 or newer that has pytest and Chaos Toolkit; "" when none is found."""
    named = os.environ.get("FINCHAOS_TEST_NEWER_PYTHON", "")
    candidates = [named] if named else [shutil.which(f"python3.{minor}") or "" for minor in (14, 13, 12)]
    probe = "import sys, chaoslib, pytest, jsonschema, yaml, psycopg; sys.exit(sys.version_info < (3, 12))"
    for python in filter(None, candidates):
        try:
            found = subprocess.run([python, "-c", probe], capture_output=True, timeout=60, check=False, cwd="/")
        except (OSError, subprocess.TimeoutExpired):
            continue
        if found.returncode == 0:
            return python
    return ""


@pytest.fixture(scope="module", params=["this Python", "newer Python"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Table:
    python = sys.executable
    if request.param == "newer Python":
        if sys.version_info >= (3, 12):
            pytest.skip("this Python is the newer one already: both rows would be the same")
        python = newer_python()
        if not python:
            pytest.skip(
                "no Python 3.12 or newer with Chaos Toolkit: FINCHAOS_TEST_NEWER_PYTHON names none, and none on PATH "
                "has it (scripts/wheel_check.py runs this file on one)"
            )
    return run_files(python, tmp_path_factory.mktemp("table"))


@pytest.mark.parametrize(("name", "verdict", "code", "status"), TABLE, ids=[row[0] for row in TABLE])
def test_each_file_gets_its_verdict(table: Table, name: str, verdict: str, code: str, status: str) -> None:
    drill = table.drills[name]
    assert drill["verdict"] == verdict, drill["reasons"]
    assert code in [reason["code"] for reason in drill["reasons"]], drill["reasons"]
    assert table.journals.get(name, {}).get("status", "") == status


def test_every_sample_is_in_the_table_and_runs(table: Table) -> None:
    files = {path.name for path in SAMPLES.iterdir() if path.suffix in (".yaml", ".json")}
    assert files == {row[0] for row in TABLE} == set(table.drills)
    assert table.code == 1, table.output


def test_the_version_of_chaos_toolkit_is_the_one_that_was_meant(table: Table) -> None:
    versions = {journal["chaoslib-version"] for journal in table.journals.values()}
    pythons = {journal["finchaos"]["python"] for journal in table.journals.values()}
    assert len(versions) == len(pythons) == 1, (versions, pythons)
    newer = not pythons.pop().startswith("3.11")
    assert (versions.pop() >= "1.45") is newer


def test_an_experiment_whose_process_died_says_where(table: Table) -> None:
    (reason,) = table.drills["killed.yaml"]["reasons"]
    assert "signal 9, in action 'die'" in reason["text"]


def test_rollbacks_are_played_at_the_deadline(table: Table) -> None:
    (rollback,) = table.journals["over_deadline.yaml"]["rollbacks"]
    assert rollback["status"] == "succeeded"


def test_activities_are_on_the_timeline(table: Table) -> None:
    events = [event for event in table.drills["good.yaml"]["events"] if event["kind"].startswith("experiment-")]
    assert [event["subject"] for event in events] == ["level", "break it", "mend it", "level", "mend it again"]
    drill = table.drills["good.yaml"]
    assert all(drill["started_ns"] <= event["at_ns"] <= drill["ended_ns"] for event in events)


def test_what_cannot_be_checked_without_an_environment_is_listed(table: Table) -> None:
    missing = {row["what"] for row in table.drills["good.yaml"]["not_checked"]}
    assert {"load", "money", "faults acted and gone", "build served"} <= missing
