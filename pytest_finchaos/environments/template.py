"""PostgreSQL's template data directory: made once, never changed, cloned for each environment.

Made by ``python -m pytest_finchaos.environments.template RECIPE CLONE``, a child of the supervisor, so that a SIGKILL
of pytest during initdb leaves nothing either.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments import postgres, postgres_wire
from pytest_finchaos.environments.folders import copy_command, manifest, passable
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.files import cache_directory, write_atomic
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

INITDB_LIMIT_S = 120.0
SERVES_WITHIN_S = 60.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a template is made of.

    Args:
        component: Whose it is, for messages.
        server: ``bin`` folder.
        version: As the server says.
        schema: SQL text that its owner runs.
        schema_name: Where the text came from.
        settings: Server settings.
        database: Name of the role and of the database that it owns.
        target: The template's folder; its name is the digest of all this.
        scratch: Where it is made; on the same file system.
    """

    component: str
    server: str
    version: str
    schema: str
    schema_name: str
    settings: Mapping[str, str]
    database: str
    target: str
    scratch: str


def recipe(server: postgres.Server, spec: ComponentSpec, scratch: Path) -> Recipe:
    """The recipe of a component's template.

    Raises:
        UserError: The schema file cannot be read.
    """
    where = f"component {spec.name}: schema"
    try:
        schema = "" if spec.schema is None else spec.schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            where, f"{spec.schema} cannot be read: {error}", cure="paths are relative to finchaos.toml"
        ) from None
    settings = postgres.settings_of(spec)
    facts = [server.version, str(server.folder), schema, settings, spec.database]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    root = passable(cache_directory() / "templates")
    return Recipe(
        component=spec.name,
        server=str(server.folder),
        version=server.version,
        schema=schema,
        schema_name=str(spec.schema),
        settings=settings,
        database=spec.database,
        target=str(root / key),
        scratch=str(scratch),
    )


def intact(target: Path) -> bool:
    """True when the template has every file as it was when it was made: name, size, mode, owner, time of change."""
    try:
        return manifest(target) == _manifest_file(target).read_text()
    except OSError:
        return False


def _manifest_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.manifest")


def discard_if_changed(target: Path) -> bool:
    """Remove a template that is not as it was made, so that the next one who wants it makes it again.

    Returns:
        True when there was one to remove.
    """
    if not target.exists() or intact(target):
        return False
    with _lock_file(target).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists() and not intact(target):
            shutil.rmtree(target, ignore_errors=True)
    return True


def _lock_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.lock")


def ensure(wanted: Recipe) -> None:
    """Make the template unless an intact one is there; others who want the same one wait for it.

    Raises:
        UserError: initdb, the settings or the schema failed; the server's words are in the message.
    """
    target = Path(wanted.target)
    with _lock_file(target).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if intact(target):
            return
        shutil.rmtree(target, ignore_errors=True)
        scratch = passable(Path(wanted.scratch))
        try:
            _make(wanted, scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _make(wanted: Recipe, scratch: Path, target: Path) -> None:
    data = scratch / "data"
    data.mkdir(mode=0o700)
    account = postgres.account()
    if account is not None:
        os.chown(data, *account)
    _run_initdb(wanted, data)
    with _serving(wanted, data, scratch / "log") as port:
        _load(port, wanted)
    (data / "postmaster.opts").unlink(missing_ok=True)  # names the place where the template was made
    write_atomic(_manifest_file(target), manifest(data))
    data.rename(target)


def _run_initdb(wanted: Recipe, data: Path) -> None:
    words = [f"{wanted.server}/initdb", "-D", str(data), "-U", postgres_wire.SUPERUSER, "-A", "trust"]
    words += ["--wal-segsize=1", "-E", "UTF8", "--locale=C", "--no-sync"]
    where = f"component {wanted.component}: {wanted.server}/initdb"
    try:
        subprocess.run(  # type: ignore[call-overload]  # user and group are keyword arguments of Popen
            words,
            capture_output=True,
            text=True,
            timeout=INITDB_LIMIT_S,
            check=True,
            cwd="/",
            env=_variables(),
            preexec_fn=_die_with_parent,
            **postgres.owner(),
        )
    except subprocess.CalledProcessError as error:
        raise UserError(where, f"failed: {str(error.stderr).strip()[-500:]}") from None
    except subprocess.TimeoutExpired:
        raise UserError(where, f"took longer than {INITDB_LIMIT_S:g} s") from None
    except OSError as error:
        raise UserError(where, f"cannot be run: {error}") from None


def _variables() -> dict[str, str]:
    """PostgreSQL's, and the tags of the environment that this is made for."""
    return {**postgres.VARIABLES, **{name: value for name, value in os.environ.items() if name.startswith("FINCHAOS_")}}


@contextmanager
def _serving(wanted: Recipe, data: Path, log: Path) -> Iterator[int]:
    where = f"component {wanted.component}: settings"
    ports = Ports()
    port = ports.claim()
    server = postgres.Server(Path(wanted.server), wanted.version, "")
    with log.open("wb") as output:
        process = subprocess.Popen(  # type: ignore[call-overload]  # as above
            postgres.argv(server, data, port, wanted.settings),
            stdout=output,
            stderr=output,
            cwd="/",
            env=_variables(),
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here
            **postgres.owner(),
        )

    def serves() -> bool | Not:
        if process.poll() is not None:
            raise UserError(where, f"PostgreSQL does not start with them: {_tail(log)}")
        return True if postgres_wire.accepts(port, 2.0) else Not(_tail(log))

    try:
        wait_for(serves, what="PostgreSQL to make its template", within_s=SERVES_WITHIN_S, every_s=0.02)
        yield port
    except Waited as error:
        raise UserError(where, str(error)) from None
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: the files are consistent
        process.wait(SERVES_WITHIN_S)
        ports.release()


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])[-500:]


def _load(port: int, wanted: Recipe) -> None:
    import psycopg
    from psycopg import sql

    def connect(user: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=port, user=user, dbname=database, autocommit=True, connect_timeout=10
        )

    name = sql.Identifier(wanted.database)
    with connect(postgres_wire.SUPERUSER, "postgres") as session:
        session.execute(sql.SQL("create role {} login").format(name))
        session.execute(sql.SQL("create database {} owner {}").format(name, name))
    try:
        with connect(wanted.database, wanted.database) as session:
            if wanted.schema.strip():
                session.execute(wanted.schema.encode())
        with connect(postgres_wire.SUPERUSER, "postgres") as session:
            session.execute("checkpoint")  # what is not replayed makes a clone's start quicker
    except psycopg.Error as error:
        raise UserError(f"component {wanted.component}: schema", f"{wanted.schema_name}: {error}") from None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Make the template when it is missing, then become the copy command. Exit code 2 with a message when it fails."""
    wanted = codec.loads(Recipe, Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        ensure(wanted)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    words = copy_command(Path(wanted.target), Path(sys.argv[2]))
    os.execvp(words[0], words)  # noqa: S606 - nothing is left to do here


if __name__ == "__main__":
    main()
