"""The page: readable alone, safe, accessible, honest about what is not decided."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Reason, Verdict
from pytest_finchaos.reporting import palette
from pytest_finchaos.reporting.badges import badge, emblem
from pytest_finchaos.reporting.html import render_html
from tests.samples.not_passed import failing_drill, invalid_drill, undecided_drill, unstarted_drill
from tests.samples.passed import looking_drill, passing_drill
from tests.samples.runs import run_of, sample_run

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """Tags with attributes, ids, balance of tags, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.pictures: list[list[str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "svg":
            self.pictures.append([])
        elif self.pictures and "svg" in self.open and self.open[-1] == "svg":
            self.pictures[-1].append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def _page(run: RunResult) -> Page:
    page = Page(render_html(run))
    assert page.open == []
    return page


def test_the_page_needs_no_network_and_no_script() -> None:
    html = render_html(sample_run())
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "image", "use"} == set()
    assert not re.search(r"https?:|//[a-z]|@import|javascript:", html)
    assert all(value.startswith("#") for value in page.values("href"))
    assert all(value.startswith("url(#") for value in page.values("fill") if "url" in value)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "default-src 'none'" in html


def test_every_picture_has_a_title_and_a_description_that_its_label_names() -> None:
    page = _page(sample_run())
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert len(page.pictures) > 20
    assert all(children[:2] == ["title", "desc"] for children in page.pictures)
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert set(attributes["aria-labelledby"].split()) <= set(ids)


def test_every_chart_has_its_figures_as_a_table() -> None:
    html = render_html(run_of(passing_drill()))
    assert html.count("Figures of both charts as a table") == 1
    assert html.count("<figure>") == 3


def test_graphics_have_a_contrast_of_three_and_texts_of_four_and_a_half() -> None:
    for colour in (*palette.GRAPHICS, *palette.VERDICTS.values(), *palette.OUTCOMES.values()):
        assert palette.contrast(colour, palette.WHITE) >= 3, colour
    for colour in (*palette.TEXTS, palette.BLUE):
        assert palette.contrast(colour, palette.WHITE) >= 4.5, colour
    assert palette.contrast(palette.MUTED, "#f5f7f9") >= 4.5
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)


def test_a_colour_that_is_too_light_would_be_seen() -> None:
    assert palette.contrast("#f0e442", palette.WHITE) < 3


def test_pictures_use_colours_of_the_palette_only() -> None:
    page = _page(sample_run())
    used = {value for name in ("fill", "stroke") for value in page.values(name) if value.startswith("#")}
    assert used <= {palette.WHITE, *palette.GRAPHICS}


def test_lines_differ_by_dashes_and_name_themselves() -> None:
    assert len({dashes for _, dashes in palette.LINES.values()}) == len(palette.LINES)
    html = render_html(run_of(passing_drill()))
    for name in ("p50", "p95", "max"):
        assert re.search(rf'class="endname"[^>]*>{name}<', html)


def test_seven_drills_take_less_than_300_kilobytes() -> None:
    assert len(render_html(sample_run()).encode()) < 300_000


def test_the_same_run_gives_the_same_page() -> None:
    assert render_html(sample_run()) == render_html(sample_run())


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_is_told_as_a_word_a_shape_and_a_colour(verdict: Verdict) -> None:
    html = render_html(run_of(replace(passing_drill(), verdict=verdict)))
    assert f"<h1>{verdict.value}</h1>" in html
    assert f'class="strip {verdict.value.lower()}-edge"' in html
    assert badge(verdict) == f'<b class="v {verdict.value.lower()}">{verdict.value}</b>'
    shape = f'.v.{verdict.value.lower()}::before {{ content: "{palette.SHAPES[verdict]}"; color: {palette.VERDICTS[verdict]}; }}'
    assert shape in html
    assert len(set(palette.SHAPES.values())) == len(set(palette.VERDICTS.values())) == 4


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.FAIL])
def test_what_did_not_pass_is_never_green(verdict: Verdict) -> None:
    assert palette.VERDICTS[verdict] != palette.GREEN
    assert palette.GREEN not in emblem(verdict, "x")
    assert "pass" not in badge(verdict).lower()
    html = render_html(run_of(replace(passing_drill(), verdict=verdict)))
    assert "pass-edge" not in html.split("</style>")[1]
    assert palette.GREEN in emblem(Verdict.PASS, "x")


