"""After the check: send unknown and some acknowledged operations again, same key and body, and look once more.

Only after the check, because a replay executes what was lost and so would hide the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.resolve import spread, unresolved
from pytest_finchaos.ledger.target import Asks
from pytest_finchaos.ledger.wording import plural
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.history import outcome_of
from pytest_finchaos.model.history import Attempt, History, Operation, Outcome, Purpose
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

MAX_UNKNOWN = 200
MAX_ACKNOWLEDGED = 50
WITHIN_S = 5.0
GIVE_UP_AFTER = 5  # answers in a row that say nothing
_NO_ACCESS = {401: "the token is no longer accepted", 403: "access is refused", 429: "too many requests"}


@dataclass(frozen=True, slots=True)
class Replays:
    """What was sent again.

    Args:
        history: The history with the replays as further attempts.
        sent: Number of replays.
        answered: Number of final answers.
        left_out: Why something was not replayed, or "".
    """

    history: History
    sent: int
    answered: int
    left_out: str


def replay(history: History, facts: Facts, operation: OperationSpec, api: Asks, clock: Clock) -> Replays:
    """Send unknown operations (at most `MAX_UNKNOWN`) and a sample of acknowledged ones again, one after another.

    Args:
        history: Everything that the load did.
        facts: The same with the ledger.
        operation: The operation that moves money; it must carry its key.
        api: Sends requests.
        clock: The clock.

    Returns:
        What was sent, within `WITHIN_S` seconds.
    """
    unknown = unresolved(facts)
    acknowledged = [each for each in facts.operations if each.outcome is Outcome.OK]
    chosen = spread(unknown, MAX_UNKNOWN) + spread(acknowledged, MAX_ACKNOWLEDGED)
    deadline_ns = clock.now_ns() + int(WITHIN_S * NS_PER_S)
    made: dict[int, Attempt] = {}
    silent, stopped = 0, ""
    for each in chosen:
        left_s = (deadline_ns - clock.now_ns()) / NS_PER_S
        if left_s <= 0:
            stopped = f"{WITHIN_S:g} s were over"
            break
        arrival = each.arrival
        values = {**arrival.values, "key": arrival.key, "index": arrival.index}
        answer = api.send(operation, values, min(operation.timeout_s, left_s))
        made[arrival.index] = _attempt(each, answer)
        if answer.status in _NO_ACCESS:
            stopped = f"HTTP {answer.status}: {_NO_ACCESS[answer.status]}"
            break
        silent = 0 if answer.outcome.terminal else silent + 1
        if silent == GIVE_UP_AFTER:
            stopped = f"{silent} in a row got no final answer, the last one {answer.detail} (HTTP {answer.status})"
            break
    operations = tuple(_with(each, made.get(each.arrival.index)) for each in history.operations)
    answered = sum(attempt.outcome.terminal for attempt in made.values())
    left_out = _left_out(len(unknown) + min(len(acknowledged), MAX_ACKNOWLEDGED), len(made), stopped)
    return Replays(replace(history, operations=operations), len(made), answered, left_out)


def _left_out(wanted: int, sent: int, stopped: str) -> str:
    if sent == wanted and not stopped:
        return ""
    why = stopped or f"the limit is {MAX_UNKNOWN} of unknown outcome"
    return f"{plural(wanted - sent, 'operation')} not replayed: {why}"


def _attempt(operation: Operation, answer: Answer) -> Attempt:
    outcome = Outcome.UNKNOWN if answer.status in _NO_ACCESS else answer.outcome
    return Attempt(
        index=operation.arrival.index,
        number=max((attempt.number for attempt in operation.attempts), default=-1) + 1,
        purpose=Purpose.REPLAY,
        outcome=outcome,
        detail=answer.detail,
        status=answer.status,
        intended_ns=answer.sent_ns,
        sent_ns=answer.sent_ns,
        done_ns=answer.done_ns,
        reference=answer.reference,
        answer=answer.answer,
        value=answer.value,
    )


def _with(operation: Operation, attempt: Attempt | None) -> Operation:
    if attempt is None:
        return operation
    attempts: Sequence[Attempt] = (*operation.attempts, attempt)
    return replace(operation, attempts=tuple(attempts), outcome=outcome_of(attempts))
