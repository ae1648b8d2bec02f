"""The parent's side of a load: starts the driver, watches it, reads its records while they grow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from pytest_finchaos.load.history import HistoryReader
from pytest_finchaos.load.locust_plan import CLOSED_LOOP, OTHER, LocustPlan
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.recorded import RecordedReader
from pytest_finchaos.load.references import FILE as REFERENCES
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.result import NotChecked
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock
from pytest_finchaos.runtime.growing import chunks
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

READY_WITHIN_S = 30.0
STARTED_WITHIN_S = 5.0
ANSWER_S = 5.0  # beyond the drain, for the driver's last words
SILENT_NS = NS_PER_S  # progress comes four times a second
RECORDS = "records.bin"
LOG = "driver.log"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a running load is.

    Args:
        at_ns: CLOCK_MONOTONIC.
        planned: Arrivals due until now.
        sent, unsent, late, dropped: Of those.
        in_flight: Attempts in flight.
        ok, declined, bad, unknown: Operations by outcome so far; ``bad`` are failed and refused ones.
        alive: True while the driver's process lives.
        stalled_s: How long ago the driver was last heard of, when that is more than a second; else 0.
    """

    at_ns: int
    planned: int = 0
    sent: int = 0
    unsent: int = 0
    late: int = 0
    dropped: int = 0
    in_flight: int = 0
    ok: int = 0
    declined: int = 0
    bad: int = 0
    unknown: int = 0
    alive: bool = True
    stalled_s: float = 0.0


def start_load(plan: LoadPlan | LocustPlan, directory: Path, *, clock: Clock | None = None) -> LoadSession:
    """Start a driver, run the setup operations, begin the plan.

    Args:
        plan: What to send.
        directory: Existing folder of this load; ``records.bin`` and ``driver.log`` are written there.
        clock: The clock; the system's by default.

    Returns:
        The running load. Use it as a context manager, or call `LoadSession.close`.

    Raises:
        UserError: An impossible plan, a setup operation that did not succeed, a driver that did not start.
    """
    plan.check()
    session = LoadSession(plan, directory, clock or SystemClock())
    try:
        session._begin()
    except BaseException:
        session.close()
        raise
    return session


