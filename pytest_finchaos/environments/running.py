"""One component under the supervisor: started, ready, ended, started again."""

from __future__ import annotations

import ctypes
import http.client
import json
import resource
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import listeners, tagged
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.model.topology import Instance
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

_PR_SET_PDEATHSIG = 1
_LOG_LIMIT_BYTES = 256 * 1024 * 1024  # of any file that a process component writes
PROBE_LIMIT_S = 0.5
MAX_RESTARTS = 20
_LIBC = ctypes.CDLL(None)


class Running:
    """State of one component.

    Args:
        plan: What to start.
        clock: The clock.
    """

    def __init__(self, plan: ComponentPlan, clock: Clock) -> None:
        self.plan = plan
        self._clock = clock
        self.process: subprocess.Popen[bytes] | None = None
        self.instance = ""
        self.ready_at_ns = 0
        self.started_ns = 0
        self.starts = 0
        self.last_seen = "not started"
        self.exit_text = ""

    @property
    def ready(self) -> bool:
        """True once the running process was seen ready."""
        return self.alive and self.ready_at_ns > 0

    @property
    def alive(self) -> bool:
        """True while its root process runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start a new instance; a postgres component gets its data cloned when it has none."""
        plan = self.plan
        self.instance = f"{(plan.build or 'unbuilt')[:12]}-{secrets.token_hex(4)}"
        self.ready_at_ns = 0
        self.starts += 1
        self.started_ns = self._clock.now_ns()
        if plan.template is not None and not Path(plan.workdir, "PG_VERSION").exists():
            shutil.rmtree(plan.workdir, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", plan.template, plan.workdir], check=True, timeout=120)
        Path(plan.workdir, "postmaster.pid").unlink(missing_ok=True)  # left by a kill -9; its owner is gone, see stop()
        with Path(plan.log).open("ab") as log:
            self.process = subprocess.Popen(
                plan.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=plan.workdir if plan.template is None else "/",
                env={**plan.variables, "FINCHAOS_INSTANCE": self.instance},
                start_new_session=True,
                preexec_fn=_bound if plan.template is None else _die_with_supervisor,  # noqa: PLW1509 - no threads here
                user=plan.owner[0] if plan.owner else None,
                group=plan.owner[1] if plan.owner else None,
                extra_groups=[] if plan.owner else None,
            )
        self.last_seen = "started, not listening"

    def check_ready(self) -> bool:
        """One look: listens itself, answers, says what it should say. ``last_seen`` tells what was missing."""
        if not self.alive or self.process is None:
            self.last_seen = self.exit_text or "not running"
            return False
        problem = self.problem()
        if problem is None:
            if not self.ready_at_ns:
                self.ready_at_ns = self._clock.now_ns()
            return True
        self.last_seen = problem
        return False

    def problem(self) -> str | None:
        """Why the component is not the one that should serve, or None."""
        assert self.process is not None
        owned = listeners.owned_by(self.plan.port, tagged.tree_of(self.process.pid))
        if owned is None:
            return f"nobody listens on port {self.plan.port}"
        if not owned:
            owner = listeners.describe_owner(self.plan.port)
            return f"port {self.plan.port} belongs to {owner}, not to the process that was started ({self.process.pid})"
        if self.plan.kind == "postgres":
            return None if postgres_answers(self.plan.port) else "PostgreSQL does not accept sessions yet"
        if self.plan.ready_http is None:
            return None
        return self._http_problem(self.plan.ready_http)

    def _http_problem(self, path: str) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.plan.port, timeout=PROBE_LIMIT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read(100_000)
        except (OSError, http.client.HTTPException) as error:
            return f"GET {path}: {error or type(error).__name__}"
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            return f"GET {path}: status {response.status}: {body[:200].decode(errors='replace')}"
        return self._field_problem(path, body)

    def _field_problem(self, path: str, body: bytes) -> str | None:
        if not self.plan.ready_fields:
            return None
        try:
            told = json.loads(body)
        except ValueError:
            return f"GET {path}: the body is no JSON, fields {', '.join(self.plan.ready_fields)} are expected"
        assert self.process is not None
        known = {"{pid}": str(self.process.pid), "{build_digest}": self.plan.build}
        for field, wanted in self.plan.ready_fields.items():
            expected = known.get(wanted, wanted)
            got = _dig(told, field)
            if str(got) != expected:
                return f"GET {path}: {field} is {got!r}, expected {expected!r}: another build or process serves here"
        return None

    def stop(self, within_s: float = 5.0) -> None:
        """SIGKILL to the whole tree, and wait until all of it is gone: PostgreSQL's children hold its lock."""
        if self.process is None:
            return
        pids = tagged.tree_of(self.process.pid)
        deadline_ns = self._clock.now_ns() + int(within_s * NS_PER_S)
        for pid in pids:
            tagged.send(pid, signal.SIGCONT)
            tagged.send(pid, signal.SIGKILL)
        self.process.wait()
        while any(_lives(pid) for pid in pids) and self._clock.now_ns() < deadline_ns:
            tagged.reap()
            self._clock.sleep_s(0.002)
        self.process = None

    def to_instance(self) -> Instance:
        """What runs now."""
        assert self.process is not None
        ticks = tagged.start_ticks(self.process.pid) or 0
        address = f"127.0.0.1:{self.plan.port}"
        return Instance(
            self.plan.name, self.instance, self.process.pid, ticks, self.plan.build, address, self.ready_at_ns
        )


def _lives(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def _die_with_supervisor() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound() -> None:
    _die_with_supervisor()
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LOG_LIMIT_BYTES, _LOG_LIMIT_BYTES))


def postgres_answers(port: int) -> bool:
    """True when a start-up packet on 127.0.0.1:``port`` is answered with a session (protocol 3.0)."""
    import socket

    body = b"\x00\x03\x00\x00user\0finchaos\0database\0postgres\0\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROBE_LIMIT_S) as link:
            link.sendall((len(body) + 4).to_bytes(4) + body)
            return link.recv(1) == b"R"  # authentication request; an error would begin with E
    except OSError:
        return False


def _dig(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def empty(folder: Path) -> None:
    """Remove everything in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
