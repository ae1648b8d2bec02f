"""The environment's own fault proxy, as the supervisor runs it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_finchaos.environments import listeners, tagged
from pytest_finchaos.environments.tail import tail
from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock

LISTENS_WITHIN_S = 15.0
_HANDED_ON = ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV")


class ProxyProblem(Exception):
    """The fault proxy is not there: why."""


class FaultProxy:
    """One Toxiproxy process.

    Args:
        argv: Its command.
        port: Port of its API.
        log: File for its output.
        environment: Environment id, its tag.
    """

    def __init__(self, argv: Sequence[str], port: int, log: str, environment: str) -> None:
        self._argv, self._port, self._log, self._id = argv, port, log, environment
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self._limit_ns = 0
        self._told = False

    @property
    def pid(self) -> int | None:
        """Its process, None before it was started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it; `listens` says when it serves."""
        self._limit_ns = self._clock.now_ns() + int(LISTENS_WITHIN_S * NS_PER_S)
        with Path(self._log).open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_variables(os.environ, self._id),
                start_new_session=True,
                preexec_fn=_die_with_me,  # noqa: PLW1509 - no threads here
            )

    def listens(self) -> bool:
        """True once its API listens.

        Raises:
            ProxyProblem: It ended, or did not listen in time, or somebody else does.
        """
        if self._process is None:
            raise ProxyProblem("the fault proxy was not started")
        if self._process.poll() is not None:
            raise ProxyProblem(f"the fault proxy ended at once: {tail(self._log)}")
        if self.listens_now():
            return True
        if self._clock.now_ns() > self._limit_ns:
            owner = listeners.describe_owner(self._port)
            raise ProxyProblem(f"the fault proxy did not listen on port {self._port}; {owner} does")
        return False

    def listens_now(self) -> bool:
        """True while the process that was started owns the port of the API."""
        if self._process is None or self._process.poll() is not None:
            return False
        return listeners.owned_by(self._port, tagged.tree_of(self._process.pid)) is True

    def ended(self) -> str:
        """How it ended, told once; else ""."""
        if self._told or self._process is None or (code := self._process.poll()) is None:
            return ""
        self._told = True
        return f"ended with status {code}: {tail(self._log)}"


def _variables(environ: Mapping[str, str], environment: str) -> dict[str, str]:
    """Nothing of the caller's but what finds programs: his secrets are not the proxy's business."""
    return {**{name: environ[name] for name in _HANDED_ON if name in environ}, tagged.TAG: environment}


def _die_with_me() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
