"""Mistakes in operations, data and ledgers of finchaos.toml: each told by its place, with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.fingerprint import environment_digest
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec
from tests.systems.banks import LEDGERS, configuration

BASE = """
[environments.shop]
backend = "processes"
allowed_hosts = ["127.0.0.1"]

[environments.shop.components.api]
command = ["{python}", "api.py"]

[environments.shop.operations.pay]
component = "api"
path = "/pay/{key}"
"""
LOOKUP = """
[environments.shop.operations.look]
component = "api"
path = "/pay/{key}"
"""
LEDGER = "[environments.shop.ledger]\n"
FIELDS = 'fields = { key = "k", id = "i", amount_minor = "a", currency = "=EUR", status = "s" }'


def loaded(folder: Path, text: str) -> EnvironmentSpec:
    path = folder / "finchaos.toml"
    path.write_text(BASE + text)
    return load_configuration(path).environments["shop"]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ('outcomes = { ok = ["20x"] }', "pay.outcomes.ok.0", "a status like 402 or 5xx"),
        ('outcomes = { ok = ["json:a"] }', "pay.outcomes.ok.0", "json:PATH=VALUE"),
        ('outcomes = { ok = ["200 & timeout"] }', "pay.outcomes.ok.0", "joined by"),
        ('outcomes = { ok = ["200 & 201"] }', "pay.outcomes.ok.0", "names two statuses"),
        ('outcomes = { ok = ["200"], refused = ["4xx", "200"] }', "pay.outcomes.refused.1", "stands under 'ok' too"),
        ('encoding = "xml"', "pay.encoding", "json, form"),
        ('encoding = "form"\nbody = { a = { b = "c" } }', "pay.body.a", "texts and numbers only"),
        ('provides = { token = "t" }', "pay.provides", "write setup = true"),
        ("[environments.shop.data.account]", "data.account", "says nowhere what its values are"),
        ('[environments.shop.data.account]\nfile = "a.csv"\nformat = "a"', "data.account", "one of them is wanted"),
        ('[environments.shop.data.account]\nformat = "a-{n}"', "data.account", "belong together"),
        (
            '[environments.shop.data.account]\nformat = "a-{m}"\ncount = 2',
            "data.account.format",
            "cannot be filled with n",
        ),
        ('[environments.shop.data.account]\nfile = "no.csv"', "data.account.file", "no file"),
        ('[environments.shop.data.account]\nquery = "select 1"', "data.account.query", "adapter = 'sql'"),
        ('[environments.shop.data.account]\nquery = "select 1"\ncolumn = "a"', "data.account.column", "is for a file"),
        ('[environments.shop.data.key]\nformat = "a"\ncount = 1', "data", "that is not key"),
        (LEDGER + 'adapter = "mongo"\noperation = "pay"', "ledger.adapter", "sql, rest, api"),
        (LEDGER + 'adapter = "sql"\noperation = "pay"', "ledger.queries", "missing: payments"),
        (LEDGER + 'adapter = "sql"\noperation = "pay"', "ledger.component", "which database is read"),
        (LEDGER + 'adapter = "sql"\ncomponent = "api"\noperation = "pay"', "ledger.component", "or name a driver"),
        (
            LEDGER + 'adapter = "sql"\ndriver = "sqlite3"\noperation = "pay"',
            "ledger.connect",
            "where the driver connects to",
        ),
        (
            LEDGER + 'adapter = "sql"\nfields = { a = "b" }\noperation = "pay"',
            "ledger.fields",
            "is for adapter = 'api'",
        ),
        (LEDGER + 'adapter = "sql"\nqueries = { payment = "" }\noperation = "pay"', "ledger.queries", "payments"),
        (LEDGER + 'adapter = "sql"\nconnect = { a = "b" }\noperation = "pay"', "ledger.connect", "is for a driver"),
        (
            LEDGER + 'adapter = "sql"\nqueries = { payments = "", begin = "" }\noperation = "pay"',
            "ledger.queries.begin",
            "is for",
        ),
        (LEDGER + 'adapter = "rest"\noperation = "pay"', "ledger.component", "who is asked"),
        (LEDGER + 'adapter = "rest"\ncomponent = "api"\noperation = "pay"', "ledger.endpoints", "missing: payments"),
        (
            LEDGER + 'adapter = "rest"\ncomponent = "api"\noperation = "pay"\n'
            'endpoints = { payments = { path = "/p", fields = { key = "k", amount = "a" } } }',
            "ledger.endpoints.payments.fields",
            "did you mean 'amount_minor'?",
        ),
        (
            LEDGER + 'adapter = "rest"\ncomponent = "api"\noperation = "pay"\n'
            f'endpoints = {{ payments = {{ path = "/p", {FIELDS} }}, busy = {{ path = "/b" }} }}',
            "ledger.endpoints.busy",
            "missing: value",
        ),
        (LEDGER + 'adapter = "api"\noperation = "pay"', "ledger.lookup", "has nothing else to read"),
        (LOOKUP + LEDGER + 'adapter = "api"\noperation = "pay"\nlookup = "look"', "ledger.fields", "missing: id"),
        (
            LOOKUP + LEDGER + 'adapter = "api"\noperation = "pay"\nlookup = "lok"',
            "ledger.lookup",
            "did you mean 'look'?",
        ),
        (
            LOOKUP.replace("{key}", "{reference}") + LEDGER + 'adapter = "api"\noperation = "pay"\nlookup = "look"',
            "ledger.lookup",
            "says nowhere what that is",
        ),
    ],
)
def test_a_mistake_is_told_by_its_place(tmp_path: Path, text: str, where: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, text)

    told = str(caught.value)
    assert f"environments.shop.{where}" in told or f"environments.shop.operations.{where}" in told, told
    assert said in told


@pytest.mark.parametrize("ledger", LEDGERS)
def test_the_configurations_of_the_bank_are_right(tmp_path: Path, ledger: str) -> None:
    spec = load_configuration(configuration(tmp_path, ledger)).environments["bank"]

    assert isinstance(spec.ledger, LedgerSpec)
    assert spec.operations["authorise"].encoding == "form"
    assert spec.data["account"].file == tmp_path / "bank_accounts.csv"


def test_a_connection_is_not_shown(tmp_path: Path) -> None:
    text = LEDGER + 'adapter = "sql"\noperation = "pay"\ndriver = "pymysql"\n'
    text += 'connect = { host = "127.0.0.1", password = "hunter2" }\nqueries = { payments = "select 1" }'

    assert "hunter2" not in repr(loaded(tmp_path, text))


def test_a_data_file_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    spec = loaded(tmp_path, '[environments.shop.data.account]\nfile = "a.csv"')
    first = environment_digest(spec, {}, "proxy")

    assert environment_digest(spec, {}, "proxy") == first
    file.write_text("a\n2\n")
    assert environment_digest(spec, {}, "proxy") != first
