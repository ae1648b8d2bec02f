"""The CI examples are valid by the schemas of both CI systems, and their gate commands run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_finchaos.cli.main import main
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.store import write_run
from tests.samples.many import COMMIT, drill, run

CI = Path(__file__).resolve().parents[2] / "docs" / "ci"
BLOCK = re.compile(r"```yaml\n# ([^\n,]+)[^\n]*\n(.*?)```", re.DOTALL)
NETWORK = "tests/resilience/network/test_a.py::test_one"
COMPONENTS = "tests/resilience/components/test_b.py::test_two"
TOML = f"""
[environments.payments]
backend = "processes"
allowed_hosts = ["127.0.0.1"]
components.gateway.command = ["{{python}}", "-m", "http.server"]

[gates.release]
require = ["{NETWORK}", "{COMPONENTS}"]
"""
SCHEMAS = {
    "github.md": ("vendor.github-workflows",),
    "gitlab.md": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((CI / page).read_text(encoding="utf-8"))


def check(page: str, file: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[page], str(file)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("page", SCHEMAS)
def test_each_example_is_valid_by_the_schema_of_its_system(page: str, tmp_path: Path) -> None:
    found = blocks(page)
    assert found
    assert (CI / page).read_text(encoding="utf-8").count("```yaml") == len(found)
    for at, (_, text) in enumerate(found):
        file = tmp_path / f"{at}.yml"
        file.write_text(text)
        done = check(page, file)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("page", "old", "new"), [("github.md", "needs:", "need:"), ("gitlab.md", "script:", "scripts:")]
)
def test_the_schema_refuses_a_misspelled_example(page: str, old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.yml"
    file.write_text(blocks(page)[0][1].replace(old, new))
    assert check(page, file).returncode == 1


def scripts(page: str) -> list[str]:
    """The shell commands of an example's gate job."""
    jobs: dict[str, Any] = yaml.safe_load(blocks(page)[0][1])
    if page == "github.md":
        return [str(step["run"]) for step in jobs["jobs"]["gate"]["steps"] if "run" in step]
    return [str(line) for line in jobs["gate"]["script"]]


def gate_command(page: str) -> list[str]:
    (line,) = [line for line in scripts(page) if line.startswith("finchaos gate")]
    return shlex.split(line.replace("$GITHUB_SHA", COMMIT).replace("$CI_COMMIT_SHA", COMMIT))[1:]


def unpack(project: Path, page: str, shard: str, node_id: str, verdict: Verdict) -> None:
    """A shard's run where the example's download puts it."""
    artifact = project / "shards" / f"drills-{shard}-1" if page == "github.md" else project / "reports"
    folder = artifact / f"20260302T020000-{shard[:4]}"
    folder.mkdir(parents=True)
    write_run(folder, run(drill(node_id, verdict), name=folder.name))
    (artifact / "latest").unlink()


@pytest.mark.parametrize("page", SCHEMAS)
@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.INCONCLUSIVE, 3), (None, 1)]
)
def test_the_gate_command_of_an_example_decides_over_its_shards(
    page: str, verdict: Verdict | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "finchaos.toml").write_text(TOML)
    unpack(tmp_path, page, "network", NETWORK, Verdict.PASS)
    if verdict is not None:
        unpack(tmp_path, page, "components", COMPONENTS, verdict)

    assert main(gate_command(page)) == code

    assert (tmp_path / "gate.xml").is_file()


@pytest.mark.parametrize("page", SCHEMAS)
def test_shards_are_kept_without_the_link_that_all_of_them_have(page: str) -> None:
    text = blocks(page)[0][1]
    assert "!reports/latest" in text or "exclude: [reports/latest]" in text
