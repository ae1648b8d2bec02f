"""Environments of real processes: ready, right, reset, gone."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pytest_finchaos.environments import janitor, listeners, tagged
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import Environment, start_environment
from pytest_finchaos.environments.planning import Prepared
from pytest_finchaos.environments.processes import ProcessesBackend
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.proxy.client import ToxiproxyClient
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.environments import SERVE, write_one
from tests.systems.nested import SYSTEMS, tiny_configuration

RUN = "20260101T000000-0000"

DATABASE = """
[environments.tiny.components.ledger]
kind = "postgres"
schema = "schema.sql"
restart = "always"
settings = { fsync = "off" }
"""


@contextmanager
def running(folder: Path, text: str = "") -> Iterator[Environment]:
    path = folder / "finchaos.toml"
    path.write_text(text or tiny_configuration())
    spec = load_configuration(path).environments["tiny"]
    environment = start_environment(spec, directory=folder / "run", run_id=RUN)
    try:
        yield environment
    finally:
        environment.close()


def get(address: str, path: str = "/ready") -> int:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
        return int(answer.status)


def test_components_are_ready_behind_their_proxies_and_nothing_is_left_afterwards(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        assert get(environment.edge("clients", "api").listen) == 200
        assert get(environment.direct_address("store")) == 200
        assert environment.verify_served() == ()
        assert {event.kind for event in environment.events()} >= {"component-started", "component-ready"}
        pids = tagged.pids_of(environment.id)
        ports = [int(environment.direct_address(name).rpartition(":")[2]) for name in ("api", "store")]
        data = janitor.environments_folder() / environment.id
        assert len(pids) >= 3
        assert data.exists()
    assert tagged.pids_of(environment.id) == []
    assert all(not listeners.inodes_on(port) for port in ports)
    assert not data.exists()


def test_a_component_that_died_is_started_again_as_declared(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        before = environment.instance("store")
        assert tagged.send(before.pid, signal.SIGKILL, started_ticks=before.started_ticks)
        after = wait_for(
            lambda: (
                found
                if (found := environment.instances().get("store")) and found.pid != before.pid and found.ready_at_ns
                else Not(str(environment.instances()))
            ),
            what="store to be started again",
            within_s=20,
        )
        assert after.instance != before.instance
        assert after.address == before.address
        assert any(event.kind == "component-exited" and "SIGKILL" in event.text for event in environment.events())


def test_what_is_declared_to_stay_dead_is_started_by_healing_only(tmp_path: Path) -> None:
    with running(tmp_path, tiny_configuration().replace('restart = "always"', 'restart = "never"')) as environment:
        before = environment.instance("store")
        tagged.send(before.pid, signal.SIGKILL)
        wait_for(
            lambda: True if "store" not in environment.instances() else Not("still there"),
            what="store to be gone",
            within_s=10,
        )
        environment.heal(20)
        assert environment.instance("store").pid != before.pid


def test_a_server_of_another_build_is_found(tmp_path: Path) -> None:
    text = tiny_configuration((("STALE", "on"),)).replace("within_s = 20", "within_s = 1")
    with pytest.raises(UserError, match="another build or process serves here"), running(tmp_path, text):
        pass


def test_a_foreign_listener_on_the_port_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        port = int(environment.direct_address("store").rpartition(":")[2])
        instance = environment.instance("store")
        tagged.send(instance.pid, signal.SIGSTOP)  # alive, so that it is not restarted, and we take over its role
        assert listeners.owned_by(port, [instance.pid]) is True
        assert listeners.owned_by(port, [os.getpid()]) is False
        assert str(instance.pid) in listeners.describe_owner(port)
        tagged.send(instance.pid, signal.SIGCONT)
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        assert f"process {os.getpid()}" in listeners.describe_owner(ours.getsockname()[1])


def test_a_build_that_is_changed_while_it_serves_is_found(tmp_path: Path) -> None:
    own = tmp_path / "tiny.py"  # nobody else has this build, so that nobody else mends it
    own.write_text(f"{(SYSTEMS / 'tiny.py').read_text()}\n# {tmp_path}\n")
    with running(tmp_path, tiny_configuration().replace(str(SYSTEMS / "tiny.py"), str(own))) as environment:
        build = _prepared(environment)["api"].build.folder
        assert build is not None
        file = build / "tiny.py"
        content = file.read_text()
        file.chmod(0o644)
        try:
            file.write_text(content + "\n# changed\n")
            assert any("was changed while it served" in problem for problem in environment.verify_served())
        finally:
            file.write_text(content)
            file.chmod(0o444)
        assert environment.verify_served() == ()


def test_two_starts_have_one_fingerprint_and_another_declaration_another(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        pass
    with running(tmp_path) as second:
        pass
    changed = tiny_configuration().replace('restart = "always"', 'variables = { A = "1" }\nrestart = "always"')
    with running(tmp_path, changed) as third:
        pass
    assert first.fingerprint == second.fingerprint != third.fingerprint


def test_a_reset_gives_a_clean_database_new_processes_and_the_same_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text("create table t (n integer); insert into t values (1);")
    with running(tmp_path, tiny_configuration() + DATABASE) as environment:
        url = environment.database_url("ledger")
        before, print_before = environment.instances(), environment.fingerprint
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("insert into t values (2)")
        environment.reset()
        with psycopg.connect(url) as session:
            assert session.execute("select array_agg(n) from t").fetchone() == ([1],)
        after = environment.instances()
        assert all(before[name].pid != after[name].pid for name in before)
        assert environment.fingerprint == print_before
        assert any("fsync=off" in note for note in environment.notes)


def test_a_database_killed_with_its_children_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text("create table t (n integer);")
    with running(tmp_path, tiny_configuration() + DATABASE) as environment:
        with psycopg.connect(environment.database_url("ledger"), autocommit=True) as session:
            session.execute("insert into t values (7)")
        old = environment.instance("ledger")
        for pid in environment.processes("ledger"):
            tagged.send(pid, signal.SIGKILL)
        wait_for(
            lambda: (
                True
                if (now := environment.instances().get("ledger")) and now.pid != old.pid and now.ready_at_ns
                else Not("not back")
            ),
            what="the database to be back",
            within_s=30,
        )
        with psycopg.connect(environment.database_url("ledger")) as session:
            assert session.execute("select n from t").fetchone() == (7,)


def test_a_broken_schema_is_told_with_the_servers_words(tmp_path: Path) -> None:
    (tmp_path / "schema.sql").write_text("create tabel t (n integer);")
    with pytest.raises(UserError, match="tabel"), running(tmp_path, tiny_configuration() + DATABASE):
        pass


def test_a_component_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    text = tiny_configuration().replace('"store", "--port"', '"stoer", "--port"')
    with pytest.raises(UserError, match="invalid choice"), running(tmp_path, text):
        pass
    own = {path.name for path in tmp_path.glob("**/environments/*")}  # others may run beside this
    assert own
    assert own & set(tagged.all_tags()) == set()


def test_unknown_edges_and_components_are_told_with_a_suggestion(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        with pytest.raises(UserError, match="did you mean 'api→store'"):
            environment.edge("api", "stoer")
        with pytest.raises(UserError, match="did you mean 'store'"):
            environment.component("stoer")


def one(folder: Path, *, command: str = SERVE, restart: str = "always") -> str:
    """One component, no database."""
    text = write_one(folder, command=command, restart=restart).read_text()
    kept = [part for part in text.split("\n\n") if "components.db]" not in part]
    return "\n\n".join(kept).replace("environments.one", "environments.tiny")


def test_a_stale_server_on_the_port_is_found_and_named(tmp_path: Path) -> None:
    with running(tmp_path, one(tmp_path, restart="never")) as environment:
        port = int(environment.direct_address("web").rpartition(":")[2])
        tagged.send(environment.instance("web").pid, signal.SIGKILL)
        wait_for(lambda: Not("still there") if listeners.inodes_on(port) else True, what="a free port", within_s=10)
        with socket.socket() as stale:
            stale.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stale.bind(("127.0.0.1", port))
            stale.listen()
            with pytest.raises(UserError, match="is not ready"):
                environment.heal(3)
            assert environment.verify_served() != ()
            assert f"process {os.getpid()}" in listeners.describe_owner(port)


def test_a_component_whose_dependency_is_not_up_yet_is_started_again_while_booting(tmp_path: Path) -> None:
    second = (
        '["/bin/sh", "-c", "test -e seen || {{ touch seen; echo too early >&2; exit 3; }}; '
        'exec {python} -m http.server {port} --bind 127.0.0.1"]'
    )
    with running(tmp_path, one(tmp_path, command=second, restart="never")) as environment:
        ends = [event.text for event in environment.events() if event.kind == "component-exited"]
        assert ends == ["exited with status 3"]
        tagged.send(environment.instance("web").pid, signal.SIGKILL)
        wait_for(
            lambda: True if "web" not in environment.instances() else Not("still there"), what="its end", within_s=10
        )
        assert environment.events()[-1].kind == "component-exited", "declared to stay dead once it was ready"


def test_components_inherit_no_ignored_signals_and_none_of_the_callers_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLERS_SECRET", "s3cret")
    with running(tmp_path, one(tmp_path)) as environment:
        pid = environment.instance("web").pid
        status = Path(f"/proc/{pid}/status").read_text()
        ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn")).split()[1], 16)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            assert not ignored & (1 << (number - 1)), f"{number.name} is ignored: a shell could not trap it"
        for member in tagged.pids_of(environment.id):
            variables = Path(f"/proc/{member}/environ").read_bytes()
            assert b"s3cret" not in variables or member == environment._control.pid
        names = {line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if line}
    assert names == {
        *(b"PATH", b"HOME", b"TMPDIR", b"LANG", b"PYTHONDONTWRITEBYTECODE"),
        *(b"FINCHAOS_ENVIRONMENT", b"FINCHAOS_INSTANCE", b"FINCHAOS_BUILD", b"FINCHAOS_VERSION"),
    }


def test_a_daemon_of_a_component_ends_with_its_instance(tmp_path: Path) -> None:
    with running(tmp_path, tiny_configuration((("DAEMON", "on"),))) as environment:
        before = environment.instance("store")
        daemons = set(environment.processes("store")) - {before.pid}
        assert daemons, "double-forked, and still seen as the component's"
        tagged.send(before.pid, signal.SIGKILL)
        wait_for(
            lambda: (
                True
                if (now := environment.instances().get("store")) and now.pid != before.pid and now.ready_at_ns
                else Not("not back")
            ),
            what="store to be back",
            within_s=20,
        )
        assert not any(tagged.lives(pid) for pid in daemons)


def test_a_fault_proxy_that_died_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        port = int(environment.toxiproxy_url.rpartition(":")[2])
        proxy = next(pid for pid in tagged.pids_of(environment.id) if listeners.owned_by(port, [pid]))
        tagged.send(proxy, signal.SIGKILL)
        wait_for(lambda: Not("lives") if tagged.lives(proxy) else True, what="its end", within_s=10)
        problems = environment.verify_served()
        assert any("fault proxy does not run any more" in problem for problem in problems)


def test_an_edge_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        edge = environment.edge("api", "store")
        client = ToxiproxyClient(environment.toxiproxy_url)
        client.delete(edge.proxy)
        assert any("is gone" in problem for problem in environment.verify_served())
        client.create(edge.proxy, edge.listen, environment.direct_address("api"))
        assert any("its proxy leads from" in problem for problem in environment.verify_served())


def test_a_program_that_does_not_exist_is_told_before_anything_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="the caller's is not handed on"),
        running(tmp_path, one(tmp_path, command='["no-such-program"]')),
    ):
        pass


def test_an_environment_that_was_closed_says_so(tmp_path: Path) -> None:
    with running(tmp_path, one(tmp_path)) as environment:
        environment.close()
        environment.close()
        with pytest.raises(UserError, match="is closed"):
            environment.instances()


def test_a_sweep_removes_what_a_dead_supervisor_left(tmp_path: Path) -> None:
    with running(tmp_path) as environment:
        supervisor = environment._control.pid
        survivors = tagged.pids_of(environment.id)
        tagged.send(supervisor, signal.SIGKILL)
        wait_for(
            lambda: True if tagged.start_ticks(supervisor) is None or _zombie(supervisor) else Not("alive"),
            what="the supervisor to be dead",
            within_s=10,
        )
        assert survivors
        janitor.sweep()  # another run's may have been first
        assert tagged.pids_of(environment.id) == []
        assert not (janitor.environments_folder() / environment.id).exists()


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _prepared(environment: Environment) -> Mapping[str, Prepared]:
    assert isinstance(environment._backend, ProcessesBackend)
    return environment._backend.prepared
