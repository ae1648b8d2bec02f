"""The pages that explain verdicts name what the code can say, and their examples hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "explanation"
GREEN = {"passed", "found", "counted", "absorbed"}  # codes of reasons for a PASS


def codes() -> set[str]:
    """First argument of every ``Reason("code", …)`` in the package, and the pairs that `slo` hands on."""
    found = set()
    for path in (ROOT / "pytest_finchaos").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found | {"spent", "no-events", "no-window", "no-baseline", "not-recovered", "self-healed"}


@pytest.mark.parametrize("code", sorted(codes() - GREEN))
def test_every_reason_that_can_keep_a_drill_from_green_is_explained(code: str) -> None:
    assert f"`{code}`" in (PAGES / "why-not-green.md").read_text(encoding="utf-8")


def test_the_page_explains_no_code_that_does_not_exist() -> None:
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)` \|", (PAGES / "why-not-green.md").read_text(encoding="utf-8")))
    assert told <= codes() | {"money-*", "recovered-after-removal"}


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.name)
def test_examples_in_python_hold(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec"), {})  # the block asserts for itself
