"""`finchaos demo` as a person types it; the suite itself has its own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(folder: Path, *words: str, within_s: float = 120) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_finchaos.cli.main", "demo", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def test_arguments_go_to_pytest_and_without_a_drill_there_is_no_report(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--co", "-q", "-k", "slow_ledger")
    assert code == 0, told
    assert "test_slow_ledger.py::test_card_payments_survive_a_slow_ledger" in told
    assert "no report was written: no drill ran" in told
    assert (tmp_path / "finchaos-demo" / "conftest.py").exists()


def test_no_test_selected_is_wrong_use(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--into", "d", "-k", "no_such_drill_at_all")
    assert code == 2, told


def test_a_folder_of_somebody_elses_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("1")
    code, told = run(tmp_path, "--into", ".")
    assert code == 2, told
    assert "next: name a new folder" in told


def test_a_drill_runs_in_the_copy_and_the_report_is_where_it_is_said(tmp_path: Path) -> None:
    code, told = run(tmp_path, "--reports", "out", "-k", "test_rounding", within_s=300)
    assert code == 0, told
    place = next(line for line in told.splitlines() if line.startswith("report: ")).removeprefix("report: ")
    assert Path(place).is_file()
    assert Path(place).is_relative_to(tmp_path / "out")
