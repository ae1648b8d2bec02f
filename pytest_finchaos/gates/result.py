"""What a gate decided, as plain data: what every output is made from."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """Where a required drill or claim stands; only PASS is for the release."""

    FAIL = "fail"  # the system broke its promise
    INVALID = "invalid"  # the run was unsound, so it proves nothing
    LOST = "lost"  # the test began and its result never arrived
    EMPTY = "empty"  # there is no run, or no run holds a drill
    MISSING = "missing"  # no run holds this drill
    DESELECTED = "deselected"  # collected, then not run on purpose
    STALE = "stale"  # older than the gate allows
    UNCHECKED = "unchecked"  # it did not check what the gate requires
    MIXED = "mixed"  # not on the build that the others ran on
    UNDECIDED = "undecided"  # the run was sound, the data cannot decide
    PASS = "pass"  # noqa: S105 - a state, not a password


class Status(enum.Enum):
    """What the gate says."""

    PASS = "pass"  # noqa: S105 - a status, not a password
    FAIL = "fail"
    BLOCKED = "blocked"
    UNDECIDED = "undecided"
    NOT_CONCERNED = "not concerned"


EXIT_CODES = {Status.PASS: 0, Status.NOT_CONCERNED: 0, Status.FAIL: 1, Status.BLOCKED: 1, Status.UNDECIDED: 3}


@dataclass(frozen=True, slots=True)
class Row:
    """One required drill, or a pattern that no drill matches.

    Args:
        id: Node id, or the pattern.
        state: Where it stands.
        text: Why, one sentence.
        run: Run of the result that counts, or "".
        started_at: When that drill began, ISO 8601 UTC, or "".
        age_h: Its age in hours, or None.
        duration_s: How long it took.
        environment: Name of its environment.
        fingerprint: Of the build that served.
        replay: Command that repeats it.
        attempts: Results of this drill on the same change.
    """

    id: str
    state: State
    text: str
    run: str = ""
    started_at: str = ""
    age_h: float | None = None
    duration_s: float = 0.0
    environment: str = ""
    fingerprint: str = ""
    replay: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim on one environment.

    Args:
        slo: Objective.
        at_least: The share claimed, in words.
        environment: Name, or "" when no drill measured the objective.
        fingerprint: Build that the claim is about.
        state: PASS, FAIL, UNDECIDED or MISSING.
        text: Why, with figures.
        good, bad: Events pooled.
        needed: Further good events that would decide, or None.
        left_out: Drills on another build, not pooled.
    """

    slo: str
    at_least: str
    environment: str
    fingerprint: str
    state: State
    text: str
    good: int = 0
    bad: int = 0
    needed: int | None = None
    left_out: int = 0

    @property
    def name(self) -> str:
        """``payment-success ≥ 99.99 % on payments``."""
        where = f" on {self.environment}" if self.environment else ""
        return f"{self.slo} ≥ {self.at_least}{where}"


@dataclass(frozen=True, slots=True)
class GateResult:
    """The decision of a gate.

    Args:
        name: Of the gate.
        status: What it says.
        text: One sentence.
        rows: Required drills, those that block first.
        claims: Pooled claims.
        notes: What a reader should know beside it.
        runs: Ids of the runs that were read.
        decided_at: ISO 8601 UTC.
        on_undecided: ``block`` or ``warn``.
    """

    name: str
    status: Status
    text: str
    rows: tuple[Row, ...] = ()
    claims: tuple[ClaimRow, ...] = ()
    notes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    decided_at: str = ""
    on_undecided: str = "block"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail or blocked, 3 when undecided is the only ground."""
        return EXIT_CODES[self.status]

    @property
    def items(self) -> list[Row | ClaimRow]:
        """Drills, then claims."""
        return [*self.rows, *self.claims]

    @property
    def open(self) -> list[Row | ClaimRow]:
        """What did not pass."""
        return [item for item in self.items if item.state is not State.PASS]


def plural(number: int, word: str) -> str:
    """``1 drill``, ``2 drills``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
