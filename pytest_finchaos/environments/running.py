"""One component under the supervisor: its data made, started, ended, started again."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path

from pytest_finchaos.environments import listeners, readiness, shared_memory, tagged
from pytest_finchaos.environments.folders import copy_command, manifest, restore
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.model.topology import Instance
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

_PR_SET_PDEATHSIG = 1
MAX_RESTARTS = 20
RESTARTS_WINDOW_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
STOP_WITHIN_S = 5.0
_LIBC = ctypes.CDLL(None)


class Running:
    """State of one component.

    Args:
        plan: What to start.
        environment: Variables of a process that makes its data, tag included.
        clock: The clock.
    """

    def __init__(self, plan: ComponentPlan, environment: dict[str, str], clock: Clock) -> None:
        self.plan = plan
        self._variables = environment
        self._clock = clock
        self.process: subprocess.Popen[bytes] | None = None
        self.preparing: subprocess.Popen[bytes] | None = None
        self.handle: int | None = None  # pidfd of the root process, so that its end wakes the supervisor
        self.instance = ""
        self.ready_at_ns = 0
        self.started_ns = 0
        self.restart_at_ns = 0  # 0: none is due
        self.deaths = 0  # in a row, without having been ready
        self._starts: deque[int] = deque()
        self.last_seen = "not started"
        self.exit_text = ""

    @property
    def name(self) -> str:
        """Component name."""
        return self.plan.name

    @property
    def alive(self) -> bool:
        """True while its root process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def ready(self) -> bool:
        """True once the running process was seen ready."""
        return self.ready_at_ns > 0 and self.alive

    @property
    def settled(self) -> bool:
        """True when nothing has to be looked for: it is ready, or it is down and stays down."""
        return self.ready or not (self.alive or self.preparing or self.restart_at_ns)

    def start(self) -> bool:
        """Start a new instance.

        Returns:
            False when a database's data is made first; `data_is_made` says when, then call again.

        Raises:
            OSError: The command cannot be run.
        """
        self.restart_at_ns = 0
        if self.plan.template is not None and not Path(self.plan.workdir).exists():
            if self.preparing is None:
                self._make_data()
            return False
        self._spawn()
        return True

    def _make_data(self) -> None:
        """Clone the template, in a process of its own; make it before when it is missing."""
        plan = self.plan
        assert plan.template is not None
        new = Path(f"{plan.workdir}.new")
        shutil.rmtree(new, ignore_errors=True)
        words = [sys.executable, "-m", "pytest_finchaos.environments.template", plan.recipe, str(new)]
        if Path(plan.template).exists():
            words = copy_command(Path(plan.template), new)
        self.last_seen = "its data directory is being made"
        with Path(plan.log).open("ab") as log:
            self.preparing = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self._variables,
                start_new_session=True,
                preexec_fn=die_with_supervisor,  # noqa: PLW1509 - no threads here
            )

    def data_is_made(self) -> bool | None:
        """True when the data directory was just made, False when that failed, None while there is nothing to say."""
        if self.preparing is None or (code := self.preparing.poll()) is None:
            return None
        self.preparing = None
        if code != 0:
            self.exit_text = f"has no data directory: making it failed with status {code}"
            return False
        Path(f"{self.plan.workdir}.new").rename(self.plan.workdir)
        return True

    def _spawn(self) -> None:
        plan = self.plan
        self.instance = f"{(plan.build or 'unbuilt')[:12]}-{secrets.token_hex(4)}"
        self.ready_at_ns = 0
        self.started_ns = self._clock.now_ns()
        self._starts.append(self.started_ns)
        if plan.template is not None:
            self._clear_stale_lock()
        with Path(plan.log).open("ab") as log:
            self.process = subprocess.Popen(
                plan.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=plan.workdir if plan.template is None else "/",
                env={**plan.variables, tagged.INSTANCE: self.instance},
                start_new_session=True,
                preexec_fn=die_with_supervisor,  # noqa: PLW1509 - no threads here
                user=plan.owner[0] if plan.owner else None,
                group=plan.owner[1] if plan.owner else None,
                extra_groups=[] if plan.owner else None,
            )
        self.handle = os.pidfd_open(self.process.pid)
        self.last_seen = "started, not listening"

    def _clear_stale_lock(self) -> None:
        """Remove a ``postmaster.pid`` whose number somebody else has now; PostgreSQL removes any other itself."""
        lock = Path(self.plan.workdir, "postmaster.pid")
        try:
            pid = int(lock.read_text().splitlines()[0])
        except (OSError, IndexError, ValueError):
            return
        if tagged.start_ticks(pid) is not None:  # all of ours are gone, see stop()
            shared_memory.release(Path(self.plan.workdir))
            lock.unlink(missing_ok=True)

    def check_ready(self) -> bool:
        """One look: listens itself, answers, says what it should say. ``last_seen`` tells what was missing."""
        if not self.alive or self.process is None:
            self.last_seen = self.exit_text or self.last_seen
            return False
        problem = readiness.problem(self.plan, self.process.pid)
        if problem is not None:
            self.last_seen = problem
            return False
        if not self.ready_at_ns:
            self.ready_at_ns = self._clock.now_ns()
            self.deaths = 0
        return True

    def ended(self) -> int | None:
        """Exit status of a root process that has ended by itself; the rest of it is ended too."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.exit_text = exit_text(code)
        self.deaths = 0 if self.ready_at_ns else self.deaths + 1
        self.stop()
        return code

    def plan_restart(self) -> bool:
        """Decide whether and when a dead component is started again.

        Returns:
            False when it has used up its restarts.
        """
        now_ns = self._clock.now_ns()
        while self._starts and now_ns - self._starts[0] > RESTARTS_WINDOW_S * NS_PER_S:
            self._starts.popleft()
        if len(self._starts) > MAX_RESTARTS:
            return False
        pause_s = min(FIRST_PAUSE_S * 2.0 ** max(0, self.deaths - 1), LONGEST_PAUSE_S)
        self.restart_at_ns = now_ns + int(pause_s * NS_PER_S)
        return True

    def forgive(self) -> None:
        """Forget past deaths: somebody asked for a start."""
        self._starts.clear()
        self.deaths = 0
        self.exit_text = ""

    def port_is_drained(self) -> bool:
        """True when nobody listens on its port."""
        return not listeners.inodes_on(self.plan.port)

    def members(self) -> tuple[int, ...]:
        """Every living process of it, its root first: descendants, bearers of its tag, whatever works in its folder."""
        root = () if self.process is None else tagged.tree_of(self.process.pid)
        marked = tagged.pids_of_instance(self.instance, Path(self.plan.workdir)) if self.instance else []
        return tuple(dict.fromkeys([*root, *marked]))

    def stop(self, within_s: float = STOP_WITHIN_S) -> tuple[int, ...]:
        """SIGKILL to all of it, and wait until all is gone: PostgreSQL's children hold its lock and its memory.

        Returns:
            Pids that were still there at the deadline.
        """
        if self.preparing is not None:
            self.preparing.kill()
            self.preparing.wait()
            self.preparing = None
        left = tuple(tagged.kill_found(self.members, within_s))
        if self.process is not None and not left:
            self.process.wait()
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None
        self.process = None
        self.restart_at_ns = 0
        return left

    def renew_data(self) -> None:
        """As before the first start: a database equals its template, another component finds an empty folder."""
        workdir = Path(self.plan.workdir)
        shutil.rmtree(f"{workdir}.new", ignore_errors=True)
        if self.plan.template is None:
            shutil.rmtree(workdir, ignore_errors=True)
            workdir.mkdir(mode=0o755, parents=True, exist_ok=True)
            return
        shared_memory.release(workdir)
        if not workdir.exists():
            return
        template = Path(self.plan.template)
        try:
            restore(template, workdir)
            equal = manifest(workdir) == manifest(template)
        except OSError:
            equal = False
        if not equal:
            shutil.rmtree(workdir, ignore_errors=True)  # then it is cloned

    def kill(self) -> None:
        """SIGKILL to all of it; `stop` waits for the end."""
        for pid in self.members():
            tagged.send(pid, signal.SIGKILL)

    def to_instance(self) -> Instance:
        """What runs now."""
        assert self.process is not None
        ticks = tagged.start_ticks(self.process.pid) or 0
        address = f"127.0.0.1:{self.plan.port}"
        return Instance(self.name, self.instance, self.process.pid, ticks, self.plan.build, address, self.ready_at_ns)


def exit_text(code: int) -> str:
    """How a process ended, as the end of a sentence."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name
        name = "no name"
    return f"ended by signal {-code} ({name})"


def die_with_supervisor() -> None:
    """For ``preexec_fn``: SIGKILL when the supervisor ends; only from its main thread."""
    parent = os.getppid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died between fork and prctl
        os._exit(1)
