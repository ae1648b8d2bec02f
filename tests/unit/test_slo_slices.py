"""Slices of 100 ms, merged while thin, never across a bound."""

from __future__ import annotations

from pytest_finchaos.slo.slices import Slice, cut

MS = 1_000_000


def events(*instants_ms: int, bad: tuple[int, ...] = ()) -> list[tuple[int, bool]]:
    return [(at_ms * MS, at_ms in bad) for at_ms in instants_ms]


def spans_ms(slices: tuple[Slice, ...]) -> list[tuple[int, int, int]]:
    return [(piece.start_ns // MS, piece.end_ns // MS, piece.total) for piece in slices]


def test_dense_traffic_makes_slices_of_100_ms() -> None:
    slices = cut(events(*range(0, 300, 10), bad=(110, 120)), (0, 300 * MS))

    assert spans_ms(slices) == [(0, 100, 10), (100, 200, 10), (200, 300, 10)]
    assert [piece.bad for piece in slices] == [0, 2, 0]


def test_thin_and_empty_slices_are_joined_with_the_next_and_at_the_end_with_the_one_before() -> None:
    slices = cut(events(10, 20, 30, 310, 320, 330, 450), (0, 500 * MS))

    assert spans_ms(slices) == [(0, 500, 7)]


def test_no_slice_reaches_across_a_bound() -> None:
    slices = cut(events(*range(0, 400, 20)), (0, 250 * MS, 400 * MS))

    assert spans_ms(slices) == [(0, 100, 5), (100, 250, 8), (250, 400, 7)]


def test_events_outside_the_bounds_are_left_out_and_time_without_events_is_one_slice() -> None:
    assert spans_ms(cut(events(-5, 1_000), (0, 1_000 * MS))) == [(0, 1_000, 0)]
