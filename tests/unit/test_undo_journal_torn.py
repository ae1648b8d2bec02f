"""The undo journal: on disk before the act, readable after any crash; waiting and files beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_finchaos.runtime.clock import NS_PER_S
from pytest_finchaos.runtime.files import append_line, cache_directory, write_atomic
from pytest_finchaos.runtime.undo import UndoJournal
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for


@pytest.fixture
def journal(tmp_path: Path) -> UndoJournal:
    return UndoJournal(tmp_path / "undo.jsonl")


def test_what_was_intended_and_not_done_is_pending_newest_first(journal: UndoJournal) -> None:
    first = journal.intend("remove-toxic", {"toxic": "a"})
    second = journal.intend("enable-proxy", {"proxy": "b"})
    third = journal.intend("continue-process", {"pid": 1, "started_ticks": 2})
    journal.done(second)

    assert UndoJournal(journal.path).pending() == (third, first)


def test_an_intention_is_on_disk_when_the_call_returns(journal: UndoJournal) -> None:
    record = journal.intend("remove-toxic", {"toxic": "a→b"})

    assert UndoJournal(journal.path).pending() == (record,)


def test_a_journal_that_was_never_written_is_empty(journal: UndoJournal) -> None:
    assert journal.pending() == ()


@pytest.mark.parametrize(
    "torn", [b'{"id": "x", "kind"', b'{"arguments": {"toxic": "a\xe2\x86', b"12", b"null", b'{"id": 5}']
)
def test_a_torn_line_is_skipped_and_swallows_nothing_that_comes_after_it(journal: UndoJournal, torn: bytes) -> None:
    kept = journal.intend("remove-toxic", {"toxic": "a"})
    with journal.path.open("ab") as file:
        file.write(torn)

    assert journal.pending() == (kept,)
    later = journal.intend("enable-proxy", {"proxy": "b"})
    assert journal.pending() == (later, kept)
    journal.done(kept)
    assert journal.pending() == (later,)


def test_a_done_mark_without_its_intention_is_harmless(journal: UndoJournal, tmp_path: Path) -> None:
    other = UndoJournal(tmp_path / "other.jsonl").intend("remove-toxic", {})
    journal.done(other)

    assert journal.pending() == ()


def test_a_line_that_the_disk_takes_in_part_only_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _handle, data: len(data) - 1)

    with pytest.raises(OSError, match="only 5 of 6 bytes"):
        append_line(tmp_path / "log", "hello")


def test_a_file_is_replaced_as_a_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_atomic(path, "old")
    write_atomic(path, "new →", mode=0o600)

    assert path.read_text(encoding="utf-8") == "new →"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def test_a_write_that_fails_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    write_atomic(path, "old")

    def full(_handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")

    assert path.read_text(encoding="utf-8") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def test_the_cache_can_be_passed_through_by_others_but_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINCHAOS_CACHE", str(tmp_path / "a" / "cache"))

    assert cache_directory().stat().st_mode & 0o777 == 0o711


class Ticking:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.ns = 0
        self.slept_s: list[float] = []

    def now_ns(self) -> int:
        return self.ns

    def sleep_s(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.ns += round(duration_s * NS_PER_S)


def test_a_wait_returns_what_the_probe_found() -> None:
    clock = Ticking()

    found = wait_for(
        lambda: "ready" if clock.ns >= NS_PER_S else Not("starting"), what="it", within_s=5, every_s=0.25, clock=clock
    )

    assert (found, clock.slept_s) == ("ready", [0.25] * 4)


def test_a_wait_that_ends_says_what_for_how_long_and_what_was_seen_last() -> None:
    clock = Ticking()

    with pytest.raises(Waited, match=r"waited 1\.0 s \(limit 1 s\) for the port; last seen: refused"):
        wait_for(lambda: Not("refused"), what="the port", within_s=1, every_s=0.4, clock=clock)

    assert clock.slept_s == pytest.approx([0.4, 0.4, 0.2])


def test_a_wait_of_no_time_still_looks_once() -> None:
    assert wait_for(lambda: 7, what="it", within_s=0, clock=Ticking()) == 7
