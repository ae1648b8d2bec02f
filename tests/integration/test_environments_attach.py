"""Attached systems: contacted, disturbed where a proxy stands, never started, stopped or left changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pytest_finchaos import faults
from pytest_finchaos.environments import janitor, named_proxies, tagged
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import Environment, start_environment
from pytest_finchaos.faults.injector import arm
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.environments import running, write_one
from tests.systems.nested import run_nested
from tests.systems.own import FOREIGN, LINK, OwnSystem, own_system

RUN = "20260101T000000-0000"


@pytest.fixture(scope="module")
def system() -> Iterator[OwnSystem]:
    with own_system() as running:
        yield running


@contextmanager
def attached(folder: Path, text: str) -> Iterator[Environment]:
    path = folder / "finchaos.toml"
    path.write_text(text)
    spec = load_configuration(path).environments["tiny"]
    environment = start_environment(spec, directory=folder / "run", run_id=RUN)
    try:
        yield environment
    finally:
        environment.close()


def toxics(system: OwnSystem, name: str = LINK) -> list[str]:
    return [toxic.name for toxic in system.proxy.proxy(name).toxics]


def get(address: str) -> int:
    with urllib.request.urlopen(f"http://{address}/value", timeout=5) as answer:
        return int(answer.status)


def test_an_attached_system_is_reached_through_our_proxy_and_left_as_it_was(system: OwnSystem, tmp_path: Path) -> None:
    before = system.proxy.proxies()
    with attached(tmp_path, system.configuration()) as environment:
        assert environment.base_url("api") != f"http://{system.api}", "through a fault proxy of the harness"
        assert get(environment.base_url("api").removeprefix("http://")) == 200
        assert environment.direct_address("api") == system.api
        link = environment.edge("api", "store")
        assert (link.proxy, link.listen, link.api_url) == (LINK, system.link, system.proxy.url)
        assert environment.verify_served() == ()
        assert environment.unproven == ()
        assert any("had toxics before: theirs" in note for note in environment.notes)
    assert system.proxy.proxies() == before
    assert system.runs()
    assert tagged.pids_of(environment.id) == []
    assert not (janitor.environments_folder() / environment.id).exists()


def test_a_toxic_on_the_systems_own_proxy_acts_and_goes_and_that_of_others_stays(
    system: OwnSystem, tmp_path: Path
) -> None:
    with attached(tmp_path, system.configuration()) as environment:
        fault = faults.Latency(environment.edge("api", "store"), latency_ms=150)
        armed = arm(fault, environment=environment, injection_id="1-latency")
        assert len(toxics(system)) == 2
        get(environment.base_url("api").removeprefix("http://"))
        assert armed.observe(5).seen, armed.result().evidence
        assert any("other toxics than at the start" in problem for problem in environment.verify_served())
        armed.disarm()
        assert armed.prove_gone(5).seen is False
        assert toxics(system) == ["theirs"]
        assert environment.verify_served() == ()
        assert environment.undo.pending() == ()


def test_a_sweep_takes_our_faults_and_opens_what_we_closed_and_nothing_else(system: OwnSystem, tmp_path: Path) -> None:
    with attached(tmp_path, system.configuration()) as environment:
        edge = environment.edge("api", "store")
        armed = [
            arm(faults.Latency(edge, latency_ms=50), environment=environment, injection_id="1-latency"),
            arm(faults.Down(edge), environment=environment, injection_id="2-down"),
        ]
        assert not system.proxy.proxy(LINK).enabled
        environment.reset()
        assert system.proxy.proxy(LINK).enabled
        assert toxics(system) == ["theirs"]
        assert toxics(system, FOREIGN) == ["theirs"]
        assert "faults swept" in environment.events()[-1].text
        for each in armed:
            each.disarm()  # by somebody else already, which is no error


def test_what_cannot_be_done_is_listed_and_refused(system: OwnSystem, tmp_path: Path) -> None:
    with attached(tmp_path, system.configuration()) as environment:
        assert set(environment.cannot) == {
            "network faults on store → api",
            "kill or pause store",
            "kill or pause api",
            "reset of data",
        }
        barred = environment.edge("store", "api")
        with pytest.raises(UserError, match="not interceptable"):
            faults.Latency(barred, latency_ms=50)
        for ask in (environment.instance, environment.processes):
            with pytest.raises(UserError, match="backend attach cannot kill or pause it"):
                ask("api")
        for fault in (faults.Kill(environment.component("api")), faults.Pause(environment.component("api"))):
            with pytest.raises(UserError, match="backend attach cannot kill or pause it"):
                arm(fault, environment=environment, injection_id="1")
        assert system.runs()


def test_a_component_without_identity_is_named_as_unproven(system: OwnSystem, tmp_path: Path) -> None:
    text = system.configuration()
    identity = 'identity = { http = "/ready", field = "build" }\n'
    with attached(tmp_path, text.replace(identity, "", 1)) as environment:
        assert environment.unproven == ("store",)
        assert "build of store" in environment.unchecked


def test_another_build_in_the_middle_of_a_run_is_found(tmp_path: Path) -> None:
    with own_system() as system, attached(tmp_path, system.configuration()) as environment:
        before = environment.fingerprint
        assert environment.fingerprint_now() == before
        system.stop("store")
        system.start("store", build="two")
        assert environment.fingerprint_now() != before
        assert any("differs from" in problem for problem in environment.verify_served())
        with pytest.raises(UserError, match="after the reset"):
            environment.reset()
        system.stop("store")
        assert any("component store: GET /ready" in problem for problem in environment.verify_served())
        with pytest.raises(UserError, match="component store: is not ready") as caught:
            environment.heal(0.5)
        assert "backend attach starts nothing" in str(caught.value)
        system.start("store")
        environment.heal(10)
        assert environment.fingerprint_now() == before


WRONG = {
    "an identity that is not told": ('field = "build"', 'field = "bild"', "does not say which build serves"),
    "an unknown proxy": ('"store-link"', '"stoer-link"', "did you mean 'store-link'"),
    "a Toxiproxy that is not there": ("toxiproxy = ", 'toxiproxy = "http://127.0.0.1:9" #', "the Toxiproxy at"),
    "no Toxiproxy at all": ("toxiproxy = ", "# ", "nothing says which Toxiproxy has it"),
    "fields that differ": ('http = "/ready", within_s = 3', 'http = "/ready", within_s = 0.2, fields = { build = "x" }',
                           "another build or process serves here"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_as_declared_is_told_before_any_drill(name: str, system: OwnSystem, tmp_path: Path) -> None:
    right, wrong, told = WRONG[name]
    text = system.configuration()
    assert right in text
    with pytest.raises(UserError, match=told), attached(tmp_path, text.replace(right, wrong)):
        pass
    assert system.runs()


def test_a_disabled_proxy_is_told_and_left_disabled(
    system: OwnSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_proxies, "OTHERS_GO_S", 0.3)
    system.proxy.set_enabled(LINK, enabled=False)
    try:
        with pytest.raises(UserError, match="is disabled: nothing passes"), attached(tmp_path, system.configuration()):
            pass
        assert not system.proxy.proxy(LINK).enabled
    finally:
        system.proxy.set_enabled(LINK, enabled=True)


def test_a_proxy_that_another_run_is_about_to_enable_again_is_waited_for(system: OwnSystem, tmp_path: Path) -> None:
    system.proxy.set_enabled(LINK, enabled=False)
    timer = threading.Timer(0.5, system.proxy.set_enabled, [LINK], {"enabled": True})
    timer.start()
    with attached(tmp_path, system.configuration()) as environment:
        assert environment.verify_served() == ()
    timer.join()


def test_a_variable_names_the_toxiproxy_where_the_configuration_does_not(
    system: OwnSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOXIPROXY_URL", system.proxy.url)
    before = system.proxy.proxies()
    with attached(tmp_path, system.configuration().replace("toxiproxy = ", "# ")) as environment:
        assert environment.toxiproxy_url == system.proxy.url
        assert get(environment.base_url("api").removeprefix("http://")) == 200
    assert system.proxy.proxies() == before, "what was made there is gone again"


# Attaches, arms a latency and closes another edge, says so, waits to be killed.
OWNER = """
import sys, threading
from pathlib import Path
from pytest_finchaos import faults
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import start_environment
from pytest_finchaos.faults.injector import arm
folder = Path(sys.argv[1])
spec = load_configuration(folder / "finchaos.toml").environments["tiny"]
environment = start_environment(spec, directory=folder / "run", run_id="x-0000")
edge = environment.edge("api", "store")
arm(faults.Latency(edge, latency_ms=50), environment=environment, injection_id="1-latency")
arm(faults.Down(edge), environment=environment, injection_id="2-down")
print(environment.id, flush=True)
threading.Event().wait(600)
"""


def test_sigkill_of_the_holder_undoes_every_fault_and_ends_nothing_of_the_system(
    system: OwnSystem, tmp_path: Path
) -> None:
    (tmp_path / "finchaos.toml").write_text(system.configuration())
    before = system.proxy.proxies()
    words = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as owner:
        assert owner.stdout is not None
        identity = owner.stdout.readline().strip()
        assert identity
        state = system.proxy.proxy(LINK)
        assert (len(state.toxics), state.enabled) == (2, False)
        owner.send_signal(signal.SIGKILL)
    wait_for(
        lambda: True if (now := system.proxy.proxies()) == before else Not(str(now[LINK])),
        what="the faults to be undone",
        within_s=15,
    )
    wait_for(
        lambda: Not(str(left)) if (left := tagged.pids_of(identity)) else True, what="no process left", within_s=15
    )
    assert system.runs()


DRILL = """
from pytest_finchaos import environment_fixture, faults
system = environment_fixture("tiny", scope="module")

