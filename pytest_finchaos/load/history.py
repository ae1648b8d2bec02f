"""Joins the plan, computed again, with the records: planned, sent, answered, and how sound the generator was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.records import Kind, Record
from pytest_finchaos.load.stalls import stalls
from pytest_finchaos.load.tail import RecordTail
from pytest_finchaos.model.history import (
    Arrival,
    Attempt,
    Counts,
    GeneratorReport,
    History,
    Operation,
    Outcome,
    Purpose,
)
from pytest_finchaos.runtime.clock import NS_PER_MS, NS_PER_S

RUNNING = "the load is still running"


def outcome_of(attempts: Sequence[Attempt]) -> Outcome | None:
    """How an operation ended, over its attempts; probes of its key do not count.

    Ok if any attempt was ok. Else the last one's outcome if that is the system's final word. Else failed if every
    attempt failed: nothing can have happened. Else censored if one is in flight, else unknown. None when never sent.
    (The rule of Jepsen's histories, where an open operation may happen at any later time.)
    """
    own = [attempt for attempt in attempts if attempt.purpose is Purpose.OPERATION]
    if not own:
        return None
    outcomes = [attempt.outcome for attempt in own]
    if Outcome.OK in outcomes or any(
        attempt.purpose is Purpose.REPLAY and attempt.outcome is Outcome.OK for attempt in attempts
    ):
        return Outcome.OK
    if outcomes[-1].terminal:
        return outcomes[-1]
    if all(outcome is Outcome.FAILED for outcome in outcomes):
        return Outcome.FAILED
    return Outcome.CENSORED if Outcome.CENSORED in outcomes else Outcome.UNKNOWN


def count(operations: Iterable[Operation], *, late_limit_ns: int, dropped: int) -> Counts:
    """Exact accounting over operations."""
    planned = sent = late = 0
    by_outcome: dict[Outcome | None, int] = defaultdict(int)
    for operation in operations:
        planned += 1
        by_outcome[operation.outcome] += 1
        if operation.sent:
            sent += 1
            late += operation.late_ns > late_limit_ns
    return Counts(
        planned=planned,
        sent=sent,
        unsent=planned - sent,
        late=late,
        dropped=dropped,
        censored=by_outcome[Outcome.CENSORED],
        ok=by_outcome[Outcome.OK],
        declined=by_outcome[Outcome.DECLINED],
        failed=by_outcome[Outcome.FAILED] + by_outcome[Outcome.REFUSED],
        unknown=by_outcome[Outcome.UNKNOWN],
    )


class HistoryReader:
    """A history that grows: reads what was appended, and rebuilds only the operations that changed.

    Args:
        plan: The plan that the records carry out.
        path: The record file.
    """

    def __init__(self, plan: LoadPlan | LocustPlan, path: Path) -> None:
        self._plan = plan
        self._tail = RecordTail(path)
        self._upcoming = plan.arrivals()
        self._next: Arrival | None = None
        self._planned: list[Arrival] = []
        self._attempts: dict[int, dict[int, Attempt]] = defaultdict(dict)
        self._operations: dict[int, Operation] = {}
        self._changed: set[int] = set()
        self._dropped: set[int] = set()
        self._in_flight: set[tuple[int, int]] = set()
        self._marks: list[tuple[int, int]] = []  # (instant, in flight after it) of every start and end
        self.most_in_flight = 0
        self.started_ns = 0
        self.stopped_ns: int | None = None

    def read(self) -> None:
        """Take in what was appended since the last call."""
        for record in self._tail.read():
            if record.kind is Kind.BEGIN:
                self.started_ns = record.sent_ns
            elif record.kind is Kind.STOP:
                self.stopped_ns = record.sent_ns
            elif record.kind is Kind.DROP:
                self._dropped.add(record.arrival)
            elif record.kind is not Kind.FOOTER:
                self._take(record)

    @property
    def in_flight(self) -> int:
        """Attempts that were started and have not ended."""
        return len(self._in_flight)

    @property
    def last_ns(self) -> int:
        """Instant of the newest start or end, 0 without one."""
        return self._marks[-1][0] if self._marks else 0

    def history(self, upto_ns: int, *, running: bool = False, problems: Sequence[str] = ()) -> History:
        """Everything up to now.

        Args:
            upto_ns: End of planning where the records do not state one (running, or killed), CLOCK_MONOTONIC.
            running: True while records may still be appended.
            problems: What else is known to be wrong, e.g. that the driver was killed.

        Returns:
            The history; while running its generator report is not complete.
        """
        stopped_ns = upto_ns if self.stopped_ns is None else self.stopped_ns
        operations = self._operations_until(stopped_ns) if self.started_ns else ()
        counts = count(
            operations,
            late_limit_ns=int(self._plan.late_limit_ms * NS_PER_MS),
            dropped=sum(1 for index in self._dropped if index < len(operations)),
        )
        found = [*problems, *((RUNNING,) if running else self._tail.problems())]
        found += self._contradictions(operations, counts, min(upto_ns, stopped_ns) if running else stopped_ns)
        lags = sorted(operation.late_ns for operation in operations if operation.sent)
        totals = self._tail.totals
        generator = GeneratorReport(
            complete=not found,
            problems=tuple(found),
            lag_p50_ns=_quantile(lags, 0.5),
            lag_p99_ns=_quantile(lags, 0.99),
            cpu_s=totals.cpu_us / 1e6 if totals else 0.0,
            wall_s=(stopped_ns - self.started_ns) / NS_PER_S if self.started_ns else 0.0,
            records=self._tail.records,
            max_in_flight=self.most_in_flight,
        )
        return History(
            profile=self._plan.title,
            rate_per_s=self._plan.rate_per_s,
            seed=self._plan.seed,
            started_ns=self.started_ns,
            stopped_ns=stopped_ns,
            operations=operations,
            generator=generator,
            counts=counts,
            names=self._plan.names,
        )

    def _take(self, record: Record) -> None:
        attempt = (record.arrival, record.number)
        if record.purpose is Purpose.SETUP:
            return
        if record.kind is Kind.START:
            self._in_flight.add(attempt)
        else:
            self._in_flight.discard(attempt)
        self.most_in_flight = max(self.most_in_flight, len(self._in_flight))
        self._marks.append((record.done_ns or record.sent_ns, len(self._in_flight)))
        self._attempts[record.arrival][record.number] = Attempt(
            index=record.arrival,
            number=record.number,
            purpose=record.purpose,
            outcome=record.outcome,
            detail=record.detail,
            status=record.status,
            intended_ns=record.intended_ns,
            sent_ns=record.sent_ns,
            done_ns=record.done_ns,
            reference=record.reference,
            answer=record.answer,
            value=record.value,
        )
        self._changed.add(record.arrival)

    def _operations_until(self, stopped_ns: int) -> tuple[Operation, ...]:
        while True:
            arrival = self._next or next(self._upcoming, None)
            if arrival is None or self.started_ns + arrival.intended_ns >= stopped_ns:
                self._next = arrival
                break
            self._next = None
            self._planned.append(arrival)
            self._changed.add(arrival.index)
        for index in self._changed:
            if index < len(self._planned):
                self._operations[index] = self._operation(self._planned[index])
        self._changed = {index for index in self._changed if index >= len(self._planned)}
        return tuple(self._operations[index] for index in range(len(self._planned)))

    def _operation(self, arrival: Arrival) -> Operation:
        by_number = self._attempts.get(arrival.index, {})
        attempts = tuple(by_number[number] for number in sorted(by_number))
        own = [attempt for attempt in attempts if attempt.purpose is Purpose.OPERATION]
        intended_ns = self.started_ns + arrival.intended_ns
        return Operation(
            arrival=arrival,
            intended_ns=intended_ns,
            attempts=attempts,
            outcome=outcome_of(attempts),
            late_ns=max(own[0].sent_ns - intended_ns, 0) if own else 0,
            latency_ns=own[-1].done_ns - intended_ns if own and own[-1].done_ns else None,
        )

    def _contradictions(self, operations: Sequence[Operation], counts: Counts, end_ns: int) -> list[str]:
        found = []
        if not self.started_ns:
            found.append("the load never began")
        totals = self._tail.totals
        if totals is not None and totals.planned != counts.planned:
            found.append(f"the footer states {totals.planned} planned arrivals, the plan has {counts.planned}")
        return found + self._stalls(operations, end_ns)

    def _stalls(self, operations: Sequence[Operation], end_ns: int) -> list[str]:
        return [
            f"the generator stalled for {stalled_s:.1f} s while arrivals were due"
            for stalled_s in stalls(operations, self._marks, end_ns, self._plan.max_in_flight)
        ]


def _quantile(ordered: Sequence[int], share: float) -> int:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0


def read_history(plan: LoadPlan, path: Path, *, stopped_ns: int = 0, problems: Sequence[str] = ()) -> History:
    """The history of a load that has ended.

    Args:
        plan: The plan that was carried out; the arrivals are computed again from it.
        path: The record file.
        stopped_ns: End of planning, CLOCK_MONOTONIC, where the file does not state one (driver killed);
            by default the instant of the last record.
        problems: What else is known to be wrong.

    Returns:
        The history. What is wrong with the file stands in ``generator.problems``; nothing is raised.
    """
    reader = HistoryReader(plan, path)
    reader.read()
    return reader.history(stopped_ns or reader.last_ns, problems=problems)