def test_the_failing_drill_says_what_broke_when_how_many_and_how_much() -> None:
    text = " ".join(_page(run_of(failing_drill())).text.split())
    assert "acknowledged-durable is violated: 12 of 1480 acknowledged payments are not in the ledger" in text
    assert "At 10:14:12.630 UTC, 5.5 s into the drill, as F1 kill -9 of gateway was armed" in text
    assert "150 of 2,094 payments ended without success, worth 19,034.12 EUR and 120,500 JPY." in text
    assert "1,482.10 EUR and 9,800 JPY" in text
    assert "a41c-2-000523" in text
    assert "pytest experiments/test_components_killed.py::test_a_killed_gateway" in text


def test_failures_come_first_and_their_witnesses_are_open() -> None:
    html = render_html(sample_run())
    verdicts = re.findall(r"<h2>(\w+): test", html)
    assert verdicts == ["FAIL", "INVALID", "INCONCLUSIVE", "INCONCLUSIVE", "PASS", "PASS", "PASS"]
    assert "<details open><summary>acknowledged-durable" in html


def test_what_was_not_checked_is_listed_for_the_run_and_for_the_drill() -> None:
    page = _page(replace(sample_run(), lost=("t.py::test_gone",)))
    assert page.text.count("no login was sent by the load") == 1 + 6
    assert "the environment declares no settlement file" in page.text
    assert "NOT CHECKED" in page.text
    assert "its result never arrived" in page.text


def test_money_that_could_not_be_decided_is_listed_as_not_checked() -> None:
    drill = passing_drill()
    vacuous = replace(
        drill.money.findings[0], verdict=Verdict.INCONCLUSIVE, checked=0, text="nothing to check: no payment"
    )
    page = _page(run_of(replace(drill, money=replace(drill.money, findings=(vacuous,)))))
    assert page.text.count("nothing to check: no payment") == 3


def test_nothing_checked_is_said_in_words() -> None:
    page = _page(run_of())
    assert "No drill ran" in page.text
    assert "INCONCLUSIVE" in page.text


def test_the_environment_says_what_its_settings_do_not_prove() -> None:
    page = _page(run_of(passing_drill()))
    assert "fsync=off" in page.text
    assert "29,476 more" in page.text


@pytest.mark.parametrize(
    "sample", [passing_drill(), failing_drill(), undecided_drill(), invalid_drill(), looking_drill(), unstarted_drill()]
)
def test_hostile_text_stays_text_wherever_it_stands(sample: DrillResult) -> None:
    evil = '"><script>alert(1)</script><svg onload=x>&amp;{{ 7*7 }}\x1b[0m\x00\udc80'
    hostile = replace(
        sample,
        id=f"t.py::test[{evil}]",
        reasons=(Reason(evil, evil),),
        profile=evil,
        replay=evil,
        directory=evil,
        seed=evil,
        injections=tuple(replace(item, fault=evil, target=evil, evidence=(evil,)) for item in sample.injections),
        events=tuple(replace(event, subject=evil, text=evil) for event in sample.events),
        objectives=tuple(replace(row, name=evil, limit=evil, population=evil) for row in sample.objectives),
        checks=tuple((evil, verdict, evil) for _, verdict, _ in sample.checks),
    )
    run = run_of(hostile)
    page = _page(replace(run, run=replace(run.run, id=evil, host={evil: evil}), problems=(evil,), lost=(evil,)))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\x1b" not in page.text
    assert "\x00" not in page.text


def test_counts_that_do_not_add_up_are_called_out() -> None:
    drill = passing_drill()
    page = _page(run_of(replace(drill, traffic=replace(drill.traffic, ok=drill.traffic.ok - 1))))
    assert "THE COUNTS DO NOT ADD UP" in page.text
    assert "THE COUNTS DO NOT ADD UP" not in _page(run_of(drill)).text


def test_an_unsound_run_does_not_boast_of_its_payments() -> None:
    page = _page(run_of(invalid_drill()))
    assert "As far as this unsound run can tell: All 1,583 payments" in " ".join(page.text.split())


def test_a_fault_without_proof_stands_out() -> None:
    assert "DID NOT ACT, gone" in _page(run_of(invalid_drill())).text
    drill = passing_drill()
    left = replace(drill.injections[0], gone=False, gone_at_ns=None)
    assert "acted, STILL THERE" in _page(run_of(replace(drill, injections=(left,)))).text
