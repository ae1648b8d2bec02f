"""The stop command of a system that a start command started: carried out by its record alone, by whoever is left."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from pytest_finchaos.environments.plan import SystemPlan
from pytest_finchaos.environments.tail import tail
from pytest_finchaos.proxy.undo import UndoFailed
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.undo import UndoJournal, UndoRecord

KIND = "run-command"


def intend(journal: UndoJournal, plan: SystemPlan) -> None:
    """Write the stop command into the journal, before the system is started; readable by its owner only."""
    if plan.stop:
        journal.path.touch()
        journal.path.chmod(0o600)  # declared variables may be secrets
        journal.intend(KIND, {"system": codec.to_plain(plan)})


def carry_out(record: UndoRecord, journal: UndoJournal) -> None:
    """Stop a system by its record; a system that has stopped already is stopped again.

    Args:
        record: As `intend` wrote it.
        journal: Where it stands: a command is run for its own user only.

    Raises:
        UndoFailed: The command could not be run, failed, or did not end in time.
    """
    owner = journal.path.stat().st_uid
    if owner != os.geteuid():
        raise UndoFailed(f"{record.id}: it belongs to user {owner}, whose commands nobody else runs")
    try:
        plan = codec.from_plain(SystemPlan, record.arguments["system"])
    except (KeyError, codec.CodecError) as error:
        raise UndoFailed(f"{record.id}: malformed record: {error!r}") from None
    if problem := run(plan):
        raise UndoFailed(problem)


def run(plan: SystemPlan) -> str:
    """Run the stop command to its end, at most for its deadline.

    Returns:
        What went wrong, as a sentence; "" when it ended with status 0, or there is none.
    """
    if not plan.stop:
        return ""
    shown = " ".join(plan.stop)[:200]
    with ExitStack() as stack:
        output = _output(plan.log, stack)
        try:
            process = subprocess.Popen(
                plan.stop,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=plan.folder,
                env=dict(plan.variables),
                start_new_session=True,
            )
        except OSError as error:
            return f"the stop command ({shown}) could not be run: {error}"
        try:
            code = process.wait(plan.stop_within_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"the stop command ({shown}) did not end within {plan.stop_within_s:g} s{_ends(plan.log)}"
    return f"the stop command ({shown}) ended with status {code}{_ends(plan.log)}" if code else ""


def _output(log: str, stack: ExitStack) -> IO[bytes] | int:
    """The log; nowhere when its folder is gone: a record may outlive the run folder."""
    try:
        return stack.enter_context(Path(log).open("ab"))
    except OSError:
        return subprocess.DEVNULL


def _ends(log: str) -> str:
    told = tail(log)
    return f"; its log ends: {told}" if told else ""
