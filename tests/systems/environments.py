"""Environments of tests: a configuration written, started, and looked for on the machine afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments import janitor, tagged
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import Environment, start_environment
from pytest_finchaos.runtime.waiting import Not, wait_for

RUN = "20260101T000000-0000"
GONE_WITHIN_S = 10.0

# One process and one database; WEB is a command that serves.
ONE = """
[environments.one]
backend = "processes"
allowed_hosts = ["127.0.0.1"]

[environments.one.components.db]
kind = "postgres"
schema = "schema.sql"
restart = "always"
settings = {{ fsync = "off" }}

[environments.one.components.web]
command = {command}
ready = {{ http = "/", within_s = 20 }}
restart = "{restart}"

[[environments.one.edges]]
source = "clients"
target = "web"
"""
SERVE = '["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]'

# Starts the environment of finchaos.toml, keeps a backend busy that never looks up, says its id, waits to be killed.
OWNER = """
import sys, threading
from pathlib import Path
import psycopg
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import start_environment
folder = Path(sys.argv[1])
spec = load_configuration(folder / "finchaos.toml").environments["one"]
environment = start_environment(spec, directory=folder / "run", run_id="x-0000")
session = psycopg.connect(environment.database_url("db"), autocommit=True)
busy = session.execute("select pg_backend_pid()").fetchone()[0]
spin = "do $$ begin loop perform 1; end loop; end $$"
threading.Thread(target=session.execute, args=(spin,), daemon=True).start()
print(environment.id, environment._control.pid, busy, flush=True)
threading.Event().wait(600)
"""


def write_one(
    folder: Path, *, command: str = SERVE, restart: str = "always", schema: str = "create table t (n int)"
) -> Path:
    """``finchaos.toml`` and ``schema.sql`` of environment ``one``."""
    (folder / "schema.sql").write_text(schema)
    path = folder / "finchaos.toml"
    path.write_text(ONE.format(command=command, restart=restart))
    return path


@contextmanager
def running(path: Path, name: str = "one") -> Iterator[Environment]:
    """The environment ``name`` of a configuration, closed at the end."""
    spec = load_configuration(path).environments[name]
    environment = start_environment(spec, directory=path.parent / "run", run_id=RUN)
    try:
        yield environment
    finally:
        environment.close()


@dataclass(frozen=True)
class Owner:
    """A process that owns an environment, to be killed.

    Args:
        process: It.
        id: Environment id.
        supervisor: Pid of its supervisor.
        busy: Pid of a database backend in an endless loop.
    """

    process: subprocess.Popen[str]
    id: str
    supervisor: int
    busy: int


def start_owner(folder: Path) -> Owner:
    """A process that started environment ``one`` of ``folder``; whoever calls kills it."""
    process = owner_process(folder)
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert len(words) == 3, (folder / "owner.log").read_text()
    return Owner(process, words[0], int(words[1]), int(words[2]))


def owner_process(folder: Path) -> subprocess.Popen[str]:
    """The process alone, not waited for."""
    with (folder / "owner.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=dict(os.environ),
        )


def data_of(environment: str) -> Path:
    """Where the data directory of an environment is, or was."""
    return janitor.environments_folder() / environment


def traces(environment: str) -> str:
    """Everything of one environment that is on this machine, in words; "" when nothing is."""
    data = data_of(environment)
    parts = [f"process {pid}" for pid in tagged.pids_of(environment, data)]
    return ", ".join([*parts, *([f"folder {data}"] if data.exists() else [])])


def wait_until_gone(environment: str) -> None:
    """Until nothing of it is left.

    Raises:
        Waited: Something was, after ten seconds.
    """
    wait_for(
        lambda: Not(rest) if (rest := traces(environment)) else True,
        what=f"every trace of {environment} to be gone",
        within_s=GONE_WITHIN_S,
        every_s=0.05,
    )
