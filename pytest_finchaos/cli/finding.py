"""What a check of the machine found: state, what follows from it, the cure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SCHEMA = "finchaos-doctor/1"


class State(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of the doctor.

    Args:
        level: What it belongs to; findings of one level stand together.
        name: What was looked at.
        state: How it is.
        seen: What was found, with versions and places.
        follows: What follows from it for drills.
        cure: What to do next; "" when there is nothing to do.
        needed: True when the configuration cannot do without it.
    """

    level: str
    name: str
    state: State
    seen: str
    follows: str = ""
    cure: str = ""
    needed: bool = False

    @property
    def blocks(self) -> bool:
        """True when something that the configuration needs is not there."""
        return self.needed and self.state is State.MISSING


def ok(level: str, name: str, seen: str, follows: str = "", cure: str = "") -> Finding:
    """A finding of something that is there."""
    return Finding(level, name, State.OK, seen, follows, cure)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when everything is there that the configuration needs, else 1."""
    return 1 if any(finding.blocks for finding in findings) else 0


def rendered(findings: Sequence[Finding]) -> list[str]:
    """Lines for a terminal, level by level, and a last line that sums up."""
    lines: list[str] = []
    level = ""
    for finding in findings:
        if finding.level != level:
            level = finding.level
            lines += [*([""] if lines else []), level]
        lines.append(f"  {_word(finding):8} {finding.name}: {finding.seen}")
        if finding.follows:
            lines.append(f"{'':13}{finding.follows}")
        if finding.cure:
            lines.append(f"{'':13}next: {finding.cure}")
    return [*lines, "", summary(findings)]


def _word(finding: Finding) -> str:
    if finding.state is State.MISSING and not finding.needed:
        return "absent"  # nobody asked for it: said, but no alarm
    return finding.state.value.upper() if finding.blocks else finding.state.value


def summary(findings: Sequence[Finding]) -> str:
    """One line."""
    blocking = [finding.name for finding in findings if finding.blocks]
    warned = sum(finding.state is State.WARNING for finding in findings)
    warnings = f"; {warned} warning{'s' * (warned != 1)}" if warned else ""
    if blocking:
        return f"needed and missing: {', '.join(blocking)}{warnings}"
    return f"everything that this configuration needs is there{warnings}"


def as_data(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as JSON data."""
    rows = [{**asdict(finding), "state": finding.state.value} for finding in findings]
    return {"schema": SCHEMA, "ready": exit_code(findings) == 0, "summary": summary(findings), "findings": rows}
