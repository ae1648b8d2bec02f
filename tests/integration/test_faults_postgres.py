"""Faults in front of a real PostgreSQL: probed in its own protocol, on new connections and in pooled sessions."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from pytest_finchaos import faults
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import Environment, start_environment
from pytest_finchaos.faults.injector import arm
from pytest_finchaos.faults.wire import Exchange, How, Postgres, Wire, connect
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.runtime.clock import SystemClock
from pytest_finchaos.runtime.waiting import Not, wait_for

CONFIGURATION = """
[environments.one]
backend = "processes"
allowed_hosts = ["127.0.0.1"]

[environments.one.components.ledger]
kind = "postgres"
schema = "schema.sql"
restart = "always"
settings = { fsync = "off" }

[[environments.one.edges]]
source = "clients"
target = "ledger"
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    folder: Path = tmp_path_factory.mktemp("ledger")
    (folder / "schema.sql").write_text("create table t (n int);")
    (folder / "finchaos.toml").write_text(CONFIGURATION)
    spec = load_configuration(folder / "finchaos.toml").environments["one"]
    with contextlib.closing(start_environment(spec, directory=folder / "run", run_id="r-0001")) as running:
        yield running


@contextlib.contextmanager
def queries(edge: Edge, url: str) -> Iterator[None]:
    """A source with one pooled session that it opens again when it was cut."""
    parts = urlsplit(url)
    through = parts._replace(netloc=f"{parts.username}@{edge.listen}").geturl()
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            with contextlib.suppress(psycopg.Error), psycopg.connect(through, connect_timeout=1) as session:
                while not stop.wait(0.02):
                    session.execute("select 1")
            stop.wait(0.02)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


KINDS: dict[str, Callable[[Edge], faults.Fault]] = {
    "latency": lambda edge: faults.Latency(edge, latency_ms=60, jitter_ms=10),
    "bandwidth": lambda edge: faults.Bandwidth(edge, rate_kb_per_s=200),
    "bandwidth-up": lambda edge: faults.Bandwidth(edge, rate_kb_per_s=200, stream="upstream"),
    "reset": faults.ResetPeer,
    "reset-share": lambda edge: faults.ResetPeer(edge, toxicity=0.3),
    "limit": lambda edge: faults.LimitData(edge, limit_bytes=5000),
    "slicer": lambda edge: faults.Slicer(edge, average_size_bytes=200, delay_us=5000),
    "slow-close": lambda edge: faults.SlowClose(edge, delay_ms=150),
    "down": faults.Down,
    "timeout": faults.Timeout,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_in_front_of_the_database_acts_and_goes(environment: Environment, kind: str) -> None:
    edge = environment.edge("clients", "ledger")
    with queries(edge, environment.database_url("ledger")):
        armed = arm(KINDS[kind](edge), environment=environment, injection_id=f"1-{kind}")
        seen = armed.observe(3)
        armed.disarm()
        gone = armed.prove_gone(10)

    assert seen.seen is True, seen.evidence
    assert gone.seen is False, gone.evidence
    assert (armed.result().acted, armed.result().gone) == (True, True)
    assert environment.undo.pending() == ()


def test_a_paused_database_answers_nobody_and_then_everybody(environment: Environment) -> None:
    armed = arm(faults.Pause(environment.component("ledger")), environment=environment, injection_id="1-pause")
    seen = armed.observe(3)
    armed.disarm()
    gone = armed.prove_gone(10)

    assert seen.seen is True, seen.evidence
    assert gone.seen is False, gone.evidence


def test_a_killed_database_comes_back_as_another_process(environment: Environment) -> None:
    armed = arm(faults.Kill(environment.component("ledger")), environment=environment, injection_id="1-kill")
    seen = armed.observe(3)
    armed.disarm()
    gone = armed.prove_gone(20)

    assert seen.seen is True, seen.evidence
    assert gone.seen is False, gone.evidence


def test_a_refused_session_says_in_the_servers_words_why(environment: Environment) -> None:
    speaker = Postgres("postgresql://nobody@127.0.0.1:1/nowhere")

    def ask() -> Exchange | Not:
        wire = connect(environment.direct_address("ledger"), 2.0, SystemClock())
        assert isinstance(wire, Wire)
        with contextlib.closing(wire):
            done = wire.exchange(speaker.begin, 2.0)
        return Not(done.detail) if "not yet accepting" in done.detail else done  # an earlier test killed the server

    done = wait_for(ask, what="the server to refuse for a reason of its own", within_s=20)

    assert done.how is How.GARBLED
    assert "nobody" in done.detail
