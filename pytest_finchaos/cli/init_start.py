"""Starts a system once, so that it can be asked, and stops it again."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pytest_finchaos.cli.init_probe import Target, read
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

UP_WITHIN_S = 30.0
STOPS_WITHIN_S = 15.0
TAIL_BYTES = 600


@contextmanager
def started(start: Sequence[str], stop: Sequence[str], target: Target, folder: Path) -> Iterator[None]:
    """Inside, the system answers at ``target``; one that answers before is left as it is.

    Raises:
        UserError: The command cannot be run, or nothing answers within half a minute.
    """
    if read(target, "/").status:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as log:
        process = launch(start, folder, log)
        try:
            await_answer(process, target, start, log)
            yield
        finally:
            end(process, stop, folder)


def launch(start: Sequence[str], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Run the command in a session of its own."""
    try:
        return subprocess.Popen(
            start, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except OSError as error:
        cure = "name a program that can be run; no shell reads the command"
        raise UserError("--command", f"{shlex.join(start)} cannot be run: {error}", cure=cure) from None


def await_answer(process: subprocess.Popen[bytes], target: Target, start: Sequence[str], log: IO[bytes]) -> None:
    """Wait until it answers; a command that returned may have left a daemon, one that failed has not."""

    def look() -> bool | Not:
        answer = read(target, "/")
        if answer.status:
            return True
        if process.poll():
            raise UserError("--command", f"{shlex.join(start)} ended with status {process.returncode}: {tail(log)}")
        return Not(answer.problem)

    try:
        wait_for(look, what=f"an answer at {target.address}", within_s=UP_WITHIN_S, every_s=0.1)
    except Waited as error:
        cure = "see that --port is where it listens on 127.0.0.1, or write without asking it: --no-start"
        raise UserError("--command", f"{error}; its output: {tail(log)}", cure=cure) from None


def end(process: subprocess.Popen[bytes], stop: Sequence[str], folder: Path) -> None:
    """The stop command, then the processes of the start command."""
    if stop:
        with suppress(OSError, subprocess.SubprocessError):  # what it leaves is ended below
            subprocess.run(
                stop, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=STOPS_WITHIN_S
            )
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)  # its session's group: the pid is ours until it is waited for
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOPS_WITHIN_S)
            return


def tail(log: IO[bytes]) -> str:
    """The last words of the command."""
    size = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace").strip() or "none"
