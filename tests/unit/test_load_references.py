"""The system's own ids beside the records: each once, for the owner only, never a card number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_finchaos.load.references import MAX_LENGTH, ReferenceWriter, read_references
from pytest_finchaos.load.request import render
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import OperationSpec

PAY = OperationSpec("pay", "api", "POST", reference="payment.id")
CARD = "4111111111111111"


def body(reference: object) -> bytes:
    return json.dumps({"payment": {"id": reference}}).encode()


def test_what_answers_told_is_read_back_once_each_and_in_order(tmp_path: Path) -> None:
    writer = ReferenceWriter(tmp_path / "r")
    for index, reference in [(0, "a"), (1, 17), (0, "b"), (0, "a")]:
        writer.keep(index, PAY, body(reference))

    assert read_references(tmp_path / "r") == {0: ("a", "b"), 1: ("17",)}
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [b"{", b"{}", body(None), body("x" * (MAX_LENGTH + 1)), body(CARD), body(int(CARD))]
)
def test_what_is_no_id_or_may_be_a_card_number_is_not_kept(tmp_path: Path, content: bytes) -> None:
    writer = ReferenceWriter(tmp_path / "r")

    writer.keep(0, PAY, content)

    assert read_references(tmp_path / "r") == {}


def test_a_file_that_was_cut_is_told_and_no_file_is_no_id(tmp_path: Path) -> None:
    (tmp_path / "r").write_text('[0, "a"]\n[1, "b')

    with pytest.raises(UserError, match="line 2 is damaged"):
        read_references(tmp_path / "r")
    assert read_references(tmp_path / "none") == {}


def test_an_id_of_the_system_may_have_the_digits_of_a_card_where_it_is_looked_up() -> None:
    lookup = OperationSpec("look", "api", path="/{reference}")

    assert render(lookup, {"reference": CARD}).path == f"/{CARD}"
