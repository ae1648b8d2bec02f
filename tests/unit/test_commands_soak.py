"""`make soak-demo`: what it keeps, where it resumes, when it is content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soak_demo
from soak_demo import Line

REPORT: dict[str, Any] = {
    "drills": [
        {
            "id": "experiments/test_a.py::test_a",
            "verdict": "INVALID",
            "reasons": [{"code": "late-generator", "text": "lag p99 81 ms\nof 20 ms"}],
            "host": {"cpu_busy_share": 0.9712, "steal_share": 0.2},
        },
        {"id": "experiments/test_b.py::test_b", "verdict": "PASS", "reasons": []},
    ]
}


def line(run: int, verdict: str = "PASS") -> Line:
    return Line(run, "2026-01-01T00:00:00+00:00", "test_a", verdict, "code: text", "cpu=1", "abc1234")


def test_a_report_becomes_one_line_for_each_drill_with_reasons_and_host_figures() -> None:
    first, second = soak_demo.lines_of(REPORT, run=3, date="today", commit="abc1234")

    assert first.to_text() == (
        "3\ttoday\texperiments/test_a.py::test_a\tINVALID\tlate-generator: lag p99 81 ms of 20 ms"
        "\tcpu_busy_share=0.971 steal_share=0.2\tabc1234"
    )
    assert second.to_text().endswith("\tPASS\t-\t-\tabc1234")


def test_lines_appended_run_by_run_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "soak.tsv"

    soak_demo.append(path, [line(1)])
    soak_demo.append(path, [line(2), line(2, "FAIL")])

    assert soak_demo.read(path) == [line(1), line(2), line(2, "FAIL")]
    assert path.read_text().splitlines()[0] == soak_demo.HEADER


def test_a_soak_that_stopped_resumes_with_the_first_run_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "soak.tsv"
    soak_demo.append(path, [line(1)])
    asked: list[int] = []

    def fake_run(run: int, _commit: str, _arguments: object) -> list[Line]:
        asked.append(run)
        return [line(run)]

    monkeypatch.setattr(soak_demo, "one_run", fake_run)

    assert soak_demo.main(["--runs", "3", "--file", str(path)]) == 0
    assert asked == [2, 3]


def test_a_fail_or_a_run_without_a_report_is_never_content() -> None:
    for bad in (line(2, "FAIL"), soak_demo.without_report(run=2, date="today", commit="abc", why="pytest: 3")):
        text, met = soak_demo.summary([line(1)] * 200 + [bad])

        assert not met
        assert bad.reasons in text


def test_two_undecided_drills_of_140_are_allowed_and_three_are_not() -> None:
    undecided = line(1, "INVALID")

    assert soak_demo.summary([line(1)] * 138 + [undecided] * 2)[1]
    text, met = soak_demo.summary([line(1)] * 137 + [undecided] * 3)

    assert not met
    assert "3 undecided, 2 allowed" in text
    assert "host: cpu=1" in text


def test_a_soak_of_nothing_is_not_content() -> None:
    assert not soak_demo.summary([])[1]
