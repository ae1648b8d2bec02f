"""The system's own ids as its answers told them: kept beside the records where look-ups go by them, and not longer.

Records hold digests, for an id may say more than a report should. A look-up by id needs the id itself. So the driver
appends one line for each to a file that only its owner can read, and the drill removes it once the money is checked.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_finchaos.load.request import dig, looks_like_card_number
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import OperationSpec

FILE = "references.jsonl"
MAX_LINES = 2_000_000
MAX_LENGTH = 200


class ReferenceWriter:
    """Appends, one write each, so that SIGKILL of the writer loses none.

    Args:
        path: A file that does not exist yet.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o600)
        self._lines = 0

    def keep(self, index: int, operation: OperationSpec, body: bytes) -> None:
        """Keep the reference that an answer told, if it told one; what looks like a card number is never stored.

        Args:
            index: Of the arrival.
            operation: The operation that was answered.
            body: The answer's body.
        """
        if operation.reference is None or self._lines >= MAX_LINES:
            return
        try:
            plain: Any = json.loads(body)
        except ValueError:
            return
        found = dig(plain, operation.reference)
        if found is None or len(str(found)) > MAX_LENGTH or looks_like_card_number(str(found)):
            return
        os.write(self._handle, json.dumps([index, str(found)]).encode() + b"\n")
        self._lines += 1


def read_references(path: Path) -> Mapping[int, Sequence[str]]:
    """Arrival index to the ids that its answers told, each once, in order; empty without a file.

    Raises:
        UserError: The file is damaged.
    """
    found: dict[int, dict[str, None]] = defaultdict(dict)
    if not path.exists():
        return {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            index, reference = json.loads(line)
        except ValueError:
            raise UserError(str(path), f"line {number} is damaged") from None
        found[int(index)][str(reference)] = None
    return {index: tuple(ids) for index, ids in found.items()}
