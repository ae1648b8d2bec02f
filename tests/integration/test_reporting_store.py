"""The run folder on a real file system."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.reporting.document import read_report, validate
from pytest_finchaos.reporting.store import slug, write_run
from tests.samples.not_passed import failing_drill
from tests.samples.passed import passing_drill
from tests.samples.runs import run_of, sample_run


def test_a_run_folder_holds_the_report_in_all_its_forms(tmp_path: Path) -> None:
    run = sample_run()
    write_run(tmp_path / "run-1", run)

    names = {path.name for path in (tmp_path / "run-1").iterdir()}
    assert names == {"report.json", "report.html", "summary.md", "drills"}
    assert read_report(tmp_path / "run-1" / "report.json") == run
    assert read_report(tmp_path / "run-1") == run
    assert validate(json.loads((tmp_path / "run-1" / "report.json").read_text(encoding="utf-8"))) == []


def test_each_drill_has_a_file_that_is_a_report_of_its_own(tmp_path: Path) -> None:
    run = run_of(failing_drill(), passing_drill())
    write_run(tmp_path / "run-1", run)
    for drill in run.drills:
        one = read_report(tmp_path / "run-1" / "drills" / f"{slug(drill.id)}.json")
        assert (one.drills, one.verdict) == ((drill,), drill.verdict)


def test_latest_is_a_relative_link_to_the_newest_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run-1", run_of(passing_drill()))
    write_run(tmp_path / "run-2", run_of(failing_drill()))
    link = tmp_path / "latest"
    assert str(link.readlink()) == "run-2"
    assert (link / "report.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run-1", "run-2"]


def test_a_link_to_a_folder_that_is_gone_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("run-0")
    write_run(tmp_path / "run-1", run_of(passing_drill()))
    assert str((tmp_path / "latest").readlink()) == "run-1"


def test_a_folder_called_latest_is_left_alone_and_the_report_is_written(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(UserError, match="latest: is no link"):
        write_run(tmp_path / "run-1", run_of(passing_drill()))
    assert (tmp_path / "latest").is_dir()
    assert (tmp_path / "run-1" / "report.html").is_file()


def test_a_place_that_cannot_be_written_is_a_clean_message(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file in the way")
    with pytest.raises(UserError, match="the report cannot be written"):
        write_run(tmp_path / "reports" / "run-1", run_of(passing_drill()))


def test_writing_the_same_run_again_changes_no_byte(tmp_path: Path) -> None:
    run = sample_run()
    write_run(tmp_path / "run-1", run)
    first = {path: path.read_bytes() for path in (tmp_path / "run-1").rglob("*") if path.is_file()}
    write_run(tmp_path / "run-1", run)
    assert {path: path.read_bytes() for path in (tmp_path / "run-1").rglob("*") if path.is_file()} == first


def test_a_node_id_with_bytes_that_are_no_text_survives(tmp_path: Path) -> None:
    odd = "t.py::test[\udc80/../x]"
    run = run_of(replace(passing_drill(), id=odd, replay=odd))
    run = replace(run, run=replace(run.run, replay=odd))
    write_run(tmp_path / "run-1", run)
    assert read_report(tmp_path / "run-1") == run
    assert len(list((tmp_path / "run-1" / "drills").iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is no JSON"),
        ("[]", "it holds a list"),
        ('{"schema": "finchaos-report/2"}', "this version does not read"),
        ("{}", "it is no report"),
    ],
)
def test_an_unreadable_report_is_refused_with_its_path(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_report(file)
    assert str(caught.value).startswith(str(file))