class LoadSession:
    """A running load; made by `start_load`.

    Attributes:
        plan: The plan.
        records: The record file.
        references: File of the system's own ids, where the plan keeps them.
        started_ns: CLOCK_MONOTONIC of the start.
        setup_values: What setup operations provided, e.g. a token; kept in memory, never written.
        not_mapped: Operations of the profile that the environment does not map.
        pid: Process id of the driver.
    """

    def __init__(self, plan: LoadPlan | LocustPlan, directory: Path, clock: Clock) -> None:
        self.plan = plan
        self.records = directory / RECORDS
        self.references = directory / REFERENCES
        self.started_ns = 0
        self.setup_values: Mapping[str, Any] = {}
        self.not_mapped = plan.not_mapped
        self._log = directory / LOG
        self._clock = clock
        self._reader = (
            RecordedReader(plan, self.records) if isinstance(plan, LocustPlan) else HistoryReader(plan, self.records)
        )
        self._pending = b""
        self._events: dict[str, dict[str, Any]] = {}
        self._heard_ns = 0
        self._ended: History | None = None
        self._noticed: list[str] = []
        if self.records.exists():
            raise UserError(str(self.records), "exists: a load needs a folder of its own")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pytest_finchaos.load.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env=_environment(plan.environment),
                start_new_session=True,
            )
        self.pid = self._process.pid
        os.set_blocking(self._pipe(self._process.stdout).fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed_loop(self) -> str:
        """Why latency cannot be claimed of this load; "" for an open one."""
        return CLOSED_LOOP if isinstance(self.plan, LocustPlan) else ""

    @property
    def not_checked(self) -> tuple[NotChecked, ...]:
        """What this load leaves open; complete once it has stopped."""
        rows = [NotChecked(f"operation {name}", "the environment does not map it") for name in self.not_mapped]
        if isinstance(self._reader, RecordedReader):
            rows.append(NotChecked("latency under load", CLOSED_LOOP))
            rows.extend(
                NotChecked(f"{number} requests of {what.partition(':')[0]}", what.partition(": ")[2])
                for what, number in self._reader.unlike.items()
            )
            if errors := self._events.get("done", {}).get("user_errors"):
                rows.append(NotChecked("tasks of the locustfile", f"{errors[0]} raised, the last: {errors[1]}"))
        return tuple(rows)

    def unreadable_money(self, operation: str) -> str:
        """Why the money cannot be checked by this load's requests, or "".

        Args:
            operation: The one that moves money.
        """
        if not isinstance(self._reader, RecordedReader):
            return ""
        for what, number in self._reader.unlike.items():
            name, _, why = what.partition(": ")
            if name in (operation, OTHER):
                return f"{number} requests of the locustfile are not what operation {operation!r} describes: {why}"
        return ""

    @property
    def reads_only(self) -> bool:
        """True when the profile declares that it moves no money."""
        return isinstance(self.plan, LoadPlan) and self.plan.profile.reads_only

    @property
    def alive(self) -> bool:
        """True while the driver's process lives."""
        return self._process.poll() is None

    def progress(self) -> Progress:
        """Where the load is, from the records written so far; cheap enough to ask ten times a second."""
        self._listen()
        now_ns = self._clock.now_ns()
        counts = self.history().counts
        silent_ns = now_ns - max(self._heard_ns, self._reader.last_ns)
        stalled = self._ended is None and self.alive and silent_ns > SILENT_NS
        return Progress(
            at_ns=now_ns,
            planned=counts.planned,
            sent=counts.sent,
            unsent=counts.unsent,
            late=counts.late,
            dropped=counts.dropped,
            in_flight=self._reader.in_flight if self._ended is None else 0,
            ok=counts.ok,
            declined=counts.declined,
            bad=counts.failed,
            unknown=counts.unknown,
            alive=self.alive,
            stalled_s=silent_ns / NS_PER_S if stalled else 0.0,
        )

    def history(self) -> History:
        """Everything until now; while the load runs, requests in flight are censored and the report not complete.

        A driver that died is told in ``generator.problems``; planning goes on until `stop`, so that what it did not
        send is counted as unsent.
        """
        if self._ended is not None:
            return self._ended
        died = self._death()
        self._reader.read()
        return self._reader.history(self._clock.now_ns(), running=not died, problems=died)

    def stop(self, drain_s: float = 5.0) -> History:
        """Plan nothing new, let what is in flight end within ``drain_s`` seconds, end the driver.

        Args:
            drain_s: Seconds; what is still in flight then is censored.

        Returns:
            The whole history; the same again when called twice.
        """
        if self._ended is not None:
            return self._ended
        stopped_ns = self._clock.now_ns()
        died = self._death()
        if not died:
            self._order({"do": "stop", "drain_s": drain_s})
            try:
                wait_for(
                    self._gone,
                    what="the load driver to end",
                    within_s=drain_s + ANSWER_S,
                    clock=self._clock,
                )
            except Waited as late:
                self._noticed.append(f"the generator did not answer the stop and was killed: {late}")
            self._listen()
            died = [] if "done" in self._events and not self._noticed else self._death()
        self.close()
        self._reader.read()
        self._ended = self._reader.history(stopped_ns, problems=[*self._noticed, *died])
        return self._ended

    def close(self) -> None:
        """End the driver at once if it lives, and release the pipes; safe to call twice."""
        if self.alive:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:  # unsent orders to a driver that is gone
                    continue

    def _begin(self) -> None:
        self._order(
            {
                "do": "plan",
                "kind": type(self.plan).__name__,
                "plan": codec.to_plain(self.plan),
                "records": str(self.records.resolve()),
            }
        )
        ready = self._await("ready", READY_WITHIN_S)
        self.setup_values = ready["setup_values"]
        self._order({"do": "start"})
        self.started_ns = int(self._await("started", STARTED_WITHIN_S)["started_ns"])
        self._heard_ns = self._clock.now_ns()

    def _order(self, order: Mapping[str, Any]) -> None:
        pipe = self._pipe(self._process.stdin)
        try:
            pipe.write(json.dumps(order).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            return  # the driver is gone; whoever waits for its answer says so

    def _await(self, event: str, within_s: float) -> dict[str, Any]:
        def probe() -> dict[str, Any] | Not:
            self._listen()
            if "error" in self._events:
                told = self._events["error"]
                raise UserError(told["where"], told["what"], cure=told["cure"])
            if event in self._events:
                return self._events[event]
            if not self.alive:
                raise UserError("load driver", f"{self._exit_sentence()} before it was {event}", cure=self._hint())
            return Not("no answer yet")

        try:
            return wait_for(probe, what=f"the load driver to be {event}", within_s=within_s, clock=self._clock)
        except Waited as late:
            raise UserError("load driver", str(late), cure=self._hint()) from None

    def _listen(self) -> None:
        """Take in what the driver said, without waiting."""
        for data in chunks(self._pipe(self._process.stdout)):
            self._heard_ns = self._clock.now_ns()
            *lines, self._pending = (self._pending + data).split(b"\n")
            for line in lines:
                told = json.loads(line)
                self._events[told["event"]] = told

    def _gone(self) -> bool | Not:
        self._listen()
        return Not("still running") if self.alive else True

    def _death(self) -> list[str]:
        """Why the driver is gone although nobody stopped it; empty while it lives."""
        if self.alive:
            return []
        self._listen()
        if "done" in self._events:
            return [f"the generator ended by itself: {self._events['done'].get('why', '')}"]
        told = self._events.get("error")
        return [self._exit_sentence() + (f": {told['what']}" if told else "")]

    def _exit_sentence(self) -> str:
        code = self._process.poll()
        if code is not None and code < 0:
            return f"generator exited with signal {-code} ({signal.Signals(-code).name})"
        return f"generator exited with status {code}"

    def _hint(self) -> str:
        text = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
        return f"see {self._log}" + (f"; it ends: {text.splitlines()[-1][:200]}" if text else "")

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None  # both were asked for
        return pipe


def _environment(environment_id: str) -> dict[str, str]:
    """The driver's variables: ours without pytest's and Locust's, which would change what it does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "LOCUST_", "COV_", "FINCHAOS_ENVIRONMENT"))
    }
    return {**kept, "FINCHAOS_ENVIRONMENT": environment_id} if environment_id else kept
