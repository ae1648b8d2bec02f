"""What CI systems are given: never green for what is not decided, well-formed whatever a drill is called."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from markdown_it import MarkdownIt

from pytest_finchaos.gates import document, github, gitlab, junit, text
from pytest_finchaos.gates.decide import decide, not_concerned
from pytest_finchaos.gates.policy import ClaimSpec, GateSpec
from pytest_finchaos.gates.result import GateResult, Row, State, Status
from pytest_finchaos.model.verdict import Verdict
from tests.samples.many import KILLED, NOW, SLOW, drill, measured, run, steady

XSD = Path(__file__).resolve().parents[1] / "samples" / "junit.xsd"
EVIL = "a.py::test_x[a|b`c<d>&\x00\x1b[31m\ud800\n%0A:,::error::☃ ]]>\"']"


def mixed(on_undecided: str = "block") -> GateResult:
    spec = GateSpec(
        "release",
        ("experiments/*", "tests/missing.py"),
        on_undecided=on_undecided,
        claims=(ClaimSpec("payment-success", Fraction(9999, 10000)),),
    )
    undecided = drill("experiments/test_a.py::test_b", Verdict.INCONCLUSIVE)
    return decide(spec, [run(measured(steady(480)), drill(KILLED, Verdict.FAIL), undecided)], NOW)


def passed() -> GateResult:
    return decide(GateSpec("release", (SLOW,)), [run(drill())], NOW)


def every_state() -> GateResult:
    rows = tuple(Row(f"tests/test_a.py::test_{state.value}", state, "why") for state in State)
    return GateResult("release", Status.FAIL, "many", rows, decided_at=NOW)


def evil() -> GateResult:
    rows = (Row(EVIL, State.FAIL, EVIL, run=EVIL, replay=EVIL), Row(EVIL, State.MISSING, EVIL))
    return GateResult(EVIL, Status.FAIL, EVIL, rows, notes=(EVIL,), decided_at=NOW)


def test_junit_is_valid_by_schema() -> None:
    schema = xmlschema.XMLSchema(str(XSD))
    concerned = not_concerned(GateSpec("g", ("x",), change_class="a"), "b", "2026-03-02T12:00:00Z")
    for result in (mixed(), passed(), every_state(), evil(), concerned):
        schema.validate(junit.render(result))


@pytest.mark.parametrize(
    "broken", ['<testcase name="a"/>', '<testcase classname="c" name="a" time="-1"/>', "<testcases/>"]
)
def test_the_schema_refuses_what_ci_systems_do_not_know(broken: str) -> None:
    totals = 'tests="1" failures="0" errors="0"'
    xml = f'<testsuites {totals}><testsuite name="s" {totals}>{broken}</testsuite></testsuites>'
    assert not xmlschema.XMLSchema(str(XSD)).is_valid(xml)


def test_in_junit_nothing_but_a_pass_is_green_and_nothing_is_skipped() -> None:
    root = ET.fromstring(junit.render(every_state()))
    assert root.findall(".//skipped") == []
    for case in root.iter("testcase"):
        state = case.get("name", "").removeprefix("test_")
        found = [(child.tag, child.get("type")) for child in case]
        if state == "pass":
            assert found == []
        else:
            tag = "failure" if state in ("fail", "undecided") else "error"
            assert found == [(tag, f"finchaos.{state}")]


def test_junit_counts_what_it_holds() -> None:
    suite = ET.fromstring(junit.render(mixed())).find("testsuite")
    assert suite is not None
    assert int(suite.get("tests", "")) == len(suite.findall("testcase")) == 5
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure")) == 3
    assert int(suite.get("errors", "")) == len(suite.findall("testcase/error")) == 1


def test_an_undecided_drill_that_only_warns_is_no_green_in_junit_either() -> None:
    assert "finchaos.undecided" in junit.render(mixed("warn"))


def test_a_gate_that_is_not_concerned_is_one_skipped_case() -> None:
    found = not_concerned(GateSpec("g", ("x",), change_class="a"), "b", NOW)
    root = ET.fromstring(junit.render(found))
    assert len(root.findall(".//testcase/skipped")) == len(root.findall(".//testcase")) == 1


def test_annotations_are_errors_for_what_blocks_and_escaped() -> None:
    lines = github.commands(mixed())
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 4
    assert lines[0].startswith(
        "::error file=experiments/test_components_killed.py,title=gate release%3A fail::experiments/"
    )
    assert "99.99 %25" in lines[-1]


def test_annotations_are_warnings_where_undecided_only_warns() -> None:
    lines = github.commands(mixed("warn"))
    assert sum(line.startswith("::warning ") for line in lines) == 2
    assert sum(line.startswith("::error ") for line in lines) == 2


def test_a_pass_is_one_notice() -> None:
    assert [line.split(" ")[0] for line in github.commands(passed())] == ["::notice"]


def test_no_more_annotations_than_github_shows_and_the_rest_is_counted() -> None:
    rows = tuple(Row(f"t.py::t{at}", State.FAIL, "why") for at in range(30))
    lines = github.commands(GateResult("release", Status.FAIL, "many", rows))
    assert len(lines) == 10
    assert "21 more required items" in lines[-1]


def test_no_name_breaks_out_of_a_workflow_command() -> None:
    for line in github.commands(evil()):
        assert "\n" not in line
        assert line.encode("utf-8")
        properties = line[2:].partition("::")[0].partition(" ")[2]
        assert all(word.split("=")[0] in ("file", "title") for word in properties.split(","))


def test_the_code_quality_report_lists_what_stands_in_the_way_once() -> None:
    issues = json.loads(gitlab.code_quality(mixed(), "finchaos.toml"))
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == 4
    assert {issue["severity"] for issue in issues} == {"blocker", "critical", "major"}
    assert {issue["location"]["path"] for issue in issues} == {
        "experiments/test_components_killed.py",
        "experiments/test_a.py",
        "finchaos.toml",
    }
    assert json.loads(gitlab.code_quality(passed(), "finchaos.toml")) == []
    assert json.loads(gitlab.code_quality(evil(), "finchaos.toml"))


def test_the_step_summary_keeps_each_drill_in_its_row() -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text.markdown(evil()))
    assert html.count("<tr>") == 3
    assert html.count("<td>") == 10
    assert "<d>" not in html


def test_a_large_summary_stays_below_the_limit_and_counts_the_rest() -> None:
    rows = tuple(Row(f"t.py::t{at}", State.FAIL, "why " * 50) for at in range(3000))
    shown = text.markdown(GateResult("release", Status.FAIL, "many", rows))
    assert len(shown.encode()) < 250_000
    assert "more |" in shown


def test_the_terminal_ends_with_the_decision_and_puts_what_blocks_first() -> None:
    lines = text.terminal(mixed())
    assert lines[0].startswith("✕ fail")
    assert lines[-1].startswith("gate release: FAIL: 4 required drills: 1 fail, 1 missing, 1 undecided, 1 pass")
    assert lines[-1].endswith("(exit 1)")
    assert all(line.isprintable() for line in text.terminal(evil()))


def test_the_decision_as_json_holds_status_and_exit_code() -> None:
    plain = json.loads(document.to_text(mixed()))
    assert (plain["schema"], plain["status"], plain["exit_code"]) == ("finchaos-gate/1", "fail", 1)
    assert {row["state"] for row in plain["rows"]} == {"fail", "missing", "undecided", "pass"}


def test_equal_names_are_told_apart() -> None:
    row = Row("t.py::t", State.FAIL, "why")
    root = ET.fromstring(junit.render(GateResult("g", Status.FAIL, "", (row, replace(row, text="other")))))
    assert [case.get("name") for case in root.iter("testcase")] == ["t", "t (2)"]
