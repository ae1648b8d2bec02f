"""Reads a record file while it grows, and says what is wrong with it."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from pytest_finchaos.load.records import LENGTH, MAGIC, SIZE, Kind, Record, Totals, decode, totals_of
from pytest_finchaos.runtime.growing import GrowingFile

MOST_PROBLEMS = 20  # a file of rubbish would name each of its records


class RecordTail:
    """An incremental reader: each `read` decodes what was appended since the last.

    Args:
        path: The record file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)
        self._rest = b""
        self._expected = 0
        self._seen = dict.fromkeys(Kind, 0)
        self._open: set[tuple[int, int]] = set()
        self._problems: list[str] = []
        self.names: tuple[str, ...] = ()
        self.totals: Totals | None = None
        self.records = 0

    def read(self) -> list[Record]:
        """The records that were appended since the last call, in order."""
        self._rest += self._file.read()
        if not self.names and not self._read_header():
            return []
        whole = len(self._rest) // SIZE * SIZE
        chunk, self._rest = self._rest[:whole], self._rest[whole:]
        records = []
        for at in range(0, whole, SIZE):
            record = decode(chunk[at : at + SIZE])
            if record is None:
                self._problem(f"record {self._expected} is damaged (wrong checksum)")
                self._expected += 1
                continue
            self._follow(record)
            records.append(record)
        return records

    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file, given that nothing more will be appended; empty when it is whole."""
        found = list(self._problems)
        if not self.names:
            return (*found, "the record file has no header")
        if self._rest:
            found.append(f"the record file ends in the middle of a record ({len(self._rest)} of {SIZE} bytes)")
        if self.totals is None:
            found.append("the record file has no footer: the generator did not finish")
            return tuple(found)
        stated, seen = self.totals, self._seen
        for what, says, is_now in (
            ("starts", stated.starts, seen[Kind.START]),
            ("ends", stated.ends, seen[Kind.END]),
            ("drops", stated.drops, seen[Kind.DROP]),
            ("records", stated.records, self.records - seen[Kind.FOOTER]),
        ):
            if says != is_now:
                found.append(f"the footer states {says} {what}, the file holds {is_now}")
        return tuple(found)

    def _read_header(self) -> bool:
        start = len(MAGIC) + LENGTH.size
        if not MAGIC.startswith(self._rest[: len(MAGIC)]):
            self._problem("this is no record file (wrong magic)")
            return False
        if len(self._rest) < start:
            return False
        end = start + int(LENGTH.unpack(self._rest[len(MAGIC) : start])[0])
        if len(self._rest) < end + LENGTH.size:
            return False
        header = self._rest[start:end]
        if LENGTH.unpack(self._rest[end : end + LENGTH.size])[0] != zlib.crc32(header):
            self._problem("the record file's header is damaged (wrong checksum)")
            return False
        self.names = tuple(json.loads(header)["names"])
        self._rest = self._rest[end + LENGTH.size :]
        return True

    def _follow(self, record: Record) -> None:
        if record.sequence != self._expected:
            self._problem(
                f"records are missing or out of order: number {record.sequence} where {self._expected} was due"
            )
        self._expected = record.sequence + 1
        self.records += 1
        self._seen[record.kind] += 1
        attempt = (record.arrival, record.number)
        if record.kind is Kind.START:
            if attempt in self._open:
                self._problem(f"attempt {record.number} of arrival {record.arrival} was started twice")
            self._open.add(attempt)
        elif record.kind is Kind.END:
            if attempt not in self._open:
                self._problem(f"attempt {record.number} of arrival {record.arrival} ended without a start")
            self._open.discard(attempt)
        elif record.kind is Kind.FOOTER:
            if self.totals is not None:
                self._problem("the record file has two footers")
            self.totals = totals_of(record)

    def _problem(self, text: str) -> None:
        if len(self._problems) < MOST_PROBLEMS and text not in self._problems:
            self._problems.append(text)
