"""The page on own systems keeps its word: each configuration is valid, and each backend does what the table says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import BACKENDS
from pytest_finchaos.environments.placeholders import IN_SYSTEM
from pytest_finchaos.model.errors import UserError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "own-system.md").read_text()
CONFIGURATIONS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_there_is_one_configuration_for_each_backend_and_each_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "finchaos.toml"
    backends = []
    for text in CONFIGURATIONS:
        path.write_text(text)
        spec = load_configuration(path).environments["shop"]
        backends.append(spec.backend)
        assert {(edge.source, edge.target) for edge in spec.edges} == {("clients", "payments"), ("payments", "ledger")}
    assert sorted(backends) == sorted(BACKENDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_check_of_a_configuration_can_fail(backend: str, tmp_path: Path) -> None:
    text = next(each for each in CONFIGURATIONS if f'backend = "{backend}"' in each)
    (tmp_path / "finchaos.toml").write_text(text.replace('target = "ledger"', 'target = "legder"'))
    with pytest.raises(UserError, match="did you mean 'ledger'"):
        load_configuration(tmp_path / "finchaos.toml")


def test_the_page_has_a_row_for_each_backend_and_names_each_placeholder() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(BACKENDS)
    for name in (*IN_SYSTEM, "port.COMPONENT", "edge.SOURCE.TARGET"):
        assert f"`{{{name}}}`" in PAGE


def test_the_programs_of_the_page_are_whole() -> None:
    assert len(PROGRAMS) == 2
    for text in PROGRAMS:
        assert ast.parse(text).body
