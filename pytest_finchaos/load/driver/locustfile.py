"""Runs a team's locustfile as it is: its users, its tasks, its waits; only where it goes and what it sent is ours."""

from __future__ import annotations

import contextlib
import os
import traceback
from pathlib import Path
from typing import Any

import locust
from locust.argument_parser import parse_options
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

from pytest_finchaos.load.driver.control import Control
from pytest_finchaos.load.driver.exchange import Exchange
from pytest_finchaos.load.driver.listening import Recorder
from pytest_finchaos.load.driver.orders import Orders
from pytest_finchaos.load.driver.setup import set_up
from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.recorded import FILE as ARRIVALS
from pytest_finchaos.load.recorded import ArrivalWriter
from pytest_finchaos.load.records import Kind, Record, RecordWriter
from pytest_finchaos.load.references import FILE as REFERENCES
from pytest_finchaos.load.references import ReferenceWriter
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

PROGRESS_S = 0.25


class LocustLoad:
    """One load by a locustfile.

    Args:
        plan: What to run.
        records: The record file; it does not exist yet.
        control: The line to the parent.
        clock: The clock.

    Raises:
        UserError: The locustfile cannot be used, or a setup operation did not succeed.
    """

    def __init__(self, plan: LocustPlan, records: Path, control: Control, clock: Clock) -> None:
        self._plan, self._control, self._clock = plan, control, clock
        users, shapes = load(plan.path)
        self._writer = RecordWriter(records, plan.names, {"profile": plan.title, "users": plan.users})
        values = set_up(plan, Exchange(plan.base_urls, clock), self._writer, clock)
        keep = ReferenceWriter(records.with_name(REFERENCES)).keep if plan.references else None
        self._arrivals = ArrivalWriter(records.with_name(ARRIVALS))
        self._recorder = Recorder(plan, writer=self._writer, arrivals=self._arrivals, clock=clock, keep=keep)
        self._environment = Environment(
            user_classes=users,
            shape_class=shapes[0] if shapes else None,
            events=locust.events,
            host=plan.base_urls[plan.host],
            stop_timeout=0.0,
            parsed_options=parse_options(args=[]),
        )
        self._recorder.attach(self._environment)
        self._environment.events.user_error.add_listener(self._note_error)
        self._errors, self._last_error = 0, ""
        self._runner = self._environment.create_local_runner()
        self._environment.events.init.fire(environment=self._environment, runner=self._runner, web_ui=None)
        control.tell("ready", setup_values=values)

    def run(self, told: Orders) -> int:
        """Start the users, record, stop them, tell the totals; returns the exit status."""
        told.start.wait()
        started_ns = self._clock.now_ns()
        self._writer.write(Record(Kind.BEGIN, sent_ns=started_ns))
        self._control.tell("started", started_ns=started_ns)
        if self._environment.shape_class is not None:
            self._runner.start_shape()
        else:
            self._runner.start(self._plan.users, spawn_rate=self._plan.spawn_per_s)
        why = self._watch(told, started_ns + int(self._plan.max_duration_s * NS_PER_S))
        self._environment.stop_timeout = told.drain_s
        self._runner.stop()  # tasks that are under way have so long; then they are killed, and censored
        stopped_ns = self._clock.now_ns()
        self._writer.write(Record(Kind.STOP, sent_ns=stopped_ns))
        with contextlib.suppress(Exception):  # the team's own last words; the load is over and complete
            self._environment.events.quitting.fire(environment=self._environment)
        if self._recorder.error:
            self._control.tell("error", where="locustfile", what=self._recorder.error, cure=None)
            return 1
        times = os.times()
        totals = self._writer.finish(
            started_ns=started_ns,
            stopped_ns=stopped_ns,
            planned=self._arrivals.written,
            max_in_flight=self._recorder.max_in_flight,
            cpu_us=int((times.user + times.system) * 1e6),
        )
        errors = [self._errors, self._last_error] if self._errors else []
        self._control.tell("done", totals=codec.to_plain(totals), censored=0, why=why, user_errors=errors)
        return 0

    def _watch(self, told: Orders, bound_ns: int) -> str:
        """Report progress until there is a reason to stop; returns it."""
        while not told.stop.wait(PROGRESS_S):
            recorder = self._recorder
            self._control.hint(
                "progress", at_ns=self._clock.now_ns(), sent=self._arrivals.written, in_flight=recorder.in_flight
            )
            if recorder.error:
                return recorder.error
            if self._runner.state in ("stopping", "stopped", "cleanup"):
                return "the locustfile stopped its own run"
            if self._clock.now_ns() >= bound_ns:
                return "the plan's longest duration was reached"
        return "the drill ended its load"

    def _note_error(self, exception: BaseException, **_: Any) -> None:
        self._errors += 1
        self._last_error = f"{type(exception).__name__}: {exception}"[:200]


def load(path: str) -> tuple[list[type[locust.User]], list[Any]]:
    """The user classes and shapes of a locustfile, imported from its own folder.

    Raises:
        UserError: It cannot be imported, with the last line of its own traceback; or it has no users.
    """
    where = f"locustfile {path}"
    os.chdir(Path(path).parent)  # where its authors run it: relative files are found
    try:
        users, shapes = load_locustfile(path)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is its author's mistake, and is told
        raise UserError(where, f"cannot be imported: {_place(error, path)}{type(error).__name__}: {error}") from None
    if not users:
        raise UserError(
            where, "it has no user class that can run", cure="a subclass of HttpUser or User with a task, not abstract"
        )
    return list(users.values()), list(shapes)


def _place(error: BaseException, path: str) -> str:
    """The line of the locustfile that raised."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: "
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"line {lines[-1]}: " if lines else ""
