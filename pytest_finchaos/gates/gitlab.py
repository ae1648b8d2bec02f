"""GitLab's code quality report: what stands in the way shows in the merge request, beside the file of its test."""

from __future__ import annotations

import hashlib
import json

from pytest_finchaos.gates.policy import WARN
from pytest_finchaos.gates.result import ClaimRow, GateResult, Row, State
from pytest_finchaos.gates.text import clip

_SEVERITY = {State.FAIL: "blocker", State.UNDECIDED: "major"}


def code_quality(result: GateResult, source: str) -> str:
    """The report as JSON; an empty list when nothing stands in the way.

    Args:
        result: The decision.
        source: The configuration file, relative: where claims and patterns without a drill are shown.
    """
    return json.dumps([_issue(row, result, source) for row in result.open], ensure_ascii=False, indent=1) + "\n"


def _issue(row: Row | ClaimRow, result: GateResult, source: str) -> dict[str, object]:
    name = row.name if isinstance(row, ClaimRow) else row.id
    warned = row.state is State.UNDECIDED and result.on_undecided == WARN
    file = row.id.partition("::")[0] if isinstance(row, Row) and "::" in row.id and "*" not in row.id else source
    identity = f"{result.name}\n{row.state.value}\n{name}".encode("utf-8", "surrogatepass")
    return {
        "description": clip(f"gate {result.name}: {row.state.value}: {name}: {row.text}", 600),
        "check_name": f"finchaos.{row.state.value}",
        "fingerprint": hashlib.sha256(identity).hexdigest(),
        "severity": "minor" if warned else _SEVERITY.get(row.state, "critical"),
        "location": {"path": clip(file).removeprefix("./"), "lines": {"begin": 1}},
    }
