"""A system that commands start and stop, as the supervisor keeps it: the start command, and all that came of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import stopping, tagged
from pytest_finchaos.environments.plan import SystemPlan
from pytest_finchaos.environments.running import die_with_supervisor, exit_text
from pytest_finchaos.environments.tail import bound, tail

END_WITHIN_S = 10.0


class System:
    """One system.

    Args:
        plan: Its commands.
        environment: Environment id.
        directory: The environment's data directory.
    """

    def __init__(self, plan: SystemPlan, environment: str, directory: Path) -> None:
        self._plan, self._environment, self._directory = plan, environment, directory
        self._process: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        self._untold = False

    @property
    def pids(self) -> set[int]:
        """The start command, whose status is waited for here."""
        return set() if self._process is None else {self._process.pid}

    def start(self) -> None:
        """Run the start command, which may stay in the foreground or return; nothing is awaited.

        Raises:
            OSError: It cannot be run.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self._code = None
        with Path(self._plan.log).open("ab") as log:
            self._process = subprocess.Popen(
                self._plan.start,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._plan.folder,
                env=dict(self._plan.variables),
                start_new_session=True,
                preexec_fn=die_with_supervisor,  # noqa: PLW1509 - no threads here
            )
        self._untold = True

    def state(self) -> Mapping[str, Any]:
        """Whether the start command runs, how it ended (None: it did not), the end of its log."""
        self._poll()
        running = self._process is not None and self._code is None
        ended = "" if self._code is None else exit_text(self._code)
        return {"running": running, "code": self._code, "ended": ended, "log": tail(self._plan.log)}

    def look(self, known: Collection[int]) -> str:
        """Collect what ended, bound the log; how the start command ended is told once, else "".

        Args:
            known: Children whose status somebody else waits for.
        """
        self._poll()
        bound(self._plan.log)
        tagged.reap({*self.pids, *known})
        if self._code is None or not self._untold:
            return ""
        self._untold = False
        return exit_text(self._code)

    def _poll(self) -> None:
        if self._process is not None and self._code is None:
            self._code = self._process.poll()

    def stop(self, spare: Collection[int]) -> list[str]:
        """The stop command, then SIGKILL to what is left of the system.

        Args:
            spare: Processes of the environment that are not the system's: those of the fault proxy.

        Returns:
            What could not be done, in sentences.
        """
        problems = [problem] if (problem := stopping.run(self._plan)) else []
        left = tagged.kill_found(lambda: self._members(spare), END_WITHIN_S)
        if left:
            problems.append(f"processes {left} could not be ended")
        elif self._process is not None:
            self._process.wait()
            self._process = None
        self._code, self._untold = None, False
        return problems

    def _members(self, spare: Collection[int]) -> list[int]:
        ours = {*tagged.pids_of(self._environment, self._directory), *tagged.tree_of(os.getpid())[1:]}
        kept = {pid for root in spare for pid in tagged.tree_of(root)}
        return sorted(ours - kept)
