"""The SQL adapter through DB-API drivers: one snapshot, read only, typed, bounded in rows and in time, no secret told."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import types
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.ledger.adapter_dbapi import DbApiLedger
from pytest_finchaos.ledger.adapters import read_data
from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Balance, Entry, Payment
from pytest_finchaos.model.spec import DataSpec, EnvironmentSpec
from tests.systems.books import LEDGER, SPEC
from tests.systems.payments import HOST, Database

SCHEMA = """
create table paid (k text, id integer, cents integer, ccy text, src text, dst text, state text);
create table booked (paid_id integer, account text, n int, cents integer, ccy text, after integer);
create table held (account text, ccy text, opening integer, now integer, n integer);
insert into paid values ('k-1', 1, 1200, 'EUR', 'a', 'b', 'done');
insert into booked values (1, 'a', 1, -1200, 'EUR', 800);
insert into held values ('a', 'EUR', 2000, 800, 1);
"""
QUERIES = {
    "payments": "select k, cast(id as text), cents, ccy, src, dst, state from paid",
    "entries": "select cast(paid_id as text), account, n, cents, ccy, after from booked",
    "balances": "select account, ccy, opening, now, n from held",
    "busy": "select 0",
}
PAYMENT = Payment("k-1", "1", 1200, "EUR", "a", "b", "done")
ENDLESS = "with recursive c(n) as (select 1 union all select n + 1 from c) select max(n) from c"


@dataclass(frozen=True)
class Bank:
    """A file as an environment."""

    file: Path
    spec: EnvironmentSpec = SPEC

    def database_url(self, component: str) -> str:
        raise AssertionError

    def base_url(self, component: str) -> str:
        raise AssertionError

    def direct_address(self, component: str) -> str:
        raise AssertionError

    def workdir(self, component: str) -> Path:
        return self.file.parent


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    file = tmp_path / "odd name?#%.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(SCHEMA)
    return Bank(file)


def reader(
    bank: Bank, queries: Mapping[str, str] | None = None, driver: str = "sqlite3", **options: Any
) -> DbApiLedger:
    connect = options.pop("connect", {"database": str(bank.file)})
    spec = replace(LEDGER, component=None, driver=driver, connect=connect, queries={**QUERIES, **(queries or {})})
    return DbApiLedger(bank.spec, spec, bank, **options)


def test_rows_are_read_in_the_order_of_the_columns(bank: Bank) -> None:
    look = reader(bank).look()

    assert (look.busy, look.whole) == (0, True)
    assert look.extract is not None
    assert look.extract.payments == (PAYMENT,)
    assert look.extract.entries == (Entry("1", "a", 1, -1200, "EUR", 800),)
    assert look.extract.balances == (Balance("a", "EUR", 2000, 800, 1),)


def test_a_busy_system_is_not_read_unless_asked_for(bank: Bank) -> None:
    busy = reader(bank, {"busy": "select 2.5"})

    assert busy.look() == Look(3, None)
    assert busy.look(though_busy=True).extract is not None


@pytest.mark.parametrize(
    ("query", "text", "said"),
    [
        (
            "payments",
            "select k, id, cents, ccy, src, dst, state from paid",
            "column 2 (id) is id and must be str, not int",
        ),
        (
            "payments",
            "select k, cast(id as text), cents / 100.0, ccy, src, dst, state from paid",
            "must be int, not float",
        ),
        ("payments", "select k from paid", "gave 1 columns (k), not 7"),
        ("balances", "select account, null, opening, now, n from held", "must be str, not NULL"),
        ("balances", "select * from elsewhere", "no such table: elsewhere"),
        ("balances", "selct 1", "syntax error"),
        ("balances", "delete from held", "readonly database"),
        ("busy", "select 'much'", "must give a number, gave str"),
        ("busy", "select 1, 2", "must give one row with one number"),
        ("busy", "update held set now = 0", "readonly database"),
    ],
)
def test_a_query_that_does_not_fit_is_named(bank: Bank, query: str, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        reader(bank, {query: text}).look()

    assert caught.value.where == f"finchaos.toml: environments.bank.ledger.queries.{query}"
    assert said in caught.value.what


def test_too_many_rows_are_refused(bank: Bank) -> None:
    many = {"balances": "with recursive c(n) as (select 1 union all select n + 1 from c where n < 11) "
                        "select cast(n as text), 'EUR', 0, 0, 0 from c"}  # fmt: skip

    with pytest.raises(UserError, match="gave more than 10 rows"):
        reader(bank, many, max_rows=10).look()

    assert reader(bank, many, max_rows=11).look().extract is not None


def test_all_queries_see_one_instant(bank: Bank) -> None:
    """A balance that is written once the first query has been answered is in no later one."""
    with closing(sqlite3.connect(bank.file, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("pragma journal_mode = wal")
        ledger = reader(bank)
        table = ledger._table

        def then_write(connection: Any, name: str) -> Any:
            rows = table(connection, name)
            if name == "payments":
                writer.execute("insert into held values ('between', 'EUR', 0, 0, 0)")
            return rows

        ledger._table = then_write  # type: ignore[method-assign]
        look = ledger.look()

        assert look.extract is not None
        assert [balance.account for balance in look.extract.balances] == ["a"]
        again = reader(bank).look().extract
        assert again is not None
        assert [balance.account for balance in again.balances] == ["a", "between"]


def test_an_endless_query_is_interrupted_and_the_next_look_is_possible(bank: Bank) -> None:
    ledger = reader(bank, {"busy": ENDLESS}, look_s=0.3)

    for _ in range(2):
        with pytest.raises(LedgerUnreachable, match=r"no end within 0\.3 s"):
            ledger.look()


def test_a_locked_file_is_a_ledger_that_may_answer_later(bank: Bank) -> None:
    with closing(sqlite3.connect(bank.file, isolation_level=None)) as writer:
        writer.execute("begin exclusive")
        ledger = reader(bank, connect={"database": str(bank.file), "timeout": 0})

        with pytest.raises(LedgerUnreachable, match="database is locked"):
            ledger.look()

        writer.execute("rollback")
        assert ledger.look().extract is not None


def test_a_file_that_is_gone_is_told_by_its_path(bank: Bank) -> None:
    bank.file.unlink()

    with pytest.raises(UserError, match=r"no file .* on this machine"):
        reader(bank).look()


@pytest.mark.parametrize(
    ("driver", "said"), [("no_such_driver", "cannot be imported"), ("json", "is no DB-API module")]
)
def test_a_driver_that_is_none_is_named(bank: Bank, driver: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        reader(bank, driver=driver).look()

    assert caught.value.where == "finchaos.toml: environments.bank.ledger.driver"


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A driver whose server never answers and whose errors tell the password."""
    module = types.ModuleType("stubborn")
    over = threading.Event()

    class Error(Exception):
        pass

    class OperationalError(Error):
        pass

    def connect(*, host: str, password: str, hang: bool = False) -> None:
        if hang:
            over.wait(30)
        raise OperationalError(f"access to {host} denied for password {password}")

    module.Error, module.OperationalError, module.connect = Error, OperationalError, connect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stubborn", module)
    yield module
    over.set()


