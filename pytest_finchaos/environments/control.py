"""The client's side of the supervisor: starting it, asking it, letting go."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from pytest_finchaos.environments import tagged
from pytest_finchaos.environments.plan import SupervisorPlan
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime import codec

ANSWER_WITHIN_S = 30.0
LET_GO_WITHIN_S = 15.0


class Control:
    """A running supervisor and the lease on it; closing the socket ends the environment.

    It boots while its plan is made.

    Args:
        environment: Environment id.
        directory: Its data directory, which the supervisor removes at the end.
        log: File for its output.
        lease: Descriptor of the locked lease file, handed on to it.
    """

    def __init__(self, environment: str, directory: Path, log: Path, lease: int) -> None:
        self._log = log
        self._socket, theirs = socket.socketpair()
        self._file = self._socket.makefile("rb")
        words = [sys.executable, "-m", "pytest_finchaos.environments.supervisor"]
        try:
            with theirs, log.open("wb") as output:
                self._process = subprocess.Popen(
                    [*words, str(theirs.fileno()), environment, str(directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={**os.environ, tagged.TAG: environment},
                    pass_fds=(theirs.fileno(), lease),
                    start_new_session=True,
                )
        except BaseException:
            self._file.close()
            self._socket.close()
            raise
        self.pid = self._process.pid

    def hand_over(self, plan: SupervisorPlan) -> None:
        """Tell it what it keeps.

        Raises:
            UserError: It is gone or does not answer.
        """
        self._tell(codec.dumps(plan))
        self._hear("plan", ANSWER_WITHIN_S)

    def call(self, command: str, *, within_s: float = ANSWER_WITHIN_S, **arguments: Any) -> Any:
        """Ask the supervisor.

        Args:
            command: What to do.
            within_s: Deadline for the answer.
            arguments: What the command takes.

        Raises:
            UserError: Refused, with the supervisor's reason, or no answer.
        """
        self._tell(json.dumps({"call": command, **arguments}))
        return self._hear(command, within_s)

    def _tell(self, line: str) -> None:
        if self._file.closed:
            raise UserError("environment", "is closed")
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise UserError("supervisor", f"is gone: {error}", cure=f"see {self._log}") from None

    def _hear(self, name: str, within_s: float) -> Any:
        self._socket.settimeout(within_s)
        try:
            line = self._file.readline()
        except OSError as error:
            raise UserError(
                "supervisor", f"no answer to {name!r} within {within_s:g} s ({error})", cure=f"see {self._log}"
            ) from None
        if not line:
            raise UserError("supervisor", f"ended while {name!r} was asked", cure=f"see {self._log}")
        answer = json.loads(line)
        if not answer["ok"]:
            raise UserError("environment", answer["error"])
        return answer.get("result")

    def let_go(self, more_s: float = 0.0) -> bool:
        """Give up the lease and wait until the supervisor has ended.

        Args:
            more_s: How much longer than usual its end may take, seconds.

        Returns:
            False when it did not end in time and was killed: then its work is left to the caller.
        """
        self._file.close()
        self._socket.close()
        try:
            self._process.wait(LET_GO_WITHIN_S + more_s)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            return False
        return True


def owners() -> tuple[int, ...]:
    """Pids whose end must end an environment: this process, and under xdist its controller."""
    worker = "PYTEST_XDIST_WORKER" in os.environ
    return (os.getpid(), os.getppid()) if worker else (os.getpid(),)
