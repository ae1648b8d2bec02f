"""Entry of the driver process: orders are JSON lines on stdin, events go to stdout; end of stdin ends it at once."""

from __future__ import annotations

import locust  # first: it makes sockets and sleeping cooperative before anything else is loaded

# isort: split
import contextlib
import ctypes
import gc
import logging
import os
import signal
from pathlib import Path

import gevent
import gevent.event
from locust.env import Environment

from pytest_finchaos.load.driver.control import Control
from pytest_finchaos.load.driver.engine import Engine
from pytest_finchaos.load.driver.exchange import Exchange
from pytest_finchaos.load.driver.locustfile import LocustLoad
from pytest_finchaos.load.driver.orders import PARENT_DIED, Orders
from pytest_finchaos.load.driver.setup import set_up
from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.records import RecordWriter
from pytest_finchaos.load.references import FILE as REFERENCES
from pytest_finchaos.load.references import ReferenceWriter
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock

PROGRESS_S = 0.25
SPAWN_S = 20.0
HARD_MARGIN_S = 120  # the kernel ends the process this long after the plan's own bound
_PR_SET_PDEATHSIG = 1


class Slot(locust.User):  # type: ignore[misc]  # Locust has no types
    """A user that sends whatever is due; its number is the cap of requests in flight."""

    wait_time = locust.constant(0)

    @locust.task  # type: ignore[untyped-decorator]
    def serve(self) -> None:
        """Serve one due request."""
        self.environment.finchaos_engine.serve_one()


def main() -> int:
    """Serve one load; returns the exit status."""
    die_with_parent(os.getppid())
    logging.getLogger("locust").setLevel(logging.ERROR)
    control = Control(*_own_pipes())
    orders = control.orders()
    first = next(orders, None)
    if first is None:
        return PARENT_DIED
    told = Orders()
    gevent.spawn(told.follow, orders)
    records, clock = Path(first["records"]), SystemClock()
    try:
        load: _Load | LocustLoad
        if first.get("kind") == LocustPlan.__name__:
            script = codec.from_plain(LocustPlan, first["plan"])
            signal.alarm(int(script.max_duration_s) + HARD_MARGIN_S)
            load = LocustLoad(script, records, control, clock)
        else:
            plan = codec.from_plain(LoadPlan, first["plan"])
            signal.alarm(int(plan.max_duration_s) + HARD_MARGIN_S)
            load = _Load(plan, records, control, clock)
    except UserError as error:
        control.tell("error", where=error.where, what=error.what, cure=error.cure)
        return 2
    return load.run(told)


def _own_pipes() -> tuple[int, int]:
    """The parent's pipes under numbers of our own: what a locustfile prints goes to the log, what it reads is empty."""
    orders, events = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return orders, events


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies; the end of stdin says the same, a little later."""
    with contextlib.suppress(OSError, AttributeError):  # no prctl here: the end of stdin remains
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(PARENT_DIED)


class _Load:
    def __init__(self, plan: LoadPlan, records: Path, control: Control, clock: Clock) -> None:
        self._plan, self._control, self._clock = plan, control, clock
        self._exchange = Exchange(plan.base_urls, clock)
        summary = {"profile": plan.profile.name, "rate_per_s": plan.rate_per_s, "seed": plan.seed}
        self._writer = RecordWriter(records, plan.names, summary)
        values = set_up(plan, self._exchange, self._writer, clock)
        environment = Environment(user_classes=[Slot], events=locust.events)

        def fire(method: str, name: str, latency_ms: float, size: int, problem: str) -> None:
            environment.events.request.fire(
                request_type=method,
                name=name,
                response_time=latency_ms,
                response_length=size,
                exception=Exception(problem) if problem else None,
                context={},
            )

        keep = ReferenceWriter(records.with_name(REFERENCES)).keep if plan.references else None
        self._engine = Engine(
            plan, values, writer=self._writer, exchange=self._exchange, clock=clock, fire=fire, keep=keep
        )
        environment.finchaos_engine = self._engine
        self._runner = environment.create_local_runner()
        spawned = gevent.event.Event()
        environment.events.spawning_complete.add_listener(lambda **_: spawned.set())
        self._runner.start(plan.max_in_flight, spawn_rate=plan.max_in_flight)
        if not spawned.wait(SPAWN_S):
            raise UserError("load driver", f"Locust did not start {plan.max_in_flight} users within {SPAWN_S:g} s")
        gc.collect()
        gc.freeze()  # a collection must not walk what stays for good: its pause would be lag
        control.tell("ready", setup_values=values)

    def run(self, told: Orders) -> int:
        """Start, send, stop, drain, tell the totals."""
        engine = self._engine
        told.start.wait()
        self._control.tell("started", started_ns=engine.begin())
        gevent.spawn(engine.dispatch)
        bound_ns = engine.started_ns + int(self._plan.max_duration_s * NS_PER_S)
        while not told.stop.wait(PROGRESS_S) and not engine.broken.is_set() and self._clock.now_ns() < bound_ns:
            self._progress()
        engine.stop(told.drain_s)
        while not engine.settled.wait(0.02) and not engine.broken.is_set():
            if self._clock.now_ns() >= engine.drain_until_ns:
                break
        if engine.broken.is_set():
            self._control.tell("error", where="load driver", what=engine.error, cure=None)
            return 1
        times = os.times()
        totals = self._writer.finish(
            started_ns=engine.started_ns,
            stopped_ns=engine.stopped_ns,
            planned=engine.planned,
            max_in_flight=engine.max_in_flight,
            cpu_us=int((times.user + times.system) * 1e6),
        )
        why = "the plan's longest duration was reached"
        self._control.tell("done", totals=codec.to_plain(totals), censored=engine.in_flight, why=why)
        return 0

    def _progress(self) -> None:
        engine = self._engine
        self._control.hint("progress", at_ns=self._clock.now_ns(), sent=engine.sent, in_flight=engine.in_flight)


if __name__ == "__main__":
    status = main()
    os._exit(status)  # the users still wait for work; nothing is buffered
