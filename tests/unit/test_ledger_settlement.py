"""The settlement file as it is read: rows, control totals, and files that are none."""

from __future__ import annotations

import pytest

from pytest_finchaos.ledger.settlement import SettlementProblem, cut_off, parse
from pytest_finchaos.model.money import SettlementFile, SettlementRow
from pytest_finchaos.model.spec import SettlementSpec
from tests.systems.books import Books

SPEC = SettlementSpec(
    "files",
    "POST /cut-off",
    "/files/{file}",
    {"key": "idempotency_key", "id": "payment_id", "amount_minor": "amount", "currency": "ccy"},
)
HEADER = "ccy,payment_id,amount,note,idempotency_key\n"


def test_columns_are_found_by_name_in_any_order() -> None:
    text = HEADER + 'EUR,p-1,1200,"a, b",k-1\nEUR,p-2,-5,,k-2\nTOTAL,2,1195\n'

    file = parse("f.csv", text, SPEC)

    rows = (SettlementRow("k-1", "p-1", 1200, "EUR"), SettlementRow("k-2", "p-2", -5, "EUR"))
    assert file == SettlementFile("f.csv", rows, 2, 1195)


@pytest.mark.parametrize("text", ["TOTAL,0,0\n", HEADER + "TOTAL,0,0\n"])
def test_a_file_without_payments_has_totals_only(text: str) -> None:
    assert parse("f.csv", text, SPEC) == SettlementFile("f.csv", (), 0, 0)


def test_a_file_without_a_trailer_states_nothing() -> None:
    file = parse("f.csv", HEADER + "EUR,p-1,1200,,k-1\n", SPEC)

    assert (file.stated_count, file.stated_total_minor) == (None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.csv is empty"),
        ("a,b\n1,2\n", "has no column 'idempotency_key', but a, b"),
        (HEADER + "EUR,p-1,12.00,,k-1\n", "'12.00' is no whole number"),
        (HEADER + "EUR,p-1,1e3,,k-1\n", "'1e3' is no whole number"),
        (HEADER + "EUR,p-1,١٢,,k-1\n", "is no whole number"),
        (HEADER + "EUR,p-1\n", "row 2 has 2 cells, the header 5"),
        (HEADER + "TOTAL,1\n", "totals need a count and a sum"),
        (HEADER + "TOTAL,0,0\nEUR,p-1,1200,,k-1\n", "row 3 stands behind the totals"),
        (HEADER + 'EUR,"p-1,1200\n', "is no CSV"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(SettlementProblem) as caught:
        parse("f.csv", text, SPEC)

    assert problem in str(caught.value)


def test_a_cut_off_gives_the_file_that_it_closed() -> None:
    books = Books()
    books.pay()

    file = cut_off(
        SettlementSpec(SPEC.component, SPEC.cut_off, SPEC.file, {name: name for name in SPEC.columns}), books
    )

    assert (file.name, file.stated_count, file.stated_total_minor) == ("f-1.csv", 1, 1200)


def test_a_cut_off_that_names_no_file_is_told() -> None:
    books = Books()
    books.statuses["cut-off"] = 500
    with pytest.raises(SettlementProblem, match="POST /cut-off of files: HTTP 500"):
        cut_off(SPEC, books)
