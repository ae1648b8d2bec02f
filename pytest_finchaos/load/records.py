"""The record file: one record of fixed size for each start and each end of an attempt, written as it happens.

A file is a header (magic, length, JSON, checksum), then records of `SIZE` bytes. The start is written before the first
byte leaves, so that a killed driver loses nothing: a start without an end is a request that was in flight. The
footer, the last record, states totals; a file without it was not finished.
"""

from __future__ import annotations

import enum
import math
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pytest_finchaos.load.request import DETAILS
from pytest_finchaos.model.history import Outcome, Purpose
from pytest_finchaos.runtime import codec

MAGIC = b"finchaos-records/1\n"
LENGTH = struct.Struct("<I")
# kind, outcome, number, purpose, detail, flags, operation, status, arrival, sequence, intended, sent, done,
# reference, answer, value
_BODY = struct.Struct("<BBBBBB2xHHIIqqq16s8sd")
_CHECKSUM = struct.Struct("<I")
SIZE = _BODY.size + _CHECKSUM.size
_FOOTER = struct.Struct("<IIIII4x")  # starts, ends, drops, most in flight, planned: in place of reference and answer
OUTCOMES = tuple(Outcome)
PURPOSES = tuple(Purpose)
_HAS_VALUE, _HAS_REFERENCE, _HAS_ANSWER = 1, 2, 4


class Kind(enum.IntEnum):
    """What a record says."""

    BEGIN = 1  # the load began: sent_ns
    START = 2  # an attempt is about to be sent
    END = 3  # it ended
    DROP = 4  # an arrival was given up: the cap kept it back for too long
    STOP = 5  # planning ended: sent_ns
    FOOTER = 6


class Record(NamedTuple):
    """One record, decoded; times are CLOCK_MONOTONIC."""

    kind: Kind
    arrival: int = 0
    number: int = 0
    purpose: Purpose = Purpose.OPERATION
    operation: int = 0
    intended_ns: int = 0
    sent_ns: int = 0
    done_ns: int = 0
    outcome: Outcome = Outcome.CENSORED
    detail: str = "none"
    status: int = 0
    reference: str = ""
    answer: str = ""
    value: float | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What the footer states."""

    starts: int = 0
    ends: int = 0
    drops: int = 0
    max_in_flight: int = 0
    planned: int = 0
    cpu_us: int = 0
    records: int = 0  # before the footer


def encode(record: Record) -> bytes:
    """``record`` in `SIZE` bytes."""
    flags = 0
    if record.value is not None:
        flags |= _HAS_VALUE
    if record.reference:
        flags |= _HAS_REFERENCE
    if record.answer:
        flags |= _HAS_ANSWER
    body = _BODY.pack(
        record.kind,
        OUTCOMES.index(record.outcome),
        min(record.number, 255),
        PURPOSES.index(record.purpose),
        DETAILS.index(record.detail),
        flags,
        record.operation,
        record.status,
        record.arrival,
        record.sequence,
        record.intended_ns,
        record.sent_ns,
        record.done_ns,
        bytes.fromhex(record.reference),
        bytes.fromhex(record.answer),
        math.nan if record.value is None else record.value,
    )
    return body + _CHECKSUM.pack(zlib.crc32(body))


def decode(data: bytes) -> Record | None:
    """The record in ``data``, or None when its checksum is wrong or its fields are impossible."""
    body = data[: _BODY.size]
    if len(data) != SIZE or _CHECKSUM.unpack(data[_BODY.size :])[0] != zlib.crc32(body):
        return None
    fields = _BODY.unpack(body)
    kind, outcome, number, purpose, detail, flags, operation, status, arrival, sequence = fields[:10]
    intended_ns, sent_ns, done_ns, reference, answer, value = fields[10:]
    try:
        return Record(
            kind=Kind(kind),
            arrival=arrival,
            number=number,
            purpose=PURPOSES[purpose],
            operation=operation,
            intended_ns=intended_ns,
            sent_ns=sent_ns,
            done_ns=done_ns,
            outcome=OUTCOMES[outcome],
            detail=DETAILS[detail],
            status=status,
            reference=reference.hex() if flags & _HAS_REFERENCE else "",
            answer=answer.hex() if flags & _HAS_ANSWER else "",
            value=value if flags & _HAS_VALUE else None,
            sequence=sequence,
        )
    except (ValueError, IndexError):
        return None


class RecordWriter:
    """Appends records, one write each, so that SIGKILL of the writer loses none.

    Args:
        path: A file that does not exist yet.
        names: Operation names; a record holds the position.
        summary: What else the header says; never a secret.
    """

    def __init__(self, path: Path, names: Sequence[str], summary: Mapping[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o644)
        header = codec.dumps({"names": list(names), "summary": dict(summary), "record_size": SIZE}).encode()
        content = LENGTH.pack(len(header)) + header + LENGTH.pack(zlib.crc32(header))
        os.write(self._handle, MAGIC + content)
        self.counts = dict.fromkeys(Kind, 0)
        self.written = 0

    def write(self, record: Record) -> None:
        """Append one record; numbers it."""
        data = encode(record._replace(sequence=self.written))
        if os.write(self._handle, data) != SIZE:
            raise OSError(f"the disk is full: record {self.written} was written in part")
        self.written += 1
        self.counts[record.kind] += 1

    def finish(self, *, started_ns: int, stopped_ns: int, planned: int, max_in_flight: int, cpu_us: int) -> Totals:
        """Write the footer and close the file."""
        totals = Totals(
            starts=self.counts[Kind.START],
            ends=self.counts[Kind.END],
            drops=self.counts[Kind.DROP],
            max_in_flight=max_in_flight,
            planned=planned,
            cpu_us=cpu_us,
            records=self.written,
        )
        packed = _FOOTER.pack(totals.starts, totals.ends, totals.drops, totals.max_in_flight, totals.planned)
        self.write(
            Record(
                Kind.FOOTER,
                intended_ns=totals.cpu_us,
                sent_ns=started_ns,
                done_ns=stopped_ns,
                reference=packed[:16].hex(),
                answer=packed[16:].hex(),
            )
        )
        os.close(self._handle)
        return totals


def totals_of(footer: Record) -> Totals:
    """What a footer record states."""
    packed = bytes.fromhex(footer.reference) + bytes.fromhex(footer.answer)
    starts, ends, drops, most, planned = _FOOTER.unpack(packed)
    return Totals(starts, ends, drops, most, planned, footer.intended_ns, footer.sequence)
