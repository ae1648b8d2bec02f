"""Drills that a run leaves out on purpose are named in its report, so that a gate can tell them from those that are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.gates.decide import decide
from pytest_finchaos.gates.policy import GateSpec
from pytest_finchaos.gates.result import State
from pytest_finchaos.reporting.document import from_document
from tests.systems.nested import run_nested, tiny_configuration

TESTS = """
from pytest_finchaos import Drill, Environment, environment_fixture

tiny = environment_fixture("tiny")


def test_shown(tiny: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=40) as traffic:
        traffic.steady(duration_s=1)


def test_left_out(tiny: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=40) as traffic:
        traffic.steady(duration_s=1)


def test_no_drill() -> None:
    pass
"""


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "in a worker"])
def test_a_deselected_drill_is_in_the_report_and_blocks_a_gate(tmp_path: Path, options: tuple[str, ...]) -> None:
    code, output, report = run_nested(tmp_path, TESTS, tiny_configuration(), "-k", "shown", *options)

    assert code == 0, output
    assert report["deselected"] == ["test_drill.py::test_left_out"]
    run = from_document(report)
    found = decide(GateSpec("release", ("test_drill.py",)), [run], run.run.ended_at)
    assert {row.id: row.state for row in found.rows} == {
        "test_drill.py::test_left_out": State.DESELECTED,
        "test_drill.py::test_shown": State.PASS,
    }
    assert found.exit_code == 1