def test_an_error_of_the_driver_is_told_without_the_password(bank: Bank, stubborn: types.ModuleType) -> None:
    connect = {"host": "127.0.0.1", "password": "hunter2"}

    with pytest.raises(LedgerUnreachable) as caught:
        reader(bank, driver=stubborn.__name__, connect=connect).look()

    assert "access to 127.0.0.1 denied" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_argument_that_the_driver_does_not_know_is_named(bank: Bank, stubborn: types.ModuleType) -> None:
    connect = {"host": "127.0.0.1", "password": "hunter2", "colour": "red"}

    with pytest.raises(UserError, match="colour") as caught:
        reader(bank, driver=stubborn.__name__, connect=connect).look()

    assert caught.value.where.endswith("ledger.connect")


def test_a_driver_that_hangs_is_given_up_and_not_asked_again_meanwhile(bank: Bank, stubborn: types.ModuleType) -> None:
    connect = {"host": "127.0.0.1", "password": "hunter2", "hang": True}
    ledger = reader(bank, driver=stubborn.__name__, connect=connect, look_s=0.2)

    with pytest.raises(LedgerUnreachable, match="no end within"):
        ledger.look()
    with pytest.raises(LedgerUnreachable, match="the look before has not ended"):
        ledger.look()


def test_data_may_be_a_query_of_the_ledgers_database(bank: Bank) -> None:
    spec = replace(LEDGER, component=None, driver="sqlite3", connect={"database": str(bank.file)}, queries=QUERIES)
    sources = {
        "account": DataSpec("account", query="select account, n from held"),
        "party": DataSpec("party", query="select src from paid union select dst from paid order by 1"),
    }

    read = read_data(replace(SPEC, ledger=spec, data=sources), bank)

    assert (read["account"].columns, read["account"].rows) == (("account", "n"), (("a", 1),))
    assert read["party"].rows == (("a",), ("b",))
    with pytest.raises(UserError, match=r"data\.party\.query: no such column"):
        read_data(replace(SPEC, ledger=spec, data={"party": DataSpec("party", query="select no from paid")}), bank)
    with pytest.raises(UserError, match="no SQL connection"):
        read_data(replace(SPEC, ledger=None, data=sources), bank)


def test_another_driver_reads_the_same_rows_from_a_server() -> None:
    folder = Path(tempfile.mkdtemp(prefix="finchaos-ledger-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    database = Database(folder)
    try:
        database.create()
        with closing(database.connect("payments", "payments")) as connection:
            connection.execute(SCHEMA.replace("integer", "bigint").encode())
        bank = Bank(folder)
        connect = {"host": HOST, "port": database.port, "user": "payments", "dbname": "payments"}
        ledger = reader(bank, driver="psycopg", connect=connect)

        look = ledger.look()

        assert look.whole
        assert look.extract is not None
        assert look.extract.payments == (PAYMENT,)
        with pytest.raises(UserError, match="read-only transaction"):
            reader(bank, {"busy": "delete from held"}, driver="psycopg", connect=connect).look()
        database.kill()
        with pytest.raises(LedgerUnreachable, match="the ledger does not answer"):
            ledger.look()
    finally:
        database.kill()
        shutil.rmtree(folder)
