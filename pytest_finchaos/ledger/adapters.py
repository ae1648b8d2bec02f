"""From a declared ledger to what reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_finchaos.ledger.adapter_api import ApiLedger, Learning, References, Sample
from pytest_finchaos.ledger.adapter_dbapi import DbApiLedger
from pytest_finchaos.ledger.adapter_rest import RestLedger
from pytest_finchaos.ledger.adapter_sql import SqlLedger
from pytest_finchaos.ledger.facts import Scope
from pytest_finchaos.ledger.reader import LedgerReader, LedgerUnreachable
from pytest_finchaos.ledger.rows import MAX_ROWS, TABLES, columns
from pytest_finchaos.ledger.target import Api, Asks, Target, lookup_operation, money_operation
from pytest_finchaos.load import data
from pytest_finchaos.load.request import placeholders
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.money import Extract
from pytest_finchaos.model.spec import DataSpec, EnvironmentSpec, LedgerSpec
from pytest_finchaos.runtime.clock import Clock, SystemClock

ADAPTERS = ("sql", "rest", "api")
STARTED_BY_US = ("processes", "command")


@dataclass(frozen=True, slots=True)
class Opened:
    """A ledger that can be read.

    Args:
        reader: Reads it.
        history: What can be judged with it: everything, or what is looked up.
        api: Sends requests, for everything that the check asks.
        left_out: What of the history is not in it and why, or "".
    """

    reader: LedgerReader
    history: History
    api: Asks
    left_out: str = ""


def open_ledger(
    spec: EnvironmentSpec, ledger: LedgerSpec, target: Target, *, history: History, api: Api, references: References,
    clock: Clock,
) -> Opened:  # fmt: skip
    """The reader of a declared ledger.

    Args:
        spec: The environment's declaration.
        ledger: Its ledger.
        target: The running environment.
        history: Everything that the load did.
        api: Sends requests.
        references: The system's own ids, where look-ups go by them.
        clock: The clock.

    Raises:
        UserError: The declaration does not fit.
    """
    if ledger.adapter == "api":
        lookup = lookup_operation(spec, ledger)
        if lookup is None:
            where = f"{spec.source}: environments.{spec.name}.ledger"
            raise UserError(where, "adapter 'api' needs a look-up", cure='write lookup = "OPERATION"')
        money = money_operation(spec, ledger)
        learning = Learning(api, money, references)
        sample = Sample.of(history, money, lookup, references)
        reader = ApiLedger(
            spec,
            ledger,
            lookup=lookup,
            sample=sample.operations,
            api=learning,
            clock=clock,
            references=learning.references,
        )
        return Opened(reader, sample.history, learning, sample.left_out)
    if ledger.adapter == "rest":
        return Opened(RestLedger(spec, ledger, api, clock=clock), history, api)
    return Opened(_sql(spec, ledger, target, clock), history, api)


def read_ledger(
    spec: EnvironmentSpec,
    environment: Target,
    clock: Clock | None = None,
    setup_values: Mapping[str, Any] | None = None,
) -> Extract | None:
    """The ledger now, whatever is under way; None when the environment has none that shows all payments.

    Args:
        spec: The environment's declaration.
        environment: The running environment.
        clock: The clock.
        setup_values: Placeholder values of setup operations, e.g. a token, where the ledger is asked over HTTP.

    Raises:
        LedgerUnreachable: No answer in time.
        UserError: The declaration does not fit.
    """
    ledger = spec.ledger
    if ledger is None or ledger.adapter == "api":
        return None
    clock = clock or SystemClock()
    reader: LedgerReader
    if ledger.adapter == "rest":
        reader = RestLedger(spec, ledger, Api(spec, environment, setup_values or {}, clock), clock=clock)
    else:
        reader = _sql(spec, ledger, environment, clock)
    return reader.look(though_busy=True).extract


def read_data(spec: EnvironmentSpec, environment: Target) -> Mapping[str, DataSpec]:
    """The environment's test data with what files and the ledger's database hold now.

    Raises:
        UserError: A source cannot be read, or the database did not answer in time.
    """

    def ask(name: str, query: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        ledger = spec.ledger
        if ledger is None or ledger.adapter != "sql":
            raise UserError(f"data {name!r}", "is a query, and the environment's ledger has no SQL connection")
        try:
            return _sql(spec, ledger, environment, SystemClock(), data.MAX_ROWS).ask(name, query)
        except LedgerUnreachable as error:
            raise UserError(f"data {name!r}", str(error)) from None

    return data.read(spec.data, ask)


def keeps_references(spec: EnvironmentSpec) -> bool:
    """True when the driver must keep the system's own ids: nothing else knows them, and look-ups go by them."""
    ledger = spec.ledger
    if ledger is None or ledger.adapter != "api":
        return False
    lookup = lookup_operation(spec, ledger)
    return lookup is not None and "reference" in placeholders(lookup)


def scope(spec: EnvironmentSpec, ledger: LedgerSpec) -> Scope:
    """What the declaration says of the ledger's rows."""
    silent: set[str] = set()
    if ledger.adapter != "sql":
        fields = ledger.fields if ledger.adapter == "api" else ledger.endpoints["payments"].fields
        silent = set(columns(TABLES["payments"])) - set(fields)
    alone = spec.backend in STARTED_BY_US if ledger.exclusive is None else ledger.exclusive
    no_effect = frozenset(status.lower() for status in ledger.no_effect)
    return Scope(frozenset(silent), no_effect, others=not alone, parties=ledger.parties)


def _sql(
    spec: EnvironmentSpec, ledger: LedgerSpec, target: Target, clock: Clock, max_rows: int = MAX_ROWS
) -> SqlLedger | DbApiLedger:
    if ledger.adapter != "sql":
        where = f"{spec.source}: environments.{spec.name}.ledger.adapter"
        raise UserError(where, f"no adapter {ledger.adapter!r}", allowed=ADAPTERS, got=ledger.adapter)
    if ledger.driver is not None:
        return DbApiLedger(spec, ledger, target, clock=clock, max_rows=max_rows)
    return SqlLedger(spec, ledger, target, clock=clock, max_rows=max_rows)
