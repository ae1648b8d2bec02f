"""Systems that the harness does not start part by part: their configuration, and what is pure of their backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos import faults
from pytest_finchaos.environments import external, fingerprint, named_proxies, postgres_wire, stopping
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.named_proxies import NamedProxies
from pytest_finchaos.environments.plan import SystemPlan
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.client import ProxyState, ToxicState
from pytest_finchaos.proxy.undo import UndoFailed
from pytest_finchaos.runtime.undo import UndoJournal, UndoRecord
from tests.systems.nested import tiny_configuration
from tests.systems.own import ATTACH, COMMAND, OPERATIONS

ATTACHED = ATTACH.format(toxiproxy="http://127.0.0.1:8474", store="127.0.0.1:8081", api="127.0.0.1:8080") + OPERATIONS
COMMANDED = COMMAND + OPERATIONS


def load(folder: Path, text: str) -> EnvironmentSpec:
    path = folder / "finchaos.toml"
    path.write_text(text)
    return load_configuration(path).environments["tiny"]


def test_an_attached_system_is_read(tmp_path: Path) -> None:
    spec = load(tmp_path, ATTACHED)
    assert spec.backend == "attach"
    assert spec.toxiproxy == "http://127.0.0.1:8474"
    assert [edge.proxy for edge in spec.edges] == ["", "store-link", ""]
    store = spec.components["store"]
    assert (store.kind, store.address) == ("external", "127.0.0.1:8081")
    assert store.identity is not None
    assert (store.identity.http, store.identity.field) == ("/ready", "build")


def test_a_commanded_system_is_read_and_its_programs_stand_in_the_configurations_folder(tmp_path: Path) -> None:
    spec = load(tmp_path, COMMANDED)
    assert spec.start == (str(tmp_path / "up"), "{port.store}", "{port.api}", "{edge.api.store}")
    assert spec.stop[0] == str(tmp_path / "down")
    assert spec.stop_within_s == 20
    assert spec.variables == {"PYTHON": "{python}", "WORK": "{workdir}"}
    assert spec.components["api"].address == ""


WRONG = {
    "no address": ('address = "127.0.0.1:8081"\n', "", ["components.store", "needs an address", "HOST:PORT"]),
    "an address that is none": ('"127.0.0.1:8081"', '"8081"', ["components.store.address", "HOST:PORT"]),
    "a port that is none": ("127.0.0.1:8081", "127.0.0.1:70000", ["port 70000 is none"]),
    "a host that is not allowed": ("127.0.0.1:8081", "10.0.0.7:8081", ["host '10.0.0.7'", "allowed_hosts"]),
    "a Toxiproxy that is not allowed": ("http://127.0.0.1:8474", "http://10.0.0.7:8474", ["toxiproxy", "'10.0.0.7'"]),
    "a Toxiproxy that is no URL": ("http://127.0.0.1:8474", "127.0.0.1:8474", ["toxiproxy", "http://127.0.0.1:8474"]),
    "a start command": ("[environments.tiny.components.store]", 'start = ["x"]\n[environments.tiny.components.store]',
                        ["environments.tiny.start", "backend = 'command'"]),
    "a component with a command": ('address = "127.0.0.1:8081"', 'address = "127.0.0.1:8081"\ncommand = ["x"]',
                                   ["components.store.command", "backend = 'processes'"]),
    "a component that is restarted": ('address = "127.0.0.1:8081"', 'address = "127.0.0.1:8081"\nrestart = "always"',
                                      ["components.store.restart", "an attached one cannot"]),
    "a kind that is started": ('address = "127.0.0.1:8081"', 'address = "127.0.0.1:8081"\nkind = "process"',
                               ["components.store.kind", "external, postgres"]),
    "fields without a path": ('ready = { http = "/ready", within_s = 3 }', 'ready = { fields = { a = "b" } }',
                              ["components.store.ready.fields", "HTTP answer"]),
    "an identity without a path": ('identity = { http = "/ready", field', "identity = { field", ["missing: http"]),
    "a misspelt proxy key": ('proxy = "store-link"', 'proxi = "store-link"', ["did you mean 'proxy'"]),
    "a database that is none": ('address = "127.0.0.1:8081"', 'address = "127.0.0.1:8081"\ndatabase = "x"',
                                ["components.store.database", "kind = 'postgres'"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_in_an_attached_system_is_told(name: str, tmp_path: Path) -> None:
    right, wrong, told = WRONG[name]
    assert right in ATTACHED
    with pytest.raises(UserError) as caught:
        load(tmp_path, ATTACHED.replace(right, wrong, 1))
    for part in told:
        assert part in str(caught.value)


WRONG_COMMAND = {
    "no start": ('start = ["./up", "{port.store}", "{port.api}", "{edge.api.store}"]\n', "", ["needs start"]),
    "a port of nobody": ("{port.api}", "{port.apy}", ["start.2", "did you mean '{port.api}'"]),
    "an edge of nobody": ("{edge.api.store}", "{edge.store.api}", ["start.3", "{edge.api.store}"]),
    "lone brace": ("{port.api}", "{port.api", ["start.2", "plain braces"]),
    "in a variable": ('"{workdir}"', '"{workdri}"', ["variables.WORK", "did you mean '{workdir}'"]),
    "in the stop command": ('"./down", "{port.store}"', '"./down", "{port}"', ["stop.1", "unknown placeholder"]),
    "loopback missing": ('["127.0.0.1"]', '["10.0.0.7"]', ["fault proxies listen and components without an address"]),
}


@pytest.mark.parametrize("name", WRONG_COMMAND)
def test_a_mistake_in_a_commanded_system_is_told(name: str, tmp_path: Path) -> None:
    right, wrong, told = WRONG_COMMAND[name]
    assert right in COMMANDED
    with pytest.raises(UserError) as caught:
        load(tmp_path, COMMANDED.replace(right, wrong, 1))
    for part in told:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('restart = "always"', 'restart = "always"\naddress = "127.0.0.1:1"', "components.store.address"),
        ('target = "store"', 'target = "store"\nproxy = "x"', "edges.1.proxy"),
        ('backend = "processes"', 'backend = "processes"\ntoxiproxy = "http://127.0.0.1:1"', "tiny.toxiproxy"),
        ('backend = "processes"', 'backend = "processes"\nstop = ["x"]', "tiny.stop"),
        ('restart = "always"', 'restart = "always"\nkind = "external"', "components.store.kind"),
        ('restart = "always"', 'restart = "always"\nversion = "2"', "components.store.version"),
    ],
)
def test_keys_of_external_systems_are_refused_where_the_harness_starts_everything(
    right: str, wrong: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        load(tmp_path, tiny_configuration().replace(right, wrong, 1))


def test_a_component_is_its_first_version_unless_it_says_which(tmp_path: Path) -> None:
    versions = """
