"""The step summary of a CI system."""

from __future__ import annotations

from dataclasses import replace

from pytest_finchaos.model.verdict import Reason
from pytest_finchaos.reporting.markdown import render_markdown
from tests.samples.not_passed import failing_drill
from tests.samples.passed import passing_drill
from tests.samples.runs import run_of, sample_run


def test_the_summary_has_verdict_table_stories_and_what_was_not_checked() -> None:
    text = render_markdown(sample_run())
    assert text.startswith("## ✕ FAIL: finchaos run")
    assert "| ▲ INVALID | test\\_lost\\_answers.py" in text
    assert "### Not checked" in text
    assert "no login was sent by the load" in text
    assert "12 of 1480 acknowledged payments are not in the ledger: 1482.10 EUR" in text
    assert "pytest experiments --finchaos-seed=1742" in text


def test_only_drills_that_did_not_pass_tell_their_story() -> None:
    text = render_markdown(run_of(passing_drill()))
    assert "measured against limit" not in text


def test_a_large_run_stays_below_the_limit_and_names_what_is_missing() -> None:
    text = render_markdown(run_of(*(failing_drill() for _ in range(300))))
    assert len(text.encode()) < 64 * 1024
    assert "more stories did not fit here" in text
    assert "… and 100 more" in text


def test_markup_and_table_marks_in_names_are_only_text() -> None:
    hostile = replace(
        failing_drill(),
        id="t.py::test[a|b<img src=x>`**[x](http://evil)]",
        reasons=(Reason("x", "```\n# head\n</details><script>"),),
        money=passing_drill().money,
    )
    text = render_markdown(run_of(hostile))
    table = next(line for line in text.splitlines() if line.startswith("| ✕ FAIL"))
    assert "a\\|b&lt;img src=x&gt;\\`\\*\\*\\[x\\](http://evil)\\]" in table
    assert "<script>" not in text.split("````text")[0]
    assert "\n````text\n" in text


def test_a_run_without_anything_left_unchecked_says_so() -> None:
    drill = replace(passing_drill(), not_checked=())
    assert "Nothing that was declared was left unchecked." in render_markdown(run_of(drill))