def test_slow_store(system, drill):
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1.5)
        with drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=80)) as slow:
            traffic.hold(duration_s=1)
    assert slow.acted and slow.gone
    assert traffic.ok > 0

def test_after_a_reset(system, drill):
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1.5)
    assert traffic.ok > 0
"""
BARRED = """
from pytest_finchaos import environment_fixture, faults
system = environment_fixture("tiny")

def test_barred(system, drill):
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1)
        with drill.inject(faults.Latency(system.edge("store", "api"), latency_ms=80)):
            traffic.hold(duration_s=1)
"""


def test_whole_drills_on_an_attached_system(system: OwnSystem, tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, DRILL, system.configuration())
    assert code == 0, output
    assert [drill["verdict"] for drill in report["drills"]] == ["PASS", "PASS"]
    first = report["drills"][0]
    assert first["environment"]["backend"] == "attach"
    listed = {row["what"] if isinstance(row, dict) else row for row in first["not_checked"]}
    assert {"network faults on store → api", "reset of data"} <= listed
    assert toxics(system) == ["theirs"]
    assert system.runs()


def test_a_drill_that_disturbs_what_cannot_be_disturbed_fails_with_the_cure(system: OwnSystem, tmp_path: Path) -> None:
    code, output, _ = run_nested(tmp_path, BARRED, system.configuration())
    assert code == 1
    assert "edge store→api is not interceptable" in output
    assert 'proxy = "NAME"' in output


def test_a_second_run_waits_until_the_first_has_let_the_system_go(system: OwnSystem, tmp_path: Path) -> None:
    (tmp_path / "finchaos.toml").write_text(system.configuration())
    words = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as owner:
        assert owner.stdout is not None
        first = owner.stdout.readline().strip()
        timer = threading.Timer(1.0, owner.kill)  # the first run ends while the second waits
        timer.start()
        (tmp_path / "second").mkdir()
        with attached(tmp_path / "second", system.configuration()) as environment:
            waited = [event for event in environment.events() if event.kind == "waiting"]
            assert first in waited[0].text
            assert environment.verify_served() == (), "nothing of the first run's faults is left"
        timer.join()


def test_a_toxic_that_a_run_left_behind_is_told(
    system: OwnSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_proxies, "OTHERS_GO_S", 0.3)
    system.proxy.add_toxic(LINK, "finchaos-x-1-latency", "latency", "downstream", 1.0, {"latency": 1, "jitter": 0})
    try:
        with (
            pytest.raises(UserError, match=r"faults of another run to go.*store-link: finchaos-x-1-latency"),
            attached(tmp_path, system.configuration()),
        ):
            pass
    finally:
        system.proxy.remove_toxic(LINK, "finchaos-x-1-latency")


@pytest.mark.real_toxiproxy
def test_the_real_toxiproxy_of_a_system_is_found_disturbed_and_left_as_it_was(
    real_toxiproxy_server: str, tmp_path: Path
) -> None:
    with own_system(real_toxiproxy_server) as system:
        before = system.proxy.proxies()
        with attached(tmp_path, system.configuration()) as environment:
            fault = faults.Latency(environment.edge("api", "store"), latency_ms=150)
            armed = arm(fault, environment=environment, injection_id="1-latency")
            get(environment.base_url("api").removeprefix("http://"))
            assert armed.observe(5).seen, armed.result().evidence
            armed.disarm()
            assert armed.prove_gone(5).seen is False
            assert environment.verify_served() == ()
        assert system.proxy.proxies() == before


DATABASE = """
[environments.tiny]
backend = "attach"
allowed_hosts = ["127.0.0.1"]

[environments.tiny.components.db]
kind = "postgres"
address = "{address}"
database = "{database}"
ready = {{ within_s = 0.2 }}

[[environments.tiny.edges]]
source = "clients"
target = "db"
"""


def test_a_database_that_runs_already_is_attached_to(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with running(write_one(theirs)) as other:
        address = other.direct_address("db")
        with attached(tmp_path, DATABASE.format(address=address, database="payments")) as environment:
            assert environment.edge("clients", "db").protocol == "postgres"
            with psycopg.connect(environment.database_url("db")) as session:
                assert session.execute("select count(*) from t").fetchone() == (0,)
        with (
            pytest.raises(UserError, match='role "ledger" does not exist'),
            attached(tmp_path, DATABASE.format(address=address, database="ledger")),
        ):
            pass
        assert other.verify_served() == ()
