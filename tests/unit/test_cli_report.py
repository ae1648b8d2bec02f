"""``finchaos report`` on files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_finchaos.cli.main import main
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.store import write_run
from tests.samples.many import KILLED, NOW, SLOW, drill, run
from tests.samples.month import month
from tests.samples.runs import sample_run

TOML = f"""
[environments.payments]
backend = "processes"
allowed_hosts = ["127.0.0.1"]
components.gateway.command = ["{{python}}", "-m", "http.server"]
slos.payment-success.target = "0.99"

[gates.release]
require = ["{SLOW}", "tests/missing.py"]
max_age_h = 24
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def review(*words: str) -> int:
    return main(["report", "--review", "--now", NOW, *words])


def write(project: Path, *results: object) -> None:
    for result in results or month(3):
        write_run(project / "reports" / result.run.id, result)  # type: ignore[attr-defined,arg-type]


def test_a_run_is_rendered_again_from_its_report_alone(project: Path) -> None:
    write_run(project / "reports" / "a", sample_run())
    folder = project / "reports" / "a"
    before = {name: (folder / name).read_text() for name in ("report.html", "summary.md")}
    for name in before:
        (folder / name).unlink()
    assert main(["report", "reports/a"]) == 0
    assert {name: (folder / name).read_text() for name in before} == before
    assert main(["report", "reports/latest/report.json"]) == 0


@pytest.mark.parametrize("words", [[], ["reports/a", "--review"], ["nowhere"], ["--revew"]])
def test_wrong_use_is_told_with_exit_code_2(
    project: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_review_of_a_folder_is_a_page_and_a_history(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project)
    assert review("--markdown", "out/review.md") == 0
    assert "3 runs of 5 drills" in capsys.readouterr().out
    assert (project / "reports" / "review.html").read_text().startswith("<!doctype html>")
    assert (project / "out" / "review.md").read_text().startswith("# Reliability review")
    assert (project / "reports" / "history.sqlite").is_file()


def test_runs_whose_folders_are_gone_stay_in_the_review(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project)
    assert review() == 0
    page = (project / "reports" / "review.html").read_text()
    for folder in (project / "reports").glob("2026*"):
        shutil.rmtree(folder)
    assert review() == 0
    assert (project / "reports" / "review.html").read_text() == page
    assert "3 runs of 5 drills" in capsys.readouterr().out


def test_only_the_time_that_was_asked_for_is_reviewed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project)
    assert review("--since", "31h") == 0
    assert "2 runs of" in capsys.readouterr().out
    assert review("--since", "2026-03-02T00:00:00Z") == 0
    assert "One run" in capsys.readouterr().out


@pytest.mark.parametrize("since", ["soon", "30", "d", "2030-01-01", "-1d"])
def test_a_time_that_is_none_is_refused(project: Path, since: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(project)
    assert review(f"--since={since}") == 2
    assert "--since" in capsys.readouterr().err


def test_the_gates_of_the_configuration_and_its_targets_are_reviewed(project: Path) -> None:
    (project / "finchaos.toml").write_text(TOML)
    write(project)
    assert review("--markdown", "review.md") == 0
    text = (project / "review.md").read_text()
    assert "| release | blocked | 2 | 1 | 1 | missing: missing.py |" in text
    assert "| proven |" in text


def test_a_wrong_configuration_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "finchaos.toml").write_text("[gates.x]\nrequire = 1\n")
    write(project)
    assert review() == 2
    assert "gates.x.require" in capsys.readouterr().err


def test_a_report_that_cannot_be_read_is_named_and_the_rest_is_reviewed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project)
    for name, content in (("x", "{"), ("y", '{"schema": "finchaos-report/9"}')):
        (project / "reports" / name).mkdir()
        (project / "reports" / name / "report.json").write_text(content)
    assert review() == 2
    assert "3 runs of 5 drills" in capsys.readouterr().out
    page = (project / "reports" / "review.html").read_text()
    assert "not read, so not reviewed: reports/x/report.json" in page
    assert "not read, so not reviewed: reports/y/report.json" in page


def test_a_report_that_was_changed_afterwards_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, run(drill(SLOW), drill(KILLED, Verdict.FAIL), name="a"))
    assert review() == 0
    file = project / "reports" / "a" / "report.json"
    document = json.loads(file.read_text())
    document["drills"] = document["drills"][:1]
    file.write_text(json.dumps(document))
    capsys.readouterr()
    assert review() == 0
    out = capsys.readouterr().out
    assert "run a is known with different contents" in out
    assert "1 open failure" in out


def test_a_damaged_history_is_told_with_its_cure(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project)
    (project / "reports" / "history.sqlite").write_bytes(b"no database at all" * 100)
    assert review() == 2
    err = capsys.readouterr().err
    assert "history.sqlite" in err
    assert "move it away" in err


def test_a_folder_that_does_not_exist_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert review("--reports", "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err
