"""The history: each run once, readable without its folder, and clear words when the file is not what it should be."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.reporting.document import to_document
from pytest_finchaos.reporting.history import Added, open_history
from tests.samples.many import KILLED, before, drill, run
from tests.samples.runs import sample_run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "history.sqlite"


def test_a_run_is_added_once(file: Path) -> None:
    document = to_document(sample_run())
    with open_history(file) as history:
        assert history.add(document) is Added.NEW
    with open_history(file) as history:
        assert history.add(document) is Added.KNOWN
        assert len(history.since(before(9000)).runs) == 1


def test_a_run_comes_back_as_it_was_but_for_its_points_and_events(file: Path) -> None:
    whole = sample_run()
    with open_history(file) as history:
        history.add(to_document(whole))
        (back,) = history.since(before(9000)).runs
    slim = tuple(replace(one, series=None, events=(), generator=None) for one in whole.drills)
    assert back == replace(whole, drills=slim)


def test_a_run_with_other_content_is_kept_beside_the_first_and_named(file: Path) -> None:
    first, second = run(drill(), name="a"), run(drill(), drill(KILLED), name="a")
    with open_history(file) as history:
        history.add(to_document(first))
        assert history.add(to_document(second)) is Added.CHANGED
        assert history.add(to_document(first)) is Added.KNOWN
        past = history.since(before(9000))
    assert (len(past.runs), past.changed) == (2, ("a",))


def test_only_runs_of_the_time_come_back_oldest_first(file: Path) -> None:
    with open_history(file) as history:
        for hours in (1, 30, 10, 50):
            history.add(to_document(run(drill(hours=hours), name=f"h{hours}")))
        assert [one.run.id for one in history.since(before(30)).runs] == ["h30", "h10", "h1"]


def test_other_time_zones_are_the_same_instants(file: Path) -> None:
    base = run(drill(), name="a")
    east = replace(base, run=replace(base.run, started_at="2026-03-02T13:00:00+05:00"))
    with open_history(file) as history:
        history.add(to_document(east))
        assert history.since("2026-03-02T08:00:00+00:00").runs
        assert not history.since("2026-03-02T08:00:01+00:00").runs


def test_a_run_without_a_date_is_not_forgotten(file: Path) -> None:
    base = run(drill(), name="a")
    with open_history(file) as history:
        history.add(to_document(replace(base, run=replace(base.run, started_at=""))))
        assert len(history.since(before(1)).runs) == 1


def test_one_file_is_all_there_is(file: Path) -> None:
    with open_history(file) as history:
        history.add(to_document(sample_run()))
    assert [one.name for one in file.parent.iterdir()] == ["history.sqlite"]


def test_what_is_no_report_is_not_added(file: Path) -> None:
    with open_history(file) as history:
        with pytest.raises(UserError, match="it is no report"):
            history.add({"schema": "other"})
        assert not history.since(before(9000)).runs


def test_a_file_that_is_no_database_is_told_with_a_cure(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"these are no pages of a database, whatever they are called" * 40)
    with pytest.raises(UserError, match="damaged or no history") as caught, open_history(file):
        pass
    assert "it is made anew from the run folders" in str(caught.value)


def test_damaged_pages_are_told_with_a_cure(file: Path) -> None:
    with open_history(file) as history:
        for at in range(20):
            history.add(to_document(run(drill(hours=at + 1), name=f"r{at}")))
    content = bytearray(file.read_bytes())
    content[5000 : len(content) - 3000] = os.urandom(len(content) - 8000)
    file.write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged") as caught, open_history(file) as history:
        history.since(before(9000))
    assert caught.value.cure


def test_a_damaged_run_is_named(file: Path) -> None:
    with open_history(file) as history:
        history.add(to_document(run(drill(), name="a")))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE run SET document = X'00'")
    connection.close()
    with open_history(file) as history, pytest.raises(UserError, match="run a in it is damaged"):
        history.since(before(9000))


def test_a_database_of_another_program_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    content = file.read_bytes()
    with pytest.raises(UserError, match="another program"), open_history(file):
        pass
    assert file.read_bytes() == content


def test_a_newer_layout_is_refused(file: Path) -> None:
    with open_history(file):
        pass
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserError, match="its layout is 99, this version reads 1"), open_history(file):
        pass


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used"), open_history(tmp_path):
        pass


def test_two_commands_at_once_both_add(file: Path) -> None:
    with open_history(file) as one, open_history(file) as other:
        one.add(to_document(run(drill(), name="a")))
        other.add(to_document(run(drill(), name="b")))
        one.add(to_document(run(drill(hours=2), name="c")))
        assert len(other.since(before(9000)).runs) == 3
