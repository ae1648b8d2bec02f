"""A gate and a review over reports that real runs wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_finchaos.cli.main import main
from tests.systems.nested import run_nested, tiny_configuration

SHARD = """
from pytest_finchaos import Drill, Environment, environment_fixture

tiny = environment_fixture("tiny")


def test_{name}(tiny: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=3)
    assert traffic.{claim}
"""
GATES = """
[gates.both]
require = ["test_drill.py::test_one", "test_drill.py::test_two"]
max_age_h = 1
fingerprint = "same"
require_checked = ["build-served", "load-generator"]

[gates.money]
require = ["test_drill.py::test_one"]
require_checked = ["exactly-once"]

[gates.one]
require = ["test_drill.py::test_one"]
claims = [{ slo = "payment-success", at_least = "0.9" }]

[gates.three]
require = ["test_drill.py::test_one", "test_drill.py::test_three"]

[gates.four]
require = ["test_drill.py::test_four"]
"""


def shard(base: Path, name: str, claim: str) -> None:
    """A CI job of its own: another folder, another process, its run folder kept."""
    folder = base / name
    folder.mkdir()
    run_nested(folder, SHARD.format(name=name, claim=claim), tiny_configuration() + GATES)
    (kept,) = [one for one in (folder / "reports").iterdir() if not one.is_symlink()]
    shutil.move(kept, base / "shards" / kept.name)


def test_shards_of_real_runs_are_merged_and_each_state_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shards").mkdir()
    good = 'demonstrates("payment-success", at_least="0.9")'
    shard(tmp_path, "one", good)
    shard(tmp_path, "two", good)
    shard(tmp_path, "three", 'demonstrates("payment-success")')
    shard(tmp_path, "four", "ok == 0")
    monkeypatch.chdir(tmp_path / "one")

    def gate(*words: str) -> int:
        return main(["gate", *words, "--reports", "../shards"])

    assert gate("both", "--junit", "gate.xml") == 0
    assert gate("both", "--now", "2099-01-01T00:00:00Z") == 1
    assert gate("money") == 1  # the tiny system has no ledger
    assert gate("one") == 0
    assert gate("three") == 3
    assert gate("four") == 1
    (missing,) = [one for one in (tmp_path / "shards").iterdir() if "test_two" in (one / "report.json").read_text()]
    shutil.rmtree(missing)
    assert gate("both") == 1
    assert main(["report", "--review", "--reports", "../shards", "--markdown", "review.md"]) == 0
    text = (tmp_path / "one" / "review.md").read_text()
    assert "3 runs of 3 drills; 1 open failure; 1 undecided" in text
    assert "| three | undecided | 2 | 2 | 1 |" in text
