"""Times and counts as people read them."""

from __future__ import annotations

import pytest

from pytest_finchaos.reporting import formats


def test_durations_keep_the_precision_that_matters() -> None:
    texts = [formats.seconds(value) for value in (0.238, 12.34, 185.0)]
    assert texts == ["0.24 s", "12.3 s", "3 min 05 s"]
    assert [formats.milliseconds(value) for value in (0.42, 12.34, 1240.0)] == ["0.42 ms", "12.3 ms", "1,240 ms"]


def test_an_instant_is_dated_from_the_start_on_both_clocks() -> None:
    start_ns = 5_000_000_000
    assert formats.dated("2026-03-02T10:00:00.250+00:00", start_ns, start_ns + 1_500_000_000) == (
        "2026-03-02T10:00:01.750+00:00"
    )


@pytest.mark.parametrize("start", ["", "yesterday", "2026-03-02T25:00:00+00:00"])
def test_an_instant_without_a_dated_start_has_no_date(start: str) -> None:
    assert formats.dated(start, 0, 10) is None
    assert formats.dated("2026-03-02T10:00:00+00:00", 0, None) is None
    assert formats.dated("2026-03-02T10:00:00+00:00", 0, 10**40) is None


def test_a_clipped_text_is_one_line_without_control_characters() -> None:
    assert formats.clip("a\x1b[31m\nb\udc80", 40) == "a�[31m b�"
    assert formats.clip("word " * 40, 20) == "word word word word…"
    assert len(formats.clip("x" * 500, 200)) == 200


def test_counts_say_one_or_many() -> None:
    assert formats.count(1, "case") == "1 case"
    assert formats.count(1480, "entry", "entries") == "1,480 entries"
    assert formats.listed(["a", "b", "c"]) == "a, b and c"


def test_the_length_of_a_run_is_empty_when_it_has_no_dates() -> None:
    assert formats.between("2026-03-02T10:14:00+00:00", "2026-03-02T10:16:31+00:00") == "2 min 31 s"
    assert formats.between("", "2026-03-02T10:16:31+00:00") == ""
