"""``finchaos gate`` on files: exit codes, what it reads, what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_finchaos.cli.main import main
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.store import write_run
from tests.samples.many import COMMIT, KILLED, NOW, OTHER_COMMIT, SLOW, drill, run

TOML = f"""
[environments.payments]
backend = "processes"
allowed_hosts = ["127.0.0.1"]
components.gateway.command = ["{{python}}", "-m", "http.server"]

[gates.release]
require = ["{SLOW}", "{KILLED}"]
max_age_h = 24

[gates.one]
require = ["experiments/test_slow_ledger.py"]
change_class = "payment-path"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "finchaos.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


def write(folder: Path, result: RunResult) -> None:
    folder.mkdir(parents=True)
    write_run(folder, result)


def gate(*words: str) -> int:
    return main(["gate", *words, "--now", NOW])


def test_a_folder_of_runs_is_the_default(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    assert gate("release") == 0
    assert "gate release: PASS: 2 required drills: 2 pass" in capsys.readouterr().out


def test_the_link_to_the_latest_run_is_a_run(project: Path) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    assert gate("release", "reports/latest") == 0


def test_shards_in_folders_of_a_ci_system_are_merged(project: Path) -> None:
    write(project / "shards" / "one" / "reports" / "a", run(drill(SLOW), name="a"))
    assert gate("release", "--reports", "shards") == 1
    write(project / "shards" / "two" / "reports" / "b", run(drill(KILLED), name="b"))
    assert gate("release", "--reports", "shards") == 0
    assert gate("release", "shards/*/reports/*/report.json") == 0
    assert gate("release", str(project / "shards" / "*")) == 0
    assert gate("release", "shards/one", "shards/two/reports/b/report.json") == 0


def test_a_run_that_is_found_twice_counts_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    assert gate("release", "reports/a", "--reports", "reports", "--json", "d.json") == 0
    assert len(json.loads((project / "d.json").read_text())["runs"]) == 1


def test_failed_undecided_and_missing_have_their_exit_codes(project: Path) -> None:
    write(project / "fail" / "a", run(drill(SLOW), drill(KILLED, Verdict.FAIL)))
    write(project / "undecided" / "a", run(drill(SLOW), drill(KILLED, Verdict.INCONCLUSIVE)))
    write(project / "missing" / "a", run(drill(SLOW)))
    write(project / "stale" / "a", run(drill(SLOW, hours=25), drill(KILLED)))
    write(project / "nothing" / "a", run(hours=1))
    (project / "none").mkdir()
    codes = {
        name: gate("release", "--reports", name)
        for name in ("fail", "undecided", "missing", "stale", "nothing", "none")
    }
    assert codes == {"fail": 1, "undecided": 3, "missing": 1, "stale": 1, "nothing": 1, "none": 1}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": "other/1"}', '{"schema": "finchaos-report/1", "drills": [{}]}']
)
def test_an_unreadable_report_is_never_passed_over(
    project: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    (project / "reports" / "b").mkdir()
    (project / "reports" / "b" / "report.json").write_text(content)
    assert gate("release") == 2
    captured = capsys.readouterr()
    assert "reports/b/report.json" in captured.err
    assert "Traceback" not in captured.err
    assert "PASS" not in captured.out


def test_wrong_use_is_told_with_exit_code_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    assert gate("relaese") == 2
    assert "did you mean 'release'" in capsys.readouterr().err
    assert gate("release", "nowhere") == 2
    assert gate("release", "nowhere*") == 2
    assert gate("release", "--config", "nowhere.toml") == 2
    assert main(["gate", "release", "--now", "tomorrow"]) == 2
    assert gate("release", "--commit", "main") == 2
    assert gate("release", "--jnit", "x") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_only_changes_of_its_class_concern_a_gate(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "reports").mkdir()
    assert gate("one", "--change-class", "docs") == 0
    assert "NOT CONCERNED" in capsys.readouterr().out
    assert gate("one", "--change-class", "payment-path") == 1
    assert gate("one") == 1
    assert gate("one", "--change-class", "payment-paht") == 2


def test_only_runs_of_the_commit_count(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED), name="a", commit=OTHER_COMMIT))
    assert gate("release", "--commit", OTHER_COMMIT[:10]) == 0
    assert gate("release", "--commit", COMMIT) == 1
    assert "1 of 1 runs are of another commit" in capsys.readouterr().out


def test_reports_for_ci_systems_are_written(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED, Verdict.INCONCLUSIVE)))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    (project / "summary.md").write_text("# from another step\n")
    assert gate("release", "--junit", "out/gate.xml", "--gitlab", "out/gate.json", "--github") == 3
    assert 'type="finchaos.undecided"' in (project / "out" / "gate.xml").read_text()
    assert json.loads((project / "out" / "gate.json").read_text())[0]["check_name"] == "finchaos.undecided"
    summary = (project / "summary.md").read_text()
    assert summary.startswith("# from another step\n")
    assert "Gate `release`: UNDECIDED" in summary
    assert "::error file=" in capsys.readouterr().out


def test_without_github_the_summary_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    assert gate("release") == 0
    assert not (project / "summary.md").exists()


def test_an_output_that_cannot_be_written_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "reports" / "a", run(drill(SLOW), drill(KILLED)))
    (project / "file").write_text("")
    assert gate("release", "--junit", "file/gate.xml") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_policy_that_asks_for_nothing_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "finchaos.toml").write_text(TOML.replace(f'["{SLOW}", "{KILLED}"]', "[]"))
    assert gate("release") == 2
    assert "gates.release" in capsys.readouterr().err
