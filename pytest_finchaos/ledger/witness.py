"""The story of one violation: what was sent and answered, which fault was on, what the ledger holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest

from pytest_finchaos.ledger.facts import at_stake
from pytest_finchaos.ledger.tally import Violation
from pytest_finchaos.model.history import Attempt, History, Operation, Outcome, Purpose
from pytest_finchaos.model.money import Witness
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.runtime.clock import NS_PER_S

MAX_ATTEMPTS = 10
MAX_ROWS = 8
_KINDS = (Purpose.OPERATION, Purpose.REUSE, Purpose.REPLAY)  # sent again: as a retry, a probe, a replay
_LABELS = {Purpose.REPLAY: "replay", Purpose.REUSE: "key reused with another body", Purpose.SETUP: "setup"}


def teller(history: History, injections: Sequence[InjectionResult]) -> Callable[[Violation], Witness]:
    """A function that tells the story of a violation.

    Args:
        history: Everything that the load did, replays after it included.
        injections: The faults of the drill.
    """
    operations: Mapping[str, Operation] = {each.arrival.key: each for each in history.operations}

    def tell(violation: Violation) -> Witness:
        operation = operations.get(violation.operation or violation.key)
        attempts = () if operation is None else operation.attempts
        amount, currency = (0, "") if operation is None else at_stake(operation.arrival)
        return Witness(
            key=violation.key,
            attempts=_sentences(attempts, history.started_ns),
            faults=_faults(injections, attempts, history.started_ns),
            rows=(violation.what, *violation.rows[:MAX_ROWS]),
            amount_minor=violation.amount_minor or amount or None,
            currency=violation.currency or currency,
        )

    return tell


def telling(
    violations: Sequence[Violation], history: History, injections: Sequence[InjectionResult]
) -> tuple[Violation, ...]:
    """The violations with those first that tell most: in a fault, and of each way in which a request is sent again.

    Args:
        violations: In any order; equals stay in it.
        history: Everything that the load did, replays after it included.
        injections: The faults of the drill.
    """
    operations: Mapping[str, Operation] = {each.arrival.key: each for each in history.operations}
    groups: dict[tuple[bool, Purpose | None], list[Violation]] = defaultdict(list)
    for violation in violations:
        operation = operations.get(violation.operation or violation.key)
        attempts = () if operation is None else operation.attempts
        hit = any(_overlaps(injection, [attempt]) for injection in injections for attempt in attempts)
        groups[hit, _sent_again(attempts)].append(violation)
    ordered: list[Violation] = []
    for hit in (True, False):
        kinds = [groups[hit, kind] for kind in (*_KINDS, None)]
        ordered += [each for each in chain.from_iterable(zip_longest(*kinds)) if each is not None]
    return tuple(ordered)


def _sent_again(attempts: Sequence[Attempt]) -> Purpose | None:
    """How a request was sent again under its key; a retry where there are several, None where it was not."""
    purposes = [attempt.purpose for attempt in attempts]
    if purposes.count(Purpose.OPERATION) > 1:
        return Purpose.OPERATION
    return next((kind for kind in _KINDS[1:] if kind in purposes), None)


def _sentences(attempts: Sequence[Attempt], started_ns: int) -> tuple[str, ...]:
    told = []
    tries = 0
    for attempt in attempts:
        label = _LABELS.get(attempt.purpose) or ("first try" if tries == 0 else f"retry {tries}")
        tries += attempt.purpose is Purpose.OPERATION
        told.append(f"{_at(attempt.sent_ns, started_ns)} {label}: {_end(attempt)}")
    if len(told) > MAX_ATTEMPTS:
        told = [*told[:MAX_ATTEMPTS], f"and {len(told) - MAX_ATTEMPTS} more"]
    return tuple(told)


def _end(attempt: Attempt) -> str:
    if attempt.outcome is Outcome.CENSORED:
        return "no answer when the load ended"
    how = f"HTTP {attempt.status}" if attempt.status else attempt.detail
    return f"{attempt.outcome.value} ({how}) after {(attempt.done_ns - attempt.sent_ns) // 1_000_000} ms"


def _faults(injections: Sequence[InjectionResult], attempts: Sequence[Attempt], started_ns: int) -> tuple[str, ...]:
    """Faults during the attempts; without any, the next one: what was acknowledged before it may be lost by it."""
    during = tuple(_fault(each, started_ns) for each in injections if _overlaps(each, attempts))
    if during or not attempts:
        return during
    last_ns = max(attempt.done_ns for attempt in attempts)
    later = [
        (each.armed_at_ns, each) for each in injections if each.armed_at_ns is not None and each.armed_at_ns > last_ns
    ]
    if not later:
        return ()
    armed_ns, following = min(later, key=lambda pair: pair[0])
    return (f"{_fault(following, started_ns)}, {(armed_ns - last_ns) / NS_PER_S:.3f} s after the last answer",)


def _overlaps(injection: InjectionResult, attempts: Sequence[Attempt]) -> bool:
    if injection.armed_at_ns is None or not attempts:
        return False
    ends = [attempt.done_ns or injection.armed_at_ns for attempt in attempts]  # in flight: until the end
    first_ns, last_ns = min(attempt.sent_ns for attempt in attempts), max(ends)
    return injection.armed_at_ns <= last_ns and (
        injection.disarmed_at_ns is None or first_ns < injection.disarmed_at_ns
    )


def _fault(injection: InjectionResult, started_ns: int) -> str:
    armed = _at(injection.armed_at_ns or 0, started_ns)
    until = "and not removed" if injection.disarmed_at_ns is None else f"to {_at(injection.disarmed_at_ns, started_ns)}"
    return f"{injection.fault}: armed {armed} {until}"


def _at(instant_ns: int, started_ns: int) -> str:
    """Seconds since the start of the load."""
    return f"{(instant_ns - started_ns) / NS_PER_S:+.3f} s"
