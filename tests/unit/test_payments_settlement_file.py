"""Settlement files: each payment in one file, once, whatever happened while it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.payments.settlement_file import Row, SettlementFiles

ROWS = [Row(f"key-{n}", f"id-{n}", 100 + n, "EUR") for n in range(5)]


def lines_of(files: SettlementFiles, name: str) -> list[str]:
    content = files.content(name)
    assert content is not None
    return content.decode().splitlines()


def test_a_file_begins_with_its_columns_and_ends_with_its_totals(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path)
    files.append(ROWS[:2])

    name = files.cut_off()

    assert lines_of(files, name) == [
        "idempotency_key,payment_id,amount_minor,currency",
        "key-0,id-0,100,EUR",
        "key-1,id-1,101,EUR",
        "TOTAL,2,201",
    ]


def test_a_row_is_written_once_also_after_the_cut_off_and_after_a_restart(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path)
    assert files.append([*ROWS[:2], ROWS[0]]) == 2
    files.cut_off()

    assert files.append(ROWS[:3]) == 1
    again = SettlementFiles(tmp_path)
    assert again.append(ROWS[:4]) == 1
    assert lines_of(again, again.cut_off())[1:] == ["key-2,id-2,102,EUR", "key-3,id-3,103,EUR", "TOTAL,2,205"]


def test_totals_go_on_where_a_killed_writer_stopped(tmp_path: Path) -> None:
    SettlementFiles(tmp_path).append(ROWS[:2])

    files = SettlementFiles(tmp_path)
    files.append(ROWS[2:3])

    assert lines_of(files, files.cut_off())[-1] == "TOTAL,3,303"


@pytest.mark.parametrize("torn", ["k", "key-2,id-2,10", "key-2,id-2,102,EUR", "TOTAL,2,2", '"key-'])
def test_a_line_without_its_end_was_not_written(tmp_path: Path, torn: str) -> None:
    files = SettlementFiles(tmp_path)
    files.append(ROWS[:2])
    with (tmp_path / files.current).open("a") as file:
        file.write(torn)

    again = SettlementFiles(tmp_path)

    assert again.current == files.current
    assert again.append(ROWS[:3]) == 1
    assert lines_of(again, again.cut_off())[1:] == [
        "key-0,id-0,100,EUR",
        "key-1,id-1,101,EUR",
        "key-2,id-2,102,EUR",
        "TOTAL,3,303",
    ]


def test_a_header_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path)
    (tmp_path / files.current).write_text("idempotency_k")

    again = SettlementFiles(tmp_path)
    again.append(ROWS[:1])

    assert lines_of(again, again.current) == ["idempotency_key,payment_id,amount_minor,currency", "key-0,id-0,100,EUR"]


def test_an_empty_file_has_totals_too(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path)

    first, second = files.cut_off(), files.cut_off()

    assert (lines_of(files, first)[-1], first != second) == ("TOTAL,0,0", True)
    assert files.names() == [first, second]


@pytest.mark.parametrize("name", ["../secret", "settlement-1.csv", "settlement-000009.csv", ""])
def test_only_settlement_files_can_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "secret").write_text("x")

    assert SettlementFiles(tmp_path).content(name) is None


def test_a_key_with_a_comma_keeps_its_place(tmp_path: Path) -> None:
    files = SettlementFiles(tmp_path)
    files.append([Row('a,"b"', "id", 1, "EUR")])

    assert SettlementFiles(tmp_path).append([Row("other", "id", 1, "EUR")]) == 0
