"""The review: what many runs say together, each section red and green."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from html.parser import HTMLParser

from markdown_it import MarkdownIt

from pytest_finchaos.model.release import Exposure, ReleaseResult, ReleaseTimes
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.review import GateLine, Review, build
from pytest_finchaos.reporting.review_html import render_review_html, standing
from pytest_finchaos.reporting.review_markdown import render_review_markdown
from tests.samples.many import KILLED, NOW, OTHER_COMMIT, SLOW, before, drill, measured, run, steady
from tests.samples.month import BALANCE, FRAUD, ROUNDING, month

TARGETS = {("", "payment-success"): Fraction(9999, 10000), ("", "balance-latency"): Fraction(95, 100)}
GATES = (
    GateLine("release", "blocked", "", 3, 2, 1, (("missing", "tests/a.py::test_b", "no drill of this name"),)),
    GateLine("canary", "pass", "", 1, 1, 1),
)


def review(*runs: RunResult, gates: tuple[GateLine, ...] = ()) -> Review:
    return build(runs, since=before(720), until=NOW, gates=gates, targets=TARGETS)


@cache
def whole() -> Review:
    return review(*month(), gates=GATES)


def test_an_open_failure_is_a_drill_whose_newest_change_fails() -> None:
    (line,) = whole().failures
    assert line.id == ROUNDING
    assert line.last_passed.startswith("2026-03-01")
    assert line.since.startswith("2026-03-02")
    assert line.replay == f"pytest {ROUNDING} --finchaos-seed=1742"


def test_a_failure_that_another_commit_mended_is_closed() -> None:
    assert KILLED not in [line.id for line in whole().failures]
    failed = run(drill(KILLED, Verdict.FAIL, hours=5), name="a", commit=OTHER_COMMIT)
    assert review(failed).failures
    assert not review(failed, run(drill(KILLED, hours=1), name="b")).failures


def test_a_retry_does_not_close_a_failure() -> None:
    failed = run(drill(KILLED, Verdict.FAIL, hours=5), name="a")
    (line,) = review(failed, run(drill(KILLED, hours=1), name="b")).failures
    assert line.retried == 1


def test_a_failure_has_been_open_since_the_last_pass_before_it() -> None:
    runs = [
        run(drill(KILLED, hours=9), name="p"),
        *(run(drill(KILLED, Verdict.FAIL, hours=hours), name=f"f{hours}", commit=OTHER_COMMIT) for hours in (5, 3, 1)),
    ]
    (line,) = review(*runs).failures
    assert (line.since, line.last_passed) == (before(5), before(9))


def test_undecided_drills_say_what_they_need_and_lost_ones_are_among_them() -> None:
    found = {line.id: line for line in whole().undecided}
    assert set(found) == {FRAUD, BALANCE}
    assert found[FRAUD].needs == ("payment-success: 29,356 more requests, all of them good",)
    assert found[BALANCE].verdict is None


def test_recovery_is_counted_k_of_k_with_the_worst_and_without_a_mean() -> None:
    lines = {line.drill: line for line in whole().recoveries}
    assert (lines[FRAUD].score, lines[FRAUD].rest) == ("25 of 25 within 5 s", "3 undecided")
    assert lines[FRAUD].proof == "at least 89 % of such runs"
    killed = lines[KILLED]
    assert (killed.score, killed.met, killed.proof) == ("22 of 28 within 5 s", False, "–")
    assert killed.worst == "not recovered after 12.8 s (6 runs)"
    assert whole().recoveries[0].drill == KILLED  # what missed comes first


def test_unsound_runs_prove_no_recovery() -> None:
    line = next(line for line in whole().recoveries if line.drill == SLOW)
    assert (line.unsound, line.decided) == (1, 27)


def test_runs_with_different_limits_are_counted_by_their_own() -> None:
    base = drill(SLOW)
    strict = replace(base, recoveries=(replace(base.recoveries[0], within_s=1.0),))
    found = review(run(drill(SLOW, hours=2), name="a"), run(strict, name="b")).recoveries[0]
    assert found.score == "2 of 2 within the limit of its run, the newest 1 s"


def test_an_objective_is_pooled_over_the_newest_build_and_says_what_it_needs() -> None:
    success = next(line for line in whole().trends if line.objective == "payment-success")
    assert len(success.points) == 28
    assert success.standing == "undecided: 18,156 more requests, all of them good"
    assert success.proven is not None
    assert success.totals[1] > success.proven.good + success.proven.bad


def test_an_objective_without_a_known_target_is_drawn_and_claims_nothing() -> None:
    found = review(run(measured(steady(480, slo="own-objective")))).trends[0]
    assert (found.proven, found.standing) == (None, "the target is not known")


def test_what_was_not_checked_is_listed_with_its_drills() -> None:
    (row,) = whole().unchecked
    assert (row.what, row.why, len(row.drills)) == ("objective auth-success", "no login was sent by the load", 5)


def test_required_drills_without_a_fresh_result_are_in_the_sentence() -> None:
    assert "1 required without a fresh result" in whole().sentence
    assert "all required drills are fresh" in review(run(drill()), gates=GATES[1:]).sentence


def test_nothing_shown_is_not_green() -> None:
    assert standing(review()) is Verdict.INCONCLUSIVE
    assert "nothing was shown" in review().sentence


def test_the_sign_is_that_of_the_worst_and_a_blocked_gate_is_not_green() -> None:
    good = run(drill())
    assert standing(review(good)) is Verdict.PASS
    assert standing(review(good, gates=GATES)) is Verdict.INCONCLUSIVE
    assert standing(review(good, run(drill(KILLED, Verdict.FAIL), name="b"))) is Verdict.FAIL
    assert standing(review(good, run(drill(KILLED, Verdict.INVALID), name="b"))) is Verdict.INCONCLUSIVE


def test_the_same_run_twice_changes_nothing() -> None:
    assert review(*month(), *month()) == review(*month())


class Page(HTMLParser):
    """Ids, tags and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == "id" and value]
        if tag not in ("meta", "br", "wbr", "path", "line", "rect", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "line", "rect", "circle"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_whole_has_unique_ids_and_needs_neither_network_nor_script() -> None:
    text = render_review_html(whole())
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert "script" not in page.tags
    assert not re.search(r"(?:src|href)=\"(?!#)", text)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert page.tags.count("svg") == page.tags.count("desc")
    assert len(text.encode()) < 300_000


def test_the_page_is_the_same_for_the_same_runs() -> None:
    assert render_review_html(whole()) == render_review_html(whole())


def test_the_page_has_every_section_also_when_nothing_ran() -> None:
    for text in (render_review_html(whole()), render_review_html(review())):
        for name in ("required", "failures", "undecided", "recovery", "trend", "releases", "not-checked", "drills"):
            assert f'id="{name}"' in text


def test_names_are_text_in_page_and_markdown() -> None:
    evil = "a.py::test_x[<script>alert(1)</script>|`b`]"
    found = review(run(drill(evil, Verdict.FAIL, why="<img src=x onerror=alert(1)>")))
    html = render_review_html(found)
    assert "<script" not in html
    assert "<img" not in html
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(render_review_markdown(found))
    assert "<script" not in rendered
    assert "<img" not in rendered


def test_the_markdown_says_what_the_page_says() -> None:
    text = render_review_markdown(whole())
    assert "22 of 28 within 5 s" in text
    assert "18,156 more requests" in text
    assert "| ✕ FAIL | test\\_rounding.py" in text
    assert "| release | blocked | 3 | 2 | 1 | missing: a.py::test\\_b |" in text


def test_long_tables_in_markdown_say_how_many_rows_are_not_shown() -> None:
    many = run(*(drill(f"t.py::test_{at}") for at in range(130)))
    assert "… and 30 more" in render_review_markdown(review(many))


def released(outcome: str = "rolled back", after: str = "aaaa") -> ReleaseResult:
    return ReleaseResult(
        component="gateway",
        version="1.1",
        before="1.0",
        outcome=outcome,
        triggers=("amount-fidelity",) if outcome == "rolled back" else (),
        text="12 of 60 payments are not what was asked for",
        verdict=Verdict.PASS,
        asserted=True,
        steps=(),
        times=ReleaseTimes(t0_ns=0, t1_ns=4_200_000_000, t2_ns=4_300_000_000, t4_ns=4_700_000_000),
        exposure={"1.0": Exposure(4_000, 1_000), "1.1": Exposure(1_200, 60, 2, {"EUR": 74_100})},
        in_flight=3,
        in_flight_lost=0,
        fingerprint_before="aaaa",
        fingerprint_during="bbbb",
        fingerprint_after=after,
    )


def test_a_release_tells_what_the_new_version_served_and_how_it_went_back() -> None:
    found = review(run(replace(drill(), releases=(released(),))))
    (line,) = found.exposures
    assert line.release == "gateway 1.0 → 1.1"
    assert line.outcome == "rolled back: amount-fidelity"
    assert line.exposed == "1,200 requests, 60 payments, 2 of them failed, 741.00 EUR"
    assert (line.decided, line.back, line.in_flight, line.same_build) == (
        "4.2 s",
        "0.50 s",
        "3 payments, none lost",
        "yes",
    )
    assert "gateway 1.0 → 1.1" in render_review_html(found)
    assert "741.00 EUR" in render_review_markdown(found)


def test_a_release_that_left_another_build_behind_stands_out() -> None:
    found = review(run(replace(drill(), releases=(released(after="cccc"),))))
    assert found.exposures[0].same_build == "NO"
    assert '<span class="bad">NO</span>' in render_review_html(found)


def test_a_promoted_release_has_no_way_back() -> None:
    (line,) = review(run(replace(drill(), releases=(released("promoted", after="bbbb"),)))).exposures
    assert (line.outcome, line.back, line.same_build) == ("promoted", "–", "–")
