"""Which files of a start command are part of a system: its programs and settings, not the books that it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.environments import fingerprint
from pytest_finchaos.environments.config import load_configuration

CONFIGURATION = """
[environments.shop]
backend = "command"
allowed_hosts = ["127.0.0.1"]
start = ["./serve", "--db", "books.db", "--settings", "settings.json"]

[environments.shop.components.api]
address = "127.0.0.1:8080"

[environments.shop.operations.authorise]
component = "api"
method = "POST"
path = "/payments/{key}"
"""
LEDGER = """
[environments.shop.ledger]
adapter = "sql"
driver = "sqlite3"
connect = { database = "{env.PWD}/books.db" }
operation = "authorise"

[environments.shop.ledger.queries]
payments = "select 1"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "books.db").write_text("1")
    (tmp_path / "settings.json").write_text("1")
    return tmp_path


def digest(folder: Path, text: str) -> str:
    (folder / "finchaos.toml").write_text(text)
    return fingerprint.system_digest(load_configuration(folder / "finchaos.toml").environments["shop"], None)


def test_payments_do_not_make_another_system_of_it(folder: Path) -> None:
    before = digest(folder, CONFIGURATION + LEDGER)
    (folder / "books.db").write_text("2")
    assert digest(folder, CONFIGURATION + LEDGER) == before


@pytest.mark.parametrize(("ledger", "name"), [(LEDGER, "settings.json"), ("", "settings.json"), ("", "books.db")])
def test_another_file_that_the_command_names_does(ledger: str, name: str, folder: Path) -> None:
    before = digest(folder, CONFIGURATION + ledger)
    (folder / name).write_text("2")
    assert digest(folder, CONFIGURATION + ledger) != before
