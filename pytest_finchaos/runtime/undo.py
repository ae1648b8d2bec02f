"""The undo journal: what must be undone is on disk before the act, as plain data that a reaper can carry out alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.files import append_line


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """One thing to undo.

    Args:
        id: Unique.
        kind: ``remove-toxic``, ``enable-proxy``, ``delete-proxy`` or ``continue-process``.
        arguments: All that the undo needs, plain JSON data (see `proxy.undo`).
    """

    id: str
    kind: str
    arguments: Mapping[str, Any]


class UndoJournal:
    """Append-only, fsynced JSON lines; one file for each environment.

    Args:
        path: The file; created at the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def intend(self, kind: str, arguments: Mapping[str, Any]) -> UndoRecord:
        """Write the undo of an act that has not happened yet; on disk when this returns."""
        record = UndoRecord(f"{kind}-{secrets.token_hex(6)}", kind, dict(arguments))
        append_line(self.path, codec.dumps(record), durable=True)
        return record

    def done(self, record: UndoRecord) -> None:
        """Mark ``record`` as undone and proven gone."""
        append_line(self.path, codec.dumps({"done": record.id}), durable=True)

    def pending(self) -> tuple[UndoRecord, ...]:
        """Records without a done mark, newest first: the order in which to undo. A torn last line is skipped."""
        if not self.path.exists():
            return ()
        open_records: dict[str, UndoRecord] = {}
        for line in self.path.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                plain = json.loads(line)
                record: UndoRecord | None = None if "done" in plain else codec.from_plain(UndoRecord, plain)
            except (ValueError, TypeError):
                continue  # torn by a crash: an intention that was not durable led to no act
            if record is None:
                open_records.pop(plain["done"], None)
            else:
                open_records[record.id] = record
        return tuple(reversed(open_records.values()))