[environments.tiny.components.api.versions."1.0"]
variables = { OLD = "1" }
[environments.tiny.components.api.versions."1.1"]
variables = { NEW = "1" }
"""
    first = load(tmp_path, tiny_configuration() + versions).components["api"]
    assert (first.version, dict(first.variables)) == ("1.0", {"OLD": "1"})
    told = tiny_configuration().replace(
        "[environments.tiny.components.api]", '[environments.tiny.components.api]\nversion = "1.1"'
    )
    second = load(tmp_path, told + versions).components["api"]
    assert (second.version, dict(second.variables)) == ("1.1", {"NEW": "1"}), "nothing of 1.0 gets into it"


def test_the_fingerprint_moves_with_what_is_told_and_with_what_the_commands_name(tmp_path: Path) -> None:
    spec = load(tmp_path, COMMANDED.replace('"./up", ', '"./up", "settings.ini", '))
    settings = tmp_path / "settings.ini"
    settings.write_text("a = 1")
    before = fingerprint.system_digest(spec, None)
    assert fingerprint.system_digest(spec, None) == before
    settings.write_text("a = 2")
    assert fingerprint.system_digest(spec, None) != before
    store = spec.components["store"]
    assert fingerprint.external_digest(store, "one") == fingerprint.external_digest(store, "one")
    assert fingerprint.external_digest(store, "one") != fingerprint.external_digest(store, "two")


def test_a_host_outside_is_refused_again_before_it_is_contacted(tmp_path: Path) -> None:
    spec = load(tmp_path, ATTACHED)
    external.refuse_host("127.0.0.1:1", spec, "here")
    with pytest.raises(UserError, match=r"host '10\.0\.0\.7' is not among the allowed hosts"):
        external.refuse_host("10.0.0.7:8080", spec, "here")


@pytest.mark.parametrize(
    ("url", "listen", "reached"),
    [
        ("http://127.0.0.1:8474", "127.0.0.1:6000", "127.0.0.1:6000"),
        ("http://127.0.0.1:8474", "[::]:6000", "127.0.0.1:6000"),
        ("http://toxiproxy:8474", "0.0.0.0:6000", "toxiproxy:6000"),
        ("http://toxiproxy:8474", "127.0.0.1:6000", "toxiproxy:6000"),
        ("http://toxiproxy:8474", "10.0.0.7:6000", "10.0.0.7:6000"),
    ],
)
def test_a_proxy_is_reached_at_its_servers_host_when_it_listens_everywhere(
    url: str, listen: str, reached: str, tmp_path: Path
) -> None:
    found = NamedProxies(url, load(tmp_path, ATTACHED), UndoJournal(tmp_path / "undo.jsonl"))
    assert found._reached(ProxyState("store-link", listen, "store:1", enabled=True)) == reached


def test_what_somebody_changed_on_a_named_proxy_is_told_and_nothing_else() -> None:
    theirs = ToxicState("theirs", "latency", "downstream", 1.0)
    before = ProxyState("link", "127.0.0.1:1", "127.0.0.1:2", enabled=True, toxics=(theirs,))
    assert named_proxies._changes("link", before, before) == []
    assert "is gone" in named_proxies._changes("link", before, None)[0]
    moved = ProxyState("link", "127.0.0.1:1", "127.0.0.1:3", enabled=False)
    assert len(named_proxies._changes("link", before, moved)) == 3


def test_a_network_fault_on_an_edge_without_a_proxy_is_refused_with_the_cure() -> None:
    barred = Edge("e", "a", "b", "", "", "127.0.0.1:1", "127.0.0.1:1", "http", not_interceptable="it has no proxy")
    for make in (lambda: faults.Latency(barred, 50), lambda: faults.Down(barred)):
        with pytest.raises(UserError, match="edge a→b is not interceptable: it has no proxy") as caught:
            make()
        assert 'proxy = "NAME"' in str(caught.value)


def plan_of(folder: Path, *stop: str, within_s: float = 10.0) -> SystemPlan:
    return SystemPlan(("true",), stop, {"PATH": "/usr/bin:/bin"}, str(folder), str(folder / "log"), within_s)


def test_the_stop_command_stands_in_the_journal_for_its_owner_alone(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path / "undo.jsonl")
    stopping.intend(journal, plan_of(tmp_path))
    assert journal.pending() == (), "nothing to run, nothing to undo"
    stopping.intend(journal, plan_of(tmp_path, "down"))
    (record,) = journal.pending()
    assert record.kind == stopping.KIND
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_a_malformed_stop_record_is_told(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path / "undo.jsonl")
    journal.intend("remove-toxic", {})
    with pytest.raises(UndoFailed, match="malformed"):
        stopping.carry_out(UndoRecord("x", stopping.KIND, {"system": {"start": 1}}), journal)


WELCOME, QUESTION = b"R\0\0\0\x08\0\0\0\0", b"R\0\0\0\x08\0\0\0\x05"
STATUS = b"S\0\0\0\x08a\0b\0"
ERROR = b"E\0\0\0\x16SFATAL\0Mno role x\0\0"


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        (QUESTION, ""),
        (WELCOME + STATUS, ""),
        (WELCOME, None),
        (WELCOME + STATUS[:4], None),
        (b"", None),
        (ERROR, "no role x"),
        (WELCOME + ERROR, "no role x"),
        (b"HTTP/1.1 400 Bad Request", "no PostgreSQL answers there"),
    ],
)
def test_a_database_is_ready_only_when_it_gives_a_session_or_asks_for_a_password(
    answer: bytes, means: str | None
) -> None:
    assert postgres_wire.judge(answer) == means
