"""What became of operations whose outcome the client does not know: by reading, never by sending them again."""

from __future__ import annotations

from collections.abc import Callable

from pytest_finchaos.ledger.case import Case
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import Operation, Outcome
from pytest_finchaos.model.money import Resolution
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

MAX_LOOK_UPS = 50
WITHIN_S = 5.0

APPLIED = "applied"
ABSENT = "absent"
UNRESOLVED = "unresolved"


def resolve(case: Case, look_up: Callable[[Operation], Answer] | None, *, clock: Clock) -> tuple[Resolution, ...]:
    """Resolve unknown and censored operations from the ledger; the first of them are confirmed through the API.

    Args:
        case: History and ledger at rest.
        look_up: Reads one payment by key through the system's API; None when it has no such operation.
        clock: Bounds the look-ups to `WITHIN_S` seconds.

    Returns:
        One resolution for each; ``unresolved`` when ledger and API contradict each other.
    """
    until_ns = clock.now_ns() + int(WITHIN_S * NS_PER_S)
    found: list[Resolution] = []
    for operation in case.sent:
        if operation.outcome not in (Outcome.UNKNOWN, Outcome.CENSORED):
            continue
        asks = look_up is not None and len(found) < MAX_LOOK_UPS and clock.now_ns() < until_ns
        found.append(_resolve(case, operation, look_up(operation) if look_up is not None and asks else None))
    return tuple(found)


def _resolve(case: Case, operation: Operation, answer: Answer | None) -> Resolution:
    key = operation.arrival.key
    payments = case.payments.get(key, ())
    state = APPLIED if payments else ABSENT
    how = f"the ledger holds {len(payments)} payments under the key" if payments else "the ledger holds no payment"
    if answer is None:
        return Resolution(key, state, how)
    if answer.outcome is Outcome.OK:
        held = {digest_reference(payment.id) for payment in payments}
        agrees = bool(payments) and (not answer.reference or answer.reference in held)
        says = "a payment" if payments or not answer.reference else "a payment that the ledger does not hold"
    elif answer.outcome in (Outcome.REFUSED, Outcome.DECLINED):
        agrees, says = not payments, "none"
    else:
        end = f"HTTP {answer.status}" if answer.status else answer.detail
        return Resolution(key, state, f"{how}; the look-up got no answer ({end})")
    if agrees:
        return Resolution(key, state, f"{how}; the look-up agrees")
    return Resolution(key, UNRESOLVED, f"{how}; the look-up contradicts: it found {says}")
