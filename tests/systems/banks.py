"""The bank of `bank.py` with one of its mappings: in a thread of the test, loaded, and its money checked."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.ledger.adapters import keeps_references, read_data
from pytest_finchaos.ledger.check import check_money
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import Probe, load_profile
from pytest_finchaos.load.references import read_references
from pytest_finchaos.load.session import LoadSession, start_load
from pytest_finchaos.model.history import History
from pytest_finchaos.model.money import Extract, MoneyReport
from pytest_finchaos.model.spec import EnvironmentSpec
from tests.systems.bank import Bank, serve
from tests.systems.http_target import until_planned

HERE = Path(__file__).parent
LEDGERS = ("sql", "sql-payments", "rest", "api", "api-by-id")
PROFILE = replace(
    load_profile("card_pos_auth"),
    late_replay=Probe("authorise", 0.3, (0.1, 0.3)),
    key_reuse=Probe("authorise", 0.2, (0.1, 0.3)),
    polls={},
)


def configuration(folder: Path, ledger: str, defects: str = "") -> Path:
    """``finchaos.toml`` of the bank with one of `LEDGERS`, beside the data that it names."""
    mapping, *parts = (HERE / "bank.toml").read_text().split("#--- ")
    chosen = {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}[ledger]
    text = (mapping + chosen).replace("BANK_PY", str(HERE / "bank.py")).replace("DEFECTS", defects)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "bank_accounts.csv", folder)
    path = folder / "finchaos.toml"
    path.write_text(text)
    return path


@dataclass(frozen=True)
class Stand:
    """A running bank, as an environment."""

    bank: Bank
    port: int
    folder: Path
    spec: EnvironmentSpec

    def database_url(self, component: str) -> str:
        raise AssertionError(f"{component} is no database")

    def base_url(self, component: str) -> str:
        return f"http://{self.direct_address(component)}"

    def direct_address(self, component: str) -> str:
        assert component == "bank"
        return f"127.0.0.1:{self.port}"

    def workdir(self, component: str) -> Path:
        return self.bank.path.parent

    def mapped(self, ledger: str, **changes: object) -> Stand:
        """The same bank, its ledger read in another way."""
        path = configuration(self.folder / ledger, ledger)
        spec = load_configuration(path).environments["bank"]
        assert spec.ledger is not None
        declared = replace(spec.ledger, quiet_within_s=10.0, **changes)  # type: ignore[arg-type]
        return replace(self, spec=replace(spec, ledger=declared))


@contextmanager
def running(folder: Path, defects: str = "") -> Iterator[Stand]:
    """A bank in a thread."""
    books = folder / "books"
    books.mkdir(parents=True)
    bank = Bank(books, frozenset(defects.split(",")))
    server = serve(bank)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    spec = load_configuration(configuration(folder / "plain", "none")).environments["bank"]
    try:
        yield Stand(bank, server.server_port, folder, spec)
    finally:
        bank.over.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
        bank.connection.close()


@dataclass(frozen=True)
class Loaded:
    """What a load did to a bank.

    Args:
        stand: The bank.
        session: The load, ended.
        history: What it did.
    """

    stand: Stand
    session: LoadSession
    history: History

    def check(self, ledger: str, before: Extract | None = None, **changes: object) -> MoneyReport:
        """The money, read in one of the ways."""
        stand = self.stand.mapped(ledger, **changes)
        return check_money(
            self.history,
            spec=stand.spec,
            environment=stand,
            injections=(),
            setup_values=self.session.setup_values,
            before=before,
            references=read_references(self.session.references),
        )


def loaded(stand: Stand, folder: Path, *, planned: int = 150, prefix: str = "run-bank") -> Loaded:
    """Send ``planned`` transfers, and retries and probes."""
    by_id = stand.mapped("api-by-id")  # keeps the bank's own numbers, too
    plan = LoadPlan(
        profile=PROFILE,
        rate_per_s=80.0,
        seed="7/bank",
        key_prefix=prefix,
        operations=by_id.spec.operations,
        base_urls={"bank": stand.base_url("bank")},
        data=read_data(by_id.spec, by_id),
        max_in_flight=64,
        references=keeps_references(by_id.spec),
    )
    folder.mkdir(parents=True)
    with start_load(plan, folder) as session:
        until_planned(session, planned)
        history = session.stop(drain_s=3.0)
    return Loaded(stand, session, history)
