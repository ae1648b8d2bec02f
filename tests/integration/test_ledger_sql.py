"""The SQL adapter on a real PostgreSQL: one snapshot, read only, typed, bounded in rows and in time."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pytest_finchaos.ledger.adapter_sql import Deadlines, SqlLedger
from pytest_finchaos.ledger.adapters import read_ledger
from pytest_finchaos.ledger.check import check_money
from pytest_finchaos.ledger.invariants import INVARIANTS
from pytest_finchaos.ledger.quiesce import quiesce
from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import Balance, Entry, Payment
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.runtime.clock import SystemClock
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.books import LEDGER, SPEC, busy_day
from tests.systems.payments import HOST, Database, free_port

SCHEMA = b"""
create table paid (k text, id uuid, cents bigint, ccy text, src text, dst text, state text);
create table booked (paid_id uuid, account text, n int, cents bigint, ccy text, after bigint);
create table held (account text, ccy text, opening bigint, now bigint, n bigint);
create table todo (n int);
insert into paid values ('k-1', '00000000-0000-0000-0000-000000000001', 1200, 'EUR', 'a', 'b', 'done');
insert into booked values ('00000000-0000-0000-0000-000000000001', 'a', 1, -1200, 'EUR', 800);
insert into held values ('a', 'EUR', 2000, 800, 1);
"""
QUERIES = {
    "payments": "select k, id::text, cents, ccy, src, dst, state from paid;",
    "entries": "select paid_id::text, account, n, cents, ccy, after from booked where ccy like '%R'",
    "balances": "select account, ccy, opening, now, n from held",
    "busy": "select count(*) from todo",
}
PAYMENT = Payment("k-1", "00000000-0000-0000-0000-000000000001", 1200, "EUR", "a", "b", "done")


@dataclass(frozen=True)
class Bank:
    """A database as an environment."""

    database: Database
    spec: EnvironmentSpec = SPEC

    def database_url(self, component: str) -> str:
        return f"postgresql://payments@{HOST}:{self.database.port}/payments"

    def base_url(self, component: str) -> str:
        return f"http://{HOST}:9"

    def direct_address(self, component: str) -> str:
        return f"{HOST}:9"

    def workdir(self, component: str) -> Path:
        return Path("/nowhere")

    def execute(self, statement: bytes) -> None:
        with closing(self.database.connect("payments", "payments")) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def bank() -> Iterator[Bank]:
    folder = Path(tempfile.mkdtemp(prefix="finchaos-ledger-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    database = Database(folder)
    try:
        database.create()
        made = Bank(database)
        made.execute(SCHEMA)
        yield made
    finally:
        database.kill()
        shutil.rmtree(folder)


def ledger(bank: Bank, queries: Mapping[str, str] | None = None, **options: Any) -> SqlLedger:
    spec = replace(LEDGER, queries={**QUERIES, **(queries or {})})
    return SqlLedger(bank.spec, spec, bank, **options)


def test_rows_are_read_in_the_order_of_the_columns(bank: Bank) -> None:
    look = ledger(bank).look()

    assert look.busy == 0
    assert look.extract is not None
    assert look.extract.payments == (PAYMENT,)
    assert look.extract.entries == (Entry(PAYMENT.id, "a", 1, -1200, "EUR", 800),)
    assert look.extract.balances == (Balance("a", "EUR", 2000, 800, 1),)


def test_a_busy_system_is_not_read_unless_asked_for(bank: Bank) -> None:
    busy = ledger(bank, {"busy": "select 2.5"})

    assert busy.look() == Look(3, None)
    assert busy.look(though_busy=True).extract is not None


def test_without_a_busy_query_two_equal_looks_must_do(bank: Bank) -> None:
    queries = {name: text for name, text in QUERIES.items() if name != "busy"}
    reader = SqlLedger(bank.spec, replace(LEDGER, queries=queries), bank)

    rest = quiesce(reader, within_s=10.0, clock=SystemClock())

    assert rest.quiet
    assert rest.extract.payments == (PAYMENT,)


def test_no_connection_stays_behind(bank: Bank) -> None:
    ledger(bank).look()

    def gone() -> bool | Not:
        rows = bank.database.rows("select pid from pg_stat_activity where application_name = 'finchaos ledger'")
        return Not(f"{rows}") if rows else True

    assert wait_for(gone, what="the connection's end", within_s=10.0)


@pytest.mark.parametrize(
    ("query", "text", "said"),
    [
        (
            "payments",
            "select k, id, cents, ccy, src, dst, state from paid",
            "column 2 (id) is id and must be str, not UUID",
        ),
        ("payments", "select k, id::text, cents from paid", "gave 3 columns (k, id, cents), not 7"),
        ("payments", "select k, id::text, cents from paid where false", "gave 3 columns"),
        ("payments", "select k, id::text, cents / 100.0, ccy, src, dst, state from paid", "must be int, not Decimal"),
        (
            "entries",
            "select paid_id::text, account, n, cents::float8, ccy, after from booked",
            "must be int, not float",
        ),
        ("balances", "select account, null, opening, now, n from held", "must be str, not NULL"),
        ("balances", "select account, ccy, opening, now, true from held", "must be int, not bool"),
        ("balances", "select nothing from held", 'column "nothing" does not exist'),
        ("balances", "select account from elsewhere", 'relation "elsewhere" does not exist'),
        ("balances", "selct 1", "syntax error"),
        ("balances", "delete from held returning account", "syntax error"),
        ("busy", "select 'much'", "must give a number, gave str"),
        ("busy", "select 1, 2", "must give one row with one number"),
        ("busy", "select true", "must give a number, gave bool"),
        ("busy", "delete from todo returning n", "cannot execute DELETE in a read-only transaction"),
    ],
)
def test_a_query_that_does_not_fit_is_named(bank: Bank, query: str, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        ledger(bank, {query: text}).look()

    assert caught.value.where == f"finchaos.toml: environments.bank.ledger.queries.{query}"
    assert said in caught.value.what
    assert caught.value.cure or query == "busy"


def test_too_many_rows_are_refused(bank: Bank) -> None:
    many = {"balances": "select n::text, 'EUR', 0::bigint, 0::bigint, 0::bigint from generate_series(1, 11) as n"}

    with pytest.raises(UserError, match="gave more than 10 rows"):
        ledger(bank, many, max_rows=10).look()

    assert ledger(bank, many, max_rows=11).look().extract is not None


def test_all_queries_see_one_instant(bank: Bank) -> None:
    """A payment that is booked between two queries is in neither."""
    slow = {"payments": "with waited as materialized (select pg_advisory_xact_lock_shared(7)) "
                        "select k, id::text, cents, ccy, src, dst, state from paid, waited"}  # fmt: skip
    looks: list[Look] = []
    with closing(bank.database.connect("payments", "payments")) as other:
        other.execute("select pg_advisory_lock(7)")
        reading = threading.Thread(target=lambda: looks.append(ledger(bank, slow).look()))
        reading.start()

        def waiting() -> bool | Not:
            rows = bank.database.rows("select 1 from pg_locks where locktype = 'advisory' and not granted")
            return True if rows else Not("no one waits")

        wait_for(waiting, what="the look to be between its queries", within_s=10.0)
        other.execute("insert into held values ('between', 'EUR', 0, 0, 0)")
        other.execute("select pg_advisory_unlock(7)")
        reading.join(10.0)
        other.execute("delete from held where account = 'between'")

    (look,) = looks
    assert look.extract is not None
    assert [balance.account for balance in look.extract.balances] == ["a"]


def test_a_slow_query_ends_at_the_servers_deadline_and_is_named(bank: Bank) -> None:
    slow = {"entries": "select '', '', 1, 1, '', 1 from pg_sleep(30)"}

    with pytest.raises(LedgerUnreachable, match=r"query 'entries' did not end within 0\.2 s"):
        ledger(bank, slow, deadlines=Deadlines(statement_s=0.2)).look()


def test_a_server_that_stands_still_is_hung_up_on(bank: Bank) -> None:
    slow = {"entries": "select '', '', 1, 1, '', 1 from pg_sleep(5)"}

    with pytest.raises(LedgerUnreachable, match="the ledger does not answer"):
        ledger(bank, slow, deadlines=Deadlines(statement_s=30.0, look_s=0.5)).look()


def test_a_paused_server_is_unreachable_and_readable_afterwards(bank: Bank) -> None:
    assert bank.database._process is not None
    server = psutil.Process(bank.database._process.pid)
    server.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(LedgerUnreachable, match="the ledger does not answer"):
            ledger(bank, deadlines=Deadlines(connect_s=2)).look()
    finally:
        server.send_signal(signal.SIGCONT)

    assert ledger(bank).look().extract is not None


def test_a_ledger_that_is_gone_is_the_problem_and_nothing_is_checked(bank: Bank) -> None:
    gone = replace(bank, database=Database(Path("unused")))
    gone.database.port = free_port()
    books = busy_day()
    spec = replace(SPEC, ledger=replace(LEDGER, queries=QUERIES, quiet_within_s=0.5))

    report = check_money(books.history(), spec=spec, environment=gone, injections=(), setup_values={})

    assert "the ledger does not answer" in report.problem
    assert set(report.not_checked) == set(INVARIANTS)
    assert report.findings == ()


def test_the_ledger_can_be_read_before_a_load(bank: Bank) -> None:
    spec = replace(SPEC, ledger=replace(LEDGER, queries=QUERIES))

    before = read_ledger(spec, bank)

    assert before is not None
    assert before.payments == (PAYMENT,)
    assert read_ledger(replace(SPEC, ledger=None), bank) is None


def test_a_missing_driver_is_told_with_its_cure(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)

    with pytest.raises(UserError) as caught:
        ledger(bank).look()

    assert caught.value.cure == "pip install 'pytest-finchaos[postgres]'"
