"""Laws of the reports: nothing is lost on the way to disk and back, and no result can break a page."""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytest_finchaos.model.currency import spell
from pytest_finchaos.model.result import DrillResult, RunResult, Series
from pytest_finchaos.reporting.document import from_document, to_document, to_text, validate
from pytest_finchaos.reporting.html import render_html
from pytest_finchaos.reporting.markdown import render_markdown
from pytest_finchaos.reporting.store import slug
from pytest_finchaos.reporting.story import failure_story, headline, junit_properties, summary_lines

TEXTS = st.text(max_size=12) | st.sampled_from(["<b>", "|", "`", "{{ x }}", "\x1b[0m", "2026-03-02T10:00:00+00:00"])
COUNTS = st.integers(0, 10**6)
FIGURES = st.floats(0, 1e6, allow_nan=False)
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # a page takes too long to render for shrinking
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation of the model."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Series:
        return series()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)})
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(values(choice) for choice in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(item) for item in arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(TEXTS, values(arguments[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS,
        int: COUNTS | st.integers(0, 10**18),
        float: FIGURES,
        bool: st.booleans(),
        type(None): st.none(),
    }
    return simple[kind]


@st.composite
def series(draw: st.DrawFn) -> Series:
    """Points whose columns are equally long."""
    size = draw(st.integers(0, 5))
    column = st.lists(COUNTS, min_size=size, max_size=size).map(tuple)
    latency = st.lists(st.none() | FIGURES, min_size=size, max_size=size).map(tuple)
    starts = tuple(at * 0.1 for at in range(size))
    return Series(0.1, starts, *(draw(column) for _ in range(4)), *(draw(latency) for _ in range(3)))


RUNS = values(RunResult)
DRILLS = values(DrillResult)


class Balanced(HTMLParser):
    """Fails on a tag that closes another, or on a script."""

    open: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "br", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(RUNS)
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
def test_a_run_comes_back_from_its_text_as_it_was(run: RunResult) -> None:
    text = to_text(to_document(run))
    back = from_document(json.loads(text))
    same = (back == run, to_text(to_document(back)) == text)  # a difference of such texts takes minutes to print
    assert same == (True, True)


@given(RUNS)
@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
def test_a_document_fits_the_schema_but_for_free_words(run: RunResult) -> None:
    problems = validate(json.loads(to_text(to_document(run))))
    free = ("test_outcome", "run.id", ".outcome:")
    assert [problem for problem in problems if not any(word in problem for word in free)] == []


@given(RUNS)
@settings(max_examples=30, deadline=None, suppress_health_check=SLOW, phases=UNSHRUNK)
def test_any_run_has_a_well_formed_page_and_a_summary(run: RunResult) -> None:
    page = Balanced()
    page.open = []
    page.feed(render_html(run))
    assert page.open == []
    assert len(render_markdown(run).encode()) < 64 * 1024
    assert all("\n" not in line for line in summary_lines(run))


@given(DRILLS)
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
def test_any_drill_has_a_story_that_begins_with_its_verdict(drill: DrillResult) -> None:
    lines = failure_story(drill)
    assert lines[0].startswith(drill.verdict.value)
    assert all(line.isprintable() for line in lines)
    assert len(headline(drill)) <= 200
    assert all(len(value) <= 200 for _, value in junit_properties(drill))


@given(st.integers(-(10**15), 10**15), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_an_amount_keeps_every_digit(amount_minor: int, currency: str) -> None:
    digits = spell(amount_minor, currency).removesuffix(f" {currency}").replace(",", "").replace(".", "")
    assert int(digits) == amount_minor


@given(st.text(), st.text())
def test_file_names_are_safe_and_differ_when_the_ids_do(one: str, other: str) -> None:
    assert "/" not in slug(one)
    assert not slug(one).startswith(".")
    assert (slug(one) == slug(other)) == (one == other)
