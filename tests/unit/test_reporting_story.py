"""The failure section, the terminal's summary and the JUnit properties."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.model.verdict import Reason, Verdict
from pytest_finchaos.reporting.story import failure_story, headline, junit_properties, summary_lines
from tests.samples.not_passed import failing_drill, invalid_drill, undecided_drill, unstarted_drill
from tests.samples.passed import looking_drill, passing_drill
from tests.samples.runs import run_of, sample_run


def _position(lines: list[str], start: str) -> int:
    return next(at for at, line in enumerate(lines) if line.startswith(start))


def test_the_story_answers_in_the_order_in_which_one_asks() -> None:
    lines = failure_story(failing_drill())
    heads = [
        "FAIL  ",
        "measured against limit",
        "timeline",
        "what broke first",
        "money",
        "not checked",
        "evidence",
        "replay",
    ]
    found = [_position(lines, head) for head in heads]
    assert found == sorted(found)
    assert found[0] == 0


def test_the_story_of_lost_money_has_count_amount_moment_and_witness() -> None:
    text = "\n".join(failure_story(failing_drill()))
    assert "12 of 1480 acknowledged payments are not in the ledger: 1482.10 EUR" in text
    assert "worth 19,034.12 EUR and 120,500 JPY" in text
    assert "component gateway ended: pid 4411 ended by SIGKILL" in text
    assert "witness a41c-2-000523, 123.50 EUR" in text
    assert "… and 9 further cases" in text


def test_money_is_named_even_when_the_checker_did_not_say_how_much() -> None:
    drill = failing_drill()
    found = next(found for found in drill.money.findings if found.violations)
    vague = replace(found, text="payments are missing")
    drill = replace(drill, money=replace(drill.money, findings=(vague,)))
    assert headline(drill) == (
        "acknowledged-durable is violated (12 cases among 1,480 checked, 1,482.10 EUR and 9,800 JPY): payments are missing."
    )


def test_measured_figures_have_limit_and_sample_size() -> None:
    line = next(line for line in failure_story(failing_drill()) if "spent payment-success" in line)
    assert "150 bad" in line
    assert "of 301" in line
    assert "limit: at most 40 bad" in line
    assert line.endswith("FAIL")


def test_an_undecided_objective_says_how_much_more_is_needed() -> None:
    text = "\n".join(failure_story(undecided_drill()))
    assert "29,476 more needed to decide" in text
    assert "(listed, not asked)" in text


def test_harm_is_not_told_before_the_fault_that_was_armed_in_its_slice() -> None:
    lines = failure_story(failing_drill())
    assert _position(lines, "     5.51    F1 kill -9 of gateway armed") < next(
        at for at, line in enumerate(lines) if "component gateway ended" in line
    )
    first = next(line for line in lines if line.startswith("what broke first"))
    assert "at 5.51 s" in first


def test_a_drill_without_load_has_a_story_too() -> None:
    lines = failure_story(unstarted_drill())
    assert lines[0].startswith("INCONCLUSIVE")
    assert "evidence  none: there was no load" in lines
    assert any("the ledger could not be read: the environment never started" in line for line in lines)


def test_a_fault_that_did_not_act_stands_out_in_the_timeline() -> None:
    assert any("DID NOT ACT" in line for line in failure_story(invalid_drill()))


def test_a_violation_that_was_looked_for_is_marked() -> None:
    assert any(line.endswith("(the drill looked for this)") for line in failure_story(looking_drill()))
    assert headline(looking_drill()).startswith("the test's assertions hold")


def test_lines_carry_no_line_ends_or_control_characters() -> None:
    hostile = replace(failing_drill(), id="t.py::test[\x1b]0;x\x07\n\udc80]", reasons=(Reason("x", "a\nb\x1b[2J\x00"),))
    for line in failure_story(hostile):
        assert line.isprintable(), repr(line)


def test_a_headline_has_at_most_200_characters() -> None:
    drill = replace(passing_drill(), verdict=Verdict.FAIL, reasons=(Reason("long", "word " * 200),))
    assert len(headline(drill)) == 200 or headline(drill).endswith("…")
    assert len(headline(drill)) <= 200
    assert headline(replace(drill, reasons=())) == "no reason recorded"


def test_the_summary_has_one_line_for_each_drill_that_begins_with_its_verdict() -> None:
    run = sample_run()
    lines = summary_lines(run)
    for drill, line in zip(run.drills, lines, strict=False):
        assert line.split()[0] == drill.verdict.value
        assert drill.id.split("/")[-1] in line
    rest = lines[len(run.drills) :]
    assert not any(line.startswith(verdict.value) for line in rest for verdict in Verdict)


def test_the_summary_lists_what_was_not_checked_and_what_was_lost() -> None:
    run = replace(sample_run(), lost=("t.py::test_gone",), problems=("worker gw1 ended",))
    lines = summary_lines(run)
    assert "not checked: objective auth-success: no login was sent by the load [6 drills]" in lines
    assert "not checked: test t.py::test_gone: its result never arrived" in lines
    assert "problem: worker gw1 ended" in lines
    assert lines[-1].startswith("run 20260302T101400-a41c: FAIL (1 FAIL, 1 INVALID, 2 INCONCLUSIVE, 3 PASS)")


def test_a_run_without_drills_says_so() -> None:
    assert "no drill ran" in summary_lines(run_of())[-1]
    assert "INCONCLUSIVE" in summary_lines(run_of())[-1]


def test_junit_properties_are_short_and_name_what_ci_shows() -> None:
    pairs = dict(junit_properties(failing_drill()))
    assert pairs["finchaos.verdict"] == "FAIL"
    assert pairs["finchaos.reasons"] == "assertion-failed money-acknowledged-durable"
    assert pairs["finchaos.acted"] == "1-kill=yes"
    assert pairs["finchaos.recovery_s"] == "1-kill=0.30"
    assert pairs["finchaos.money_violated"] == "acknowledged-durable"
    assert pairs["finchaos.unsuccessful_amount"] == "19,034.12 EUR and 120,500 JPY"
    assert all(name.startswith("finchaos.") and len(value) <= 200 for name, value in pairs.items())


def test_junit_says_no_and_unknown_apart() -> None:
    drill = invalid_drill()
    assert dict(junit_properties(drill))["finchaos.acted"] == "1-latency=no"
    unknown = replace(drill, injections=(replace(drill.injections[0], acted=None),))
    assert dict(junit_properties(unknown))["finchaos.acted"] == "1-latency=unknown"
