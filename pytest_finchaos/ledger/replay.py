"""After the check: the same requests once more, which must change nothing and answer the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_finchaos.ledger.case import Case
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.history import outcome_of
from pytest_finchaos.model.history import Attempt, History, Operation, Outcome, Purpose
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

MAX_UNKNOWN = 200
MAX_OK = 50
WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What sending again gave.

    Args:
        history: The history with the new attempts.
        sent: Number of requests that were sent.
        left_out: What was not sent again, one sentence, or "".
    """

    history: History
    sent: int
    left_out: str


def replay(case: Case, history: History, send: Callable[[Operation], Answer], *, clock: Clock) -> Replayed:
    """Send unknown operations and a sample of acknowledged ones again, with the same key and body.

    Args:
        case: The checked case.
        history: Its history.
        send: Sends one operation.
        clock: Bounds the sending to `WITHIN_S` seconds.

    Returns:
        The history as it is now. An operation of unknown outcome that is acknowledged now is ok.
    """
    unknown = [each for each in case.sent if each.outcome in (Outcome.UNKNOWN, Outcome.CENSORED)]
    known = [each for each in case.sent if each.outcome is Outcome.OK]
    chosen = [*unknown[:MAX_UNKNOWN], *_spread(known, MAX_OK)]
    until_ns = clock.now_ns() + int(WITHIN_S * NS_PER_S)
    again: dict[int, Operation] = {}
    for operation in chosen:
        if clock.now_ns() >= until_ns:
            break
        again[operation.arrival.index] = _with_attempt(operation, send(operation))
    unknown_sent = sum(each.arrival.index in again for each in unknown)
    known_sent = len(again) - unknown_sent
    return Replayed(
        dataclasses.replace(
            history, operations=tuple(again.get(each.arrival.index, each) for each in history.operations)
        ),
        len(again),
        _left_out(len(unknown) - unknown_sent, len(known) - known_sent),
    )


def _spread(operations: Sequence[Operation], most: int) -> list[Operation]:
    if len(operations) <= most:
        return list(operations)
    return [operations[position * len(operations) // most] for position in range(most)]


def _with_attempt(operation: Operation, answer: Answer) -> Operation:
    attempt = Attempt(
        index=operation.arrival.index,
        number=len(operation.attempts),
        purpose=Purpose.REPLAY,
        outcome=answer.outcome,
        detail=answer.detail,
        status=answer.status,
        intended_ns=operation.intended_ns,
        sent_ns=answer.sent_ns,
        done_ns=answer.done_ns,
        reference=answer.reference,
        answer=answer.answer,
        value=answer.value,
    )
    attempts = (*operation.attempts, attempt)
    return dataclasses.replace(operation, attempts=attempts, outcome=outcome_of(attempts))


def _left_out(unknown: int, known: int) -> str:
    if not unknown and not known:
        return ""
    return (
        f"not sent again: {unknown} operations of unknown outcome, {known} acknowledged ones"
        f" (at most {MAX_UNKNOWN} and a sample of {MAX_OK}, within {WITHIN_S:g} s)"
    )
