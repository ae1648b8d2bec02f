"""The pages on gates and the review: each toml block is a valid policy, each command runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_finchaos.cli.main import main
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.gates import policy
from pytest_finchaos.gates.result import EXIT_CODES, State, Status
from pytest_finchaos.reporting.store import write_run
from tests.samples.many import SLOW, drill, measured, run, steady

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
ENVIRONMENT = """
[environments.payments]
backend = "processes"
allowed_hosts = ["127.0.0.1"]
components.gateway.command = ["{python}", "-m", "http.server"]
"""
REQUIRED = "tests/resilience/test_slow_ledger.py::test_payments_survive"


def page(name: str) -> str:
    return (HOWTO / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    lines = [line for block in CONSOLE.findall(page(name)) for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line[2:] for line in lines]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "finchaos.toml").write_text(ENVIRONMENT + TOML.findall(page("gates.md"))[0])
    one = run(measured(steady(3_000), node_id=REQUIRED), name="a")
    for folder in ("reports/a", "shards/one/reports/a"):
        (tmp_path / folder).mkdir(parents=True)
        write_run(tmp_path / folder, one)
    return tmp_path


def test_the_policy_of_the_page_is_valid_and_shows_every_key(project: Path) -> None:
    gates = load_configuration(project / "finchaos.toml").gates
    spec = policy.gate(gates, "release", "finchaos.toml")
    assert spec.claims
    assert set(gates["release"]) == set(policy._KEYS)
    for key in policy._KEYS:
        assert f"| `{key}` |" in page("gates.md")


@pytest.mark.parametrize("command", commands("gates.md"))
def test_each_gate_command_of_the_page_runs(command: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command)[1:]
    concerned = "--change-class" not in words
    assert main([*words, "--now", "2026-03-02T12:00:00Z"]) == 0, capsys.readouterr()
    assert ("PASS" if concerned else "NOT CONCERNED") in capsys.readouterr().out


@pytest.mark.parametrize("command", commands("review.md"))
def test_each_report_command_of_the_page_runs(command: str, project: Path) -> None:
    words = shlex.split(command)[1:]
    end = ["--now", "2026-03-02T12:00:00Z"] if "--review" in words else []
    assert main([*words, *end]) == 0


def test_every_state_that_blocks_is_on_the_page() -> None:
    text = page("gates.md")
    named = text[text.index("| exit code |") :]
    for state in State:
        if state not in (State.PASS, State.FAIL, State.UNDECIDED, State.MIXED):
            assert state.value in named
    assert set(EXIT_CODES.values()) == {0, 1, 3}
    assert EXIT_CODES[Status.UNDECIDED] == 3


def test_a_gate_of_the_page_goes_red_without_its_drill(project: Path) -> None:
    other = run(drill(SLOW), name="b")
    (project / "other" / "b").mkdir(parents=True)
    write_run(project / "other" / "b", other)
    assert main(["gate", "release", "--reports", "other", "--now", "2026-03-02T12:00:00Z"]) == 1
