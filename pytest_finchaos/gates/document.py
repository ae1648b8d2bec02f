"""The decision as plain data, for whoever reads it with a program."""

from __future__ import annotations

from typing import Any

from pytest_finchaos.gates.result import GateResult
from pytest_finchaos.runtime import codec

SCHEMA = "finchaos-gate/1"


def to_text(result: GateResult) -> str:
    """JSON text, one line, keys sorted."""
    plain: dict[str, Any] = codec.to_plain(result)
    return codec.dumps({"schema": SCHEMA, "exit_code": result.exit_code, **plain}) + "\n"
