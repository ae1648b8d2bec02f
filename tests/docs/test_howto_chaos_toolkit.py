"""The page on Chaos Toolkit keeps its word: its file runs as it stands there, and its tables name what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from pytest_finchaos.experiments import actions, probes
from pytest_finchaos.experiments.reading import schema
from tests.integration.test_experiments_chaos_toolkit import TABLE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "howto" / "chaos-toolkit.md").read_text(encoding="utf-8")


def block(language: str) -> tuple[str, str]:
    """Name and content of the page's one block of a language."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    first, _, _ = text.partition("\n")
    return first.removeprefix("# "), text


def test_the_file_of_the_page_passes(tmp_path: Path) -> None:
    for language in ("ini", "yaml"):
        name, text = block(language)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    configuration = (ROOT / "experiments" / "finchaos.toml").read_text()
    (tmp_path / "finchaos.toml").write_text(configuration.replace('"../pytest_', f'"{ROOT}/pytest_'))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "chaos/"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (drill,) = json.loads((tmp_path / "reports" / "latest" / "report.json").read_text())["drills"]
    assert drill["verdict"] == "PASS"
    assert len(drill["money"]["findings"]) > 5


def test_each_key_of_the_extension_is_on_the_page_and_no_other() -> None:
    table = PAGE[PAGE.index("| key of the extension |") :].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted([*rows, "name"]) == sorted(schema()["properties"])


def test_each_action_and_probe_is_on_the_page() -> None:
    for name in (*actions.__all__, *probes.__all__):
        assert f"`{name}(" in PAGE, name


def test_the_verdicts_of_the_page_are_those_of_the_tested_table() -> None:
    told = {word for word in ("PASS", "FAIL", "INVALID", "INCONCLUSIVE") if word in PAGE} | {"PASS"}
    assert told == {row[1] for row in TABLE}
