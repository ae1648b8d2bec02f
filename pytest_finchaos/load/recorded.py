"""The history of a load that nobody planned: what its users sent, as the driver noted it beside the records."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_finchaos.load.history import HistoryReader
from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.model.history import Arrival, Counts, Operation
from pytest_finchaos.runtime.growing import GrowingFile

FILE = "arrivals.jsonl"


class ArrivalWriter:
    """Appends what a request is before it is sent, one write each, so that SIGKILL of the writer loses none.

    Args:
        path: A file that does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o644)
        self.written = 0

    def write(self, operation: str, key: str, values: dict[str, Any], sent_ns: int, unlike: str) -> int:
        """Append one arrival; returns its index."""
        line = json.dumps([self.written, operation, key, values, sent_ns, unlike]).encode() + b"\n"
        if os.write(self._handle, line) != len(line):
            raise OSError(f"the disk is full: arrival {self.written} was written in part")
        self.written += 1
        return self.written - 1


class RecordedReader(HistoryReader):
    """A history that grows by what was sent.

    Args:
        plan: What was run.
        path: The record file; the arrivals stand beside it.
    """

    def __init__(self, plan: LocustPlan, path: Path) -> None:
        super().__init__(plan, path)
        self._file = GrowingFile(path.with_name(FILE))
        self._damage = ""
        self.unlike: dict[str, int] = {}  # operation and difference, to how many requests

    def _operations_until(self, stopped_ns: int) -> tuple[Operation, ...]:
        for arrival in self._appended():
            self._planned.append(arrival)
            self._changed.add(arrival.index)
        return super()._operations_until(stopped_ns)

    def _appended(self) -> list[Arrival]:
        return [self._arrival(json.loads(line)) for line in self._file.lines()]

    def _arrival(self, line: list[Any]) -> Arrival:
        index, operation, key, values, sent_ns, unlike = line
        if unlike:
            what = f"{operation}: {unlike}"
            self.unlike[what] = self.unlike.get(what, 0) + 1
        return Arrival(index, sent_ns - self.started_ns, operation, key, values)

    def _contradictions(self, operations: Sequence[Operation], counts: Counts, end_ns: int) -> list[str]:
        found = super()._contradictions(operations, counts, end_ns)
        if [operation.arrival.index for operation in operations] != list(range(len(operations))):
            found.append("arrivals are missing or out of order beside the records")
        return found

    def _stalls(self, operations: Sequence[Operation], end_ns: int) -> list[str]:  # noqa: ARG002 - as the base class
        return []  # nothing was due
