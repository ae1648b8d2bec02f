"""What the load did: arrivals (planned), attempts (sent), operations (intents, one idempotency key each)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Outcome(enum.Enum):
    """How an attempt or an operation ended, as far as the client can know.

    OK: done. DECLINED: a business decline, final, without effect. REFUSED: a final refusal (bad request,
    key reused), without effect. FAILED: nothing can have happened (connection refused before a byte was sent).
    UNKNOWN: may or may not have happened. CENSORED: still in flight when the load ended.
    """

    OK = "ok"
    DECLINED = "declined"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CENSORED = "censored"

    @property
    def terminal(self) -> bool:
        """True when the answer is the system's final word."""
        return self in (Outcome.OK, Outcome.DECLINED, Outcome.REFUSED)


REUSE_ADDS_MINOR = 1  # how the body of a key-reuse probe differs from that of its operation


class Purpose(enum.Enum):
    """Why an attempt was made; only OPERATION attempts count for objectives."""

    OPERATION = "operation"  # first try and its retries
    REPLAY = "replay"  # same key and body again, after a final answer
    REUSE = "reuse"  # same key with another body: must be refused
    SETUP = "setup"  # login and the like, before the load


@dataclass(frozen=True, slots=True)
class Arrival:
    """One planned operation: a pure function of (profile, seed, index).

    Args:
        index: 0, 1, 2, … in order of time.
        intended_ns: Offset from the start of the load, nanoseconds.
        operation: Operation name.
        key: Idempotency key; holds run and drill, so that drills can be told apart.
        values: Placeholder values, e.g. ``amount_minor`` (int), ``currency``, ``customer``.
        replay_after_ns: When not None, replay the operation this long after its final answer.
        reuse_after_ns: When not None, send the key with another amount this long after its final answer.
    """

    index: int
    intended_ns: int
    operation: str
    key: str
    values: Mapping[str, Any]
    replay_after_ns: int | None = None
    reuse_after_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP exchange.

    Args:
        index: Arrival index.
        number: 0 for the first attempt, then 1, 2, … over retries, replays and probes of one arrival.
        purpose: Why it was made.
        outcome: How it ended.
        detail: ``timeout``, ``reset``, ``refused-connection``, ``malformed``, ``http`` or ``none``.
        status: HTTP status, 0 without one.
        intended_ns, sent_ns, done_ns: CLOCK_MONOTONIC; ``done_ns`` is 0 when censored.
        reference: blake2b-16 hex of the answer's reference (see `OperationSpec.reference`), or "".
        answer: blake2b-8 hex over the answer's projection (see `OperationSpec.answer`), or "".
        value: The number that `OperationSpec.value` names, or None.
    """

    index: int
    number: int
    purpose: Purpose
    outcome: Outcome
    detail: str
    status: int
    intended_ns: int
    sent_ns: int
    done_ns: int
    reference: str = ""
    answer: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One arrival with what became of it.

    Args:
        arrival: The plan.
        intended_ns: CLOCK_MONOTONIC (start of the load plus the arrival's offset).
        attempts: In order; empty when never sent.
        outcome: By the rule of `load.history.outcome_of`; None when never sent.
        late_ns: First send minus intended; 0 when never sent.
        latency_ns: End of the last OPERATION attempt minus *intended*; None when censored or never sent.
    """

    arrival: Arrival
    intended_ns: int
    attempts: tuple[Attempt, ...]
    outcome: Outcome | None
    late_ns: int
    latency_ns: int | None

    @property
    def sent(self) -> bool:
        """True when at least one attempt left."""
        return bool(self.attempts)


@dataclass(frozen=True, slots=True)
class Counts:
    """Exact accounting: ``planned = sent + unsent``; ``sent = ok + declined + failed + unknown + censored``.

    ``failed`` holds refused and failed. ``dropped`` are arrivals that the in-flight cap kept back, ``unsent`` all that
    never left (dropped among them). ``late`` left more than the limit after their intended time.
    """

    planned: int = 0
    sent: int = 0
    unsent: int = 0
    late: int = 0
    dropped: int = 0
    censored: int = 0
    ok: int = 0
    declined: int = 0
    failed: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class GeneratorReport:
    """What the load driver says of itself, joined with what its record file shows.

    Args:
        complete: True when the record file has its footer, every record's checksum holds and the totals agree.
        problems: Sentences, empty when complete.
        lag_p50_ns, lag_p99_ns: Lag of first sends behind the plan; 0 without sends.
        cpu_s: CPU seconds of the driver.
        wall_s: Wall seconds of the load.
        records: Number of records read.
        max_in_flight: Highest number of requests in flight.
    """

    complete: bool
    problems: tuple[str, ...] = ()
    lag_p50_ns: int = 0
    lag_p99_ns: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    records: int = 0
    max_in_flight: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Everything that one load did.

    Args:
        profile: Profile name.
        rate_per_s: Configured rate.
        seed: Seed text of the load.
        started_ns, stopped_ns: CLOCK_MONOTONIC of the first intended instant and of the end of planning.
        operations: By arrival index.
        generator: Soundness of the generator.
        counts: Accounting over `operations`.
    """

    profile: str
    rate_per_s: float
    seed: str
    started_ns: int
    stopped_ns: int
    operations: tuple[Operation, ...]
    generator: GeneratorReport
    counts: Counts
    names: tuple[str, ...] = field(default=())
