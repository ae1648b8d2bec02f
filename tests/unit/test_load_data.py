"""Test data from files: every kind, every mistake by its line, bounded, no card numbers; and the plan that uses it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from pytest_finchaos.load import data
from pytest_finchaos.load.arrivals import arrivals
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import load_profile
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import DataSpec, OperationSpec
from pytest_finchaos.runtime import codec

PROFILE = load_profile("card_pos_auth")
CARD = "4111111111111111"


def read(folder: Path, name: str, text: str, column: str | None = None) -> DataSpec:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return data.read({"account": DataSpec("account", file=path, column=column)})["account"]


def test_a_csv_file_gives_one_column_or_each_by_name(tmp_path: Path) -> None:
    text = '\ufeffiban,branch\nDE1,north\n\nDE2,"s, w"\n'

    one, rows = read(tmp_path, "a.csv", text, "iban"), read(tmp_path, "a.csv", text)

    assert data.placeholders(one) == ["account", "account.iban"]
    assert [data.values(one, rank)["account"] for rank in range(data.size(one))] == ["DE1", "DE2"]
    assert data.placeholders(rows) == ["account.iban", "account.branch"]
    assert data.values(rows, 1) == {"account.iban": "DE2", "account.branch": "s, w"}


def test_json_lines_keep_whole_numbers_and_reach_into_objects(tmp_path: Path) -> None:
    text = '{"id": 7, "owner": {"name": "a"}}\n\n{"id": 8, "owner": {"name": "b"}}\n'

    assert read(tmp_path, "a.jsonl", text, "owner.name").rows == (("a",), ("b",))
    assert read(tmp_path, "a.jsonl", text, "id").rows == ((7,), (8,))
    assert read(tmp_path, "a.ndjson", "1\n2\n").rows == ((1,), (2,))


def test_plain_lines_are_values(tmp_path: Path) -> None:
    source = read(tmp_path, "a.txt", " x \n\ny\n")

    assert data.placeholders(source) == ["account"]
    assert source.rows == (("x",), ("y",))


@pytest.mark.parametrize(
    ("name", "text", "column", "said"),
    [
        ("a.csv", "", None, "needs a first row"),
        ("a.csv", "a,a\n1,2\n", None, "each once"),
        ("a.csv", "a,b\n1\n", None, "row 2 has 1 cells, the header 2"),
        ("a.csv", "a,b\n1,2\n", "c", "has no column 'c'"),
        ("a.csv", "a\n", None, "holds no value"),
        ("a.csv", 'a\n"x\n', None, "is no CSV"),
        ("a.jsonl", "{", None, "line 1 is no JSON"),
        ("a.jsonl", '{"a": 1}\n{"b": 1}', None, "line 2 has nothing at 'a'"),
        ("a.jsonl", "1.5", None, "no text and no whole number (float)"),
        ("a.jsonl", '{"a": null}', "a", "no text and no whole number (null)"),
        ("a.jsonl", "true", None, "no text and no whole number (bool)"),
        ("a.txt", "x", "column", "which have no columns"),
        ("a.txt", "\n \n", None, "holds no value"),
        ("a.txt", f"ok\n{CARD}\n", None, "looks like a card number"),
        ("a.csv", f"a\n{CARD}\n", "a", "looks like a card number"),
        ("a.jsonl", CARD, None, "looks like a card number"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_place_and_without_the_number(
    tmp_path: Path, name: str, text: str, column: str | None, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, name, text, column)

    assert said in str(caught.value)
    assert "data 'account'" in caught.value.where
    assert CARD not in str(caught.value)


def test_files_are_bounded_in_bytes_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MAX_ROWS", 3)
    for name in ("a.txt", "a.jsonl"):
        with pytest.raises(UserError, match="more than 3 rows"):
            read(tmp_path, name, "1\n" * 4)
    monkeypatch.setattr(data, "MAX_BYTES", 5)
    with pytest.raises(UserError, match="is larger than"):
        read(tmp_path, "a.txt", "1\n2\n3\n")


def test_a_file_that_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is not UTF-8"):
        data.read({"account": DataSpec("account", file=tmp_path / "a.txt")})
    with pytest.raises(UserError, match="cannot be read"):
        data.read({"account": DataSpec("account", file=tmp_path / "b.txt")})


def test_arrivals_draw_whole_rows_and_equal_seeds_draw_equal_ones(tmp_path: Path) -> None:
    source = read(tmp_path, "a.csv", "iban,branch\n" + "".join(f"DE{n},b{n}\n" for n in range(40)))

    def drawn() -> list[tuple[str, str]]:
        sources = {"account": source, "shop": DataSpec("shop", "s-{n}", 5)}
        made = arrivals(PROFILE, rate_per_s=50, seed="1/x", data=sources, key_prefix="k")
        return [(each.values["account.iban"], each.values["account.branch"]) for each in islice(made, 200)]

    first = drawn()

    assert first == drawn()
    assert all(iban[2:] == branch[1:] for iban, branch in first)
    assert len(set(first)) > 20


def plan(operations: dict[str, OperationSpec], **sources: DataSpec) -> LoadPlan:
    return LoadPlan(PROFILE, 10.0, "1/x", "k", operations, {"api": "http://127.0.0.1:9"}, data=sources)


def test_a_plan_knows_the_columns_and_crosses_with_its_rows(tmp_path: Path) -> None:
    source = read(tmp_path, "a.csv", "iban,branch\nDE1,north\n")
    good = plan(
        {"authorise": OperationSpec("authorise", "api", path="/{account.iban}/{account.branch}")}, account=source
    )

    good.check()
    crossed = codec.loads(LoadPlan, codec.dumps(good))

    assert crossed.data["account"].rows == (("DE1", "north"),)
    with pytest.raises(UserError, match=r"unknown placeholder \{account\}"):
        plan({"authorise": OperationSpec("authorise", "api", path="/{account}")}, account=source).check()
    with pytest.raises(UserError, match=r"unknown placeholder \{account\.bic\}"):
        plan({"authorise": OperationSpec("authorise", "api", path="/{account.bic}")}, account=source).check()
    with pytest.raises(UserError, match="was not read before the load"):
        plan(dict(good.operations), account=replace(source, rows=(), columns=())).check()


def test_a_set_up_may_use_what_an_earlier_one_brought_and_nothing_else() -> None:
    login = OperationSpec("login", "api", "POST", setup=True, provides={"token": "token"})
    desk = OperationSpec("desk", "api", "POST", path="/{token}", setup=True, provides={"desk": "id"})
    pay = OperationSpec("authorise", "api", "POST", path="/{desk}/{token}/{amount_major}")

    plan({"login": login, "desk": desk, "authorise": pay}).check()
    with pytest.raises(UserError, match=r"set ?up operation 'desk': unknown placeholder \{token\}"):
        plan({"desk": desk, "login": login, "authorise": pay}).check()
    with pytest.raises(UserError, match=r"unknown placeholder \{amount_minor\}"):
        plan({"login": replace(login, path="/{amount_minor}"), "authorise": pay}).check()
