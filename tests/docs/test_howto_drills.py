"""The how-to pages whose blocks are files: written into a project on the tiny system, and run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.systems.nested import run_nested, tiny_configuration

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
PAGES = ("faults.md", "load-profile.md")
FIXTURE = 'from pytest_finchaos import environment_fixture\n\ntiny = environment_fixture("tiny")\n'
BLOCK = re.compile(r"```(?:python|toml)\n# (\S+)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_files_of_a_page_are_a_project_that_passes(page: str, tmp_path: Path) -> None:
    files = BLOCK.findall((HOWTO / page).read_text(encoding="utf-8"))
    assert any(name.startswith("test_") for name, _ in files)
    (tmp_path / "conftest.py").write_text(FIXTURE)
    test = ""
    for name, text in files:
        if name.startswith("test_"):
            test = text
            continue
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    code, output, report = run_nested(tmp_path, test, tiny_configuration())

    assert code == 0, output
    assert [drill["verdict"] for drill in report["drills"]] == ["PASS"]
