"""The copy of the demo suite: paths as they are here, nothing of anybody else's overwritten, exit codes of ours."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

import pytest

from pytest_finchaos.cli import demo
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.model.errors import UserError


def test_the_copy_is_a_configuration_that_holds_wherever_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / "some where" / "demo"
    demo.copy(demo.suite(), demo.package(), folder)
    loaded = load_configuration(folder / "finchaos.toml")
    assert "payments" in loaded.environments
    assert demo.OURS not in (folder / "finchaos.toml").read_text()
    assert list(folder.glob("test_*.py"))
    assert (folder / "pytest.ini").read_text().startswith("[pytest]\n")


def test_experiment_files_are_named_one_by_one_so_that_no_report_is_taken_for_one() -> None:
    text = demo.settings(["a.yaml", "b.json", "test_c.py", "finchaos.toml"])
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert parser["pytest"]["finchaos_experiments"].split() == ["a.yaml", "b.json"]
    assert "experiments" not in demo.settings(["test_c.py"])


def test_a_package_folder_with_odd_characters_stays_toml(tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" \\ ö'
    text = demo.placed('build = ["../pytest_finchaos/payments"]', odd)
    assert tomllib.loads(text) == {"build": [f"{odd}/payments"]}


def test_a_copy_is_refreshed_and_its_reports_stay(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo.copy(demo.suite(), demo.package(), folder)
    (folder / "reports").mkdir()
    (folder / "reports" / "old").write_text("1")
    (folder / "conftest.py").write_text("broken")
    demo.copy(demo.suite(), demo.package(), folder)
    assert (folder / "reports" / "old").exists()
    assert "broken" not in (folder / "conftest.py").read_text()


def test_a_folder_of_somebody_elses_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("1")
    with pytest.raises(UserError, match="not empty"):
        demo.copy(demo.suite(), demo.package(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(UserError, match="is a file"):
        demo.copy(demo.suite(), demo.package(), tmp_path / "mine.txt")


def test_an_undecided_exit_code_is_never_an_internal_error_of_pytest() -> None:
    assert demo.CODES[3] == 1
    assert 3 not in demo.CODES.values()
    assert demo.CODES[5] == 2


def test_no_run_is_no_report(tmp_path: Path) -> None:
    assert demo.latest(tmp_path) is None
    run = tmp_path / "r1"
    run.mkdir()
    (tmp_path / "latest").symlink_to(run)
    assert demo.latest(tmp_path) is None
    (run / "report.html").write_text("")
    assert demo.latest(tmp_path) == run
