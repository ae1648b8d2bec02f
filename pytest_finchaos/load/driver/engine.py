"""Carries the plan out: what is due is handed to idle users; answers lead to retries and probes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from gevent.event import Event
from gevent.queue import SimpleQueue

from pytest_finchaos.load import request as requests
from pytest_finchaos.load.arrivals import retry_delay_ns
from pytest_finchaos.load.driver.exchange import Exchange
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.records import Kind, Record, RecordWriter
from pytest_finchaos.model.history import REUSE_ADDS_MINOR, Arrival, Outcome, Purpose
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

LONGEST_WAIT_S = 0.25  # of the dispatcher; it is woken for anything earlier


@dataclass(slots=True)
class Flight:
    """An arrival on its way: what was made of it and how often it was sent."""

    arrival: Arrival
    operation: OperationSpec
    ready: requests.Request
    values: Mapping[str, Any]
    intended_ns: int
    number: int = 0  # attempts of any purpose


Fire = Callable[[str, str, float, int, str], None]  # method, name, latency in ms, bytes, detail or ""


class Engine:
    """One load.

    Args:
        plan: What to send and when.
        values: Placeholder values that setup operations provided.
        writer: Where records go.
        exchange: How requests are sent.
        clock: The clock.
        fire: Called after each attempt, for Locust's listeners.
        keep: Called with arrival, operation and body of each answer, where the system's own ids are needed later.
    """

    def __init__(
        self,
        plan: LoadPlan,
        values: Mapping[str, Any],
        *,
        writer: RecordWriter,
        exchange: Exchange,
        clock: Clock,
        fire: Fire,
        keep: Callable[[int, OperationSpec, bytes], None] | None = None,
    ) -> None:
        self._plan, self._values, self._writer = plan, dict(values), writer
        self._exchange, self._clock, self._fire = exchange, clock, fire
        self._keep = keep
        self._profile = plan.mapped
        self._arrivals = plan.arrivals()
        self._positions = {name: position for position, name in enumerate(plan.names)}
        self._retryable = {name for name in plan.names if requests.safe_to_retry(plan.operations[name])}
        self._heap: list[tuple[int, int, Purpose, Flight]] = []
        self._order = count()
        self._upcoming: Flight | None = None
        self._ready: SimpleQueue[tuple[Purpose, Flight]] = SimpleQueue()
        self._wake = Event()
        self.settled = Event()  # after the stop: nothing is in flight or due any more
        self.broken = Event()  # an error of the driver's own
        self.error = ""
        self.started_ns = 0
        self.stopped_ns = 0
        self.drain_until_ns = 0
        self.planned = self.sent = self.in_flight = self.max_in_flight = 0
        self.outcomes = dict.fromkeys(Outcome, 0)

    def begin(self) -> int:
        """Start the plan now; returns the instant."""
        self._upcoming = self._prepare(next(self._arrivals))
        self.started_ns = self._clock.now_ns()
        self._upcoming.intended_ns += self.started_ns
        self._writer.write(Record(Kind.BEGIN, sent_ns=self.started_ns))
        return self.started_ns

    def dispatch(self) -> None:
        """Hand out what is due, until the end of the process."""
        try:
            while True:
                next_ns = self._hand_out(self._clock.now_ns())
                wait_s = min((next_ns - self._clock.now_ns()) / NS_PER_S, LONGEST_WAIT_S)
                if wait_s > 0:
                    self._wake.wait(wait_s)
                    self._wake.clear()
        except Exception as error:  # noqa: BLE001 - as in serve_one
            self._break(error)

    def stop(self, drain_s: float) -> None:
        """Plan nothing new; retries and what is in flight have ``drain_s`` seconds to end."""
        if self.stopped_ns:
            return
        now_ns = self._clock.now_ns()
        self._hand_out(now_ns)
        self.stopped_ns = max(self._clock.now_ns(), now_ns + 1)  # planned means: before the stop
        self._hand_out(self.stopped_ns - 1)  # what became due in between
        self.drain_until_ns = self.stopped_ns + int(drain_s * NS_PER_S)
        self._writer.write(Record(Kind.STOP, sent_ns=self.stopped_ns))
        # probes that are not due yet belong to the time after the load; an operation's own retries do not
        self._heap = [item for item in self._heap if item[2] is Purpose.OPERATION and item[0] < self.drain_until_ns]
        heapq.heapify(self._heap)
        self._check_settled()

    def serve_one(self) -> None:
        """Wait for something due and send it; called by each user in a loop."""
        purpose, flight = self._ready.get()
        try:
            self._attempt(purpose, flight)
        except Exception as error:  # noqa: BLE001 - any error of ours makes the load invalid, none may be lost
            self._break(error)
        self._check_settled()

    def _break(self, error: Exception) -> None:
        self.error = f"{type(error).__name__}: {error}"
        self.broken.set()

    def _hand_out(self, until_ns: int) -> int:
        """Queue everything due until ``until_ns``; returns when the next is due."""
        while self._upcoming is not None and self._upcoming.intended_ns <= until_ns:
            if self.stopped_ns and self._upcoming.intended_ns >= self.stopped_ns:
                self._upcoming = None
                break
            self.planned += 1
            self._ready.put((Purpose.OPERATION, self._upcoming))
            self._upcoming = self._prepare(next(self._arrivals))
            self._upcoming.intended_ns += self.started_ns
        while self._heap and self._heap[0][0] <= until_ns:
            _, _, purpose, flight = heapq.heappop(self._heap)
            self._ready.put((purpose, flight))
        later = [self._heap[0][0]] if self._heap else []
        if self._upcoming is not None and not self.stopped_ns:
            later.append(self._upcoming.intended_ns)
        return min(later, default=until_ns + NS_PER_S)

    def _prepare(self, arrival: Arrival) -> Flight:
        """Render ahead of time, so that nothing but sending is left when the arrival is due."""
        operation = self._plan.operations[arrival.operation]
        values = {**self._values, **arrival.values, "key": arrival.key, "index": arrival.index}
        return Flight(arrival, operation, requests.render(operation, values), values, arrival.intended_ns)

    def _attempt(self, purpose: Purpose, flight: Flight) -> None:
        now_ns = self._clock.now_ns()
        start = Record(
            Kind.START,
            arrival=flight.arrival.index,
            number=flight.number,
            purpose=purpose,
            operation=self._positions[flight.arrival.operation],
            intended_ns=flight.intended_ns,
            sent_ns=now_ns,
        )
        if flight.number == 0 and now_ns - flight.intended_ns > self._plan.drop_after_s * NS_PER_S:
            self._writer.write(start._replace(kind=Kind.DROP, sent_ns=0, done_ns=now_ns))
            return
        ready = flight.ready
        if purpose is Purpose.REUSE:
            other = {**flight.values, "amount_minor": flight.values["amount_minor"] + REUSE_ADDS_MINOR}
            ready = requests.render(flight.operation, other)
        self.sent += flight.number == 0
        flight.number += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self._writer.write(start)
        status, detail, body, headers = self._exchange.send(
            flight.operation.component, ready, flight.operation.timeout_s
        )
        done_ns = self._clock.now_ns()
        reading = requests.classify(flight.operation, status, detail, body, headers)
        if self._keep is not None and reading.reference:
            self._keep(flight.arrival.index, flight.operation, body)
        self._writer.write(
            start._replace(
                kind=Kind.END,
                done_ns=done_ns,
                outcome=reading.outcome,
                detail=reading.detail,
                status=status or 0,
                reference=reading.reference,
                answer=reading.answer,
                value=reading.value,
            )
        )
        self.in_flight -= 1
        if purpose is Purpose.OPERATION:
            self._follow_up(flight, reading.outcome, done_ns)
        good = reading.outcome.terminal
        latency_ms = (done_ns - (flight.intended_ns if flight.number == 1 else now_ns)) / 1e6
        self._fire(ready.method, flight.operation.name, latency_ms, len(body), "" if good else reading.detail)

    def _follow_up(self, flight: Flight, outcome: Outcome, done_ns: int) -> None:
        if not outcome.terminal:
            retry = self._profile.retry
            due_ns = done_ns + retry_delay_ns(self._profile, self._plan.seed, flight.arrival.index, flight.number - 1)
            in_time = due_ns < flight.intended_ns + self._profile.deadline_s * NS_PER_S
            if flight.number < retry.attempts and in_time and flight.arrival.operation in self._retryable:
                self._schedule(due_ns, Purpose.OPERATION, flight)
            else:
                self.outcomes[outcome] += 1
            return
        self.outcomes[outcome] += 1
        for after_ns, purpose in (
            (flight.arrival.replay_after_ns, Purpose.REPLAY),
            (flight.arrival.reuse_after_ns, Purpose.REUSE),
        ):
            if after_ns is not None and not self.stopped_ns:
                self._schedule(done_ns + after_ns, purpose, flight)

    def _schedule(self, due_ns: int, purpose: Purpose, flight: Flight) -> None:
        if self.stopped_ns and due_ns >= self.drain_until_ns:
            return
        heapq.heappush(self._heap, (due_ns, next(self._order), purpose, flight))
        if self._heap[0][3] is flight:
            self._wake.set()

    def _check_settled(self) -> None:
        if self.stopped_ns and not self.in_flight and not self._heap and self._ready.empty():
            self.settled.set()
