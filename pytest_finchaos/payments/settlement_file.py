"""Settlement files: append-only CSV, one for each cut-off, closed by control totals; a payment stands in one, once."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = ("idempotency_key", "payment_id", "amount_minor", "currency")
TRAILER = "TOTAL"
NAME = re.compile(r"settlement-(\d{6})\.csv")


@dataclass(frozen=True, slots=True)
class Row:
    """One settled payment."""

    key: str
    payment_id: str
    amount_minor: int
    currency: str


class SettlementFiles:
    """The files of one folder. What was written is read back at the start, so that a killed relay can go on.

    Args:
        folder: Where the files are; created when missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._written: set[str] = set()
        self._count = 0
        self._total_minor = 0
        self._number = 1
        self._read_back()

    @property
    def current(self) -> str:
        """Name of the file that is being written."""
        return f"settlement-{self._number:06d}.csv"

    def names(self) -> list[str]:
        """All files, oldest first."""
        return sorted(path.name for path in self._folder.iterdir() if NAME.fullmatch(path.name))

    def content(self, name: str) -> bytes | None:
        """What stands in the file ``name``, or None when there is none."""
        path = self._folder / name
        return path.read_bytes() if NAME.fullmatch(name) and path.is_file() else None

    def append(self, rows: Iterable[Row]) -> int:
        """Write the rows that are in no file yet, in one write; returns how many that were."""
        new: dict[str, Row] = {row.payment_id: row for row in rows if row.payment_id not in self._written}
        if new:
            self._write([(row.key, row.payment_id, str(row.amount_minor), row.currency) for row in new.values()])
            self._note(new.values())
        return len(new)

    def cut_off(self) -> str:
        """Close the current file with its control totals and begin the next; returns the closed file's name."""
        closed = self.current
        self._write([(TRAILER, str(self._count), str(self._total_minor))])
        self._begin(self._number + 1)
        return closed

    def _note(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._written.add(row.payment_id)
            self._count += 1
            self._total_minor += row.amount_minor

    def _begin(self, number: int) -> None:
        self._number, self._count, self._total_minor = number, 0, 0

    def _write(self, lines: Sequence[Sequence[str]]) -> None:
        path = self._folder / self.current
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if os.fstat(handle).st_size == 0:
                writer.writerow(HEADER)
            writer.writerows(lines)

    def _read_back(self) -> None:
        for name in self.names():
            match = NAME.fullmatch(name)
            assert match is not None
            self._begin(int(match[1]))
            if self._read_file(self._folder / name):
                self._begin(self._number + 1)

    def _read_file(self, path: Path) -> bool:
        """Note the rows of one file; returns whether it is closed. A line that a kill left unfinished is cut away."""
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)
        for cells in csv.reader(data[:whole].decode().splitlines()):
            if cells[0] == TRAILER:
                return True
            if tuple(cells) != HEADER:
                self._note([Row(cells[0], cells[1], int(cells[2]), cells[3])])
        return False
