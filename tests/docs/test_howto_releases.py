"""The page on releases: its files are a project on the tiny system that passes, and its defaults are those of the code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from pytest_finchaos.drill.drill import Drill
from pytest_finchaos.environments.router.envoy import router_available
from pytest_finchaos.rollout.decision import steps
from tests.systems.nested import run_nested, tiny_configuration

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "releases.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))
FIXTURE = 'from pytest_finchaos import environment_fixture\n\ntiny = environment_fixture("tiny", scope="module")\n'
WITHOUT = router_available()


@pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT))
def test_the_pages_releases_end_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(FIXTURE)

    code, output, report = run_nested(
        tmp_path, BLOCKS["test_releases.py"], tiny_configuration() + "\n" + BLOCKS["finchaos.toml"]
    )

    assert code == 0, output
    assert [drill["releases"][0]["outcome"] for drill in report["drills"]] == ["rolled back", "promoted"]


def test_every_argument_and_its_default_stand_on_the_page() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    asked = {
        name: parameter.default
        for name, parameter in inspect.signature(Drill.canary).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }

    assert told.keys() == asked.keys()
    for name, default in asked.items():
        if name == "payments":
            continue
        assert ast.literal_eval(told[name].strip("`")) == default
    assert [step.payments for step in steps(asked["shares"])] == [50, 250, 50]
