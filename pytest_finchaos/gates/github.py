"""GitHub annotations: workflow commands on standard output, as few as GitHub shows, escaped."""

from __future__ import annotations

from pytest_finchaos.gates.policy import WARN
from pytest_finchaos.gates.result import ClaimRow, GateResult, Row, State, plural
from pytest_finchaos.gates.text import clip, heading

SHOWN = 10  # errors, and as many warnings, that GitHub shows for one step; the rest it drops in silence
_MESSAGE = 1000


def commands(result: GateResult) -> list[str]:
    """``::error …`` for what blocks, ``::warning …`` for what the policy only warns about, at most ten of each."""
    rows = result.open
    warned = [row for row in rows if row.state is State.UNDECIDED and result.on_undecided == WARN]
    blocking = [row for row in rows if row not in warned]
    lines = _commands("error", blocking, result)
    lines += _commands("warning", warned, result)
    if not rows:
        lines.append(_command("notice", {"title": f"gate {result.name}"}, heading(result)))
    return lines


def _commands(kind: str, rows: list[Row | ClaimRow], result: GateResult) -> list[str]:
    shown = rows if len(rows) <= SHOWN else rows[: SHOWN - 1]
    lines = [_of(kind, row, result) for row in shown]
    if len(shown) < len(rows):
        more = f"{plural(len(rows) - len(shown), 'more required item')}: see the step summary"
        lines.append(_command(kind, {"title": f"gate {result.name}"}, more))
    return lines


def _of(kind: str, row: Row | ClaimRow, result: GateResult) -> str:
    name = row.name if isinstance(row, ClaimRow) else row.id
    properties = {"title": f"gate {result.name}: {row.state.value}"}
    if isinstance(row, Row) and "::" in row.id:
        properties = {"file": row.id.partition("::")[0], **properties}
    return _command(kind, properties, f"{name}: {row.text}")


def _command(kind: str, properties: dict[str, str], message: str) -> str:
    words = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{kind} {words}::{_data(clip(message, _MESSAGE))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clip(text)).replace(":", "%3A").replace(",", "%2C")
