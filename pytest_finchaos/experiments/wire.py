"""What crosses between an experiment's process and its drill: one JSON line each way, on a Unix socket."""

from __future__ import annotations

import json
from typing import Any

SOCKET = "FINCHAOS_EXPERIMENT_SOCKET"
TOKEN = "FINCHAOS_EXPERIMENT_TOKEN"  # noqa: S105 - the name of a variable
MOST_BYTES = 1_000_000


class WireError(ValueError):
    """A line that is no call or no answer."""


def line(value: Any) -> bytes:
    """``value`` as one line; what JSON does not know becomes text."""
    return json.dumps(value, default=str, ensure_ascii=True).encode() + b"\n"


def table(data: bytes) -> dict[str, Any]:
    """The object that a line holds.

    Raises:
        WireError: It holds none.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise WireError(f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError("no object")
    return value
