"""Operations of unknown outcome are resolved by reading, never by sending them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_finchaos.ledger.facts import Facts, at_stake
from pytest_finchaos.ledger.invariants import LOOKUP
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.target import Asks
from pytest_finchaos.ledger.wording import payment_row, plural
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.request import dig, digest_reference, items_of, placeholders
from pytest_finchaos.model.history import Operation, Outcome
from pytest_finchaos.model.money import Resolution
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

APPLIED, ABSENT, UNRESOLVED = "applied", "absent", "unresolved"
SAMPLE = 50
CONFIRM_WITHIN_S = 3.0
_OPEN = (Outcome.UNKNOWN, Outcome.CENSORED)
_NO_ACCESS = (401, 403, 429)


def unresolved(facts: Facts) -> list[Operation]:
    """Operations of which the client does not know how they ended."""
    return [operation for operation in facts.operations if is_open(operation)]


def is_open(operation: Operation) -> bool:
    """True when the client does not know how the operation ended."""
    return operation.outcome in _OPEN


def resolve(facts: Facts, *, stable: bool) -> tuple[Resolution, ...]:
    """Look every such operation up in the extract.

    Args:
        facts: History and ledger.
        stable: False when the ledger still changed: then absence proves nothing.
    """
    found = []
    for operation in unresolved(facts):
        key = operation.arrival.key
        payments = facts.payments(key)
        if facts.effects(key):
            found.append(
                Resolution(key, APPLIED, f"the ledger holds {plural(len(payments), 'payment')} under this key")
            )
        elif payments:
            found.append(Resolution(key, ABSENT, f"the ledger holds it as {payments[0].status}; no money moved"))
        elif stable:
            found.append(Resolution(key, ABSENT, "the ledger at rest holds no payment under this key"))
        else:
            found.append(Resolution(key, UNRESOLVED, "not in the ledger, which still changed"))
    return tuple(found)


def confirm(facts: Facts, lookup: OperationSpec, api: Asks, clock: Clock) -> Tally:
    """Ask the API about a sample, unresolved operations first, and compare with the ledger.

    Args:
        facts: History and ledger.
        lookup: The operation that reads one payment, by key or by the system's own id.
        api: Sends requests.
        clock: The clock.
    """
    deadline_ns = clock.now_ns() + int(CONFIRM_WITHIN_S * NS_PER_S)
    checked, violations, unanswered = 0, [], ""
    by_id = "reference" in placeholders(lookup)
    for operation in sample(facts):
        left_s = (deadline_ns - clock.now_ns()) / NS_PER_S
        if left_s <= 0:
            break
        arrival = operation.arrival
        values = {**arrival.values, "key": arrival.key, "index": arrival.index}
        if by_id:  # then only what the ledger holds can be asked for
            held = facts.payments(arrival.key)
            if not held:
                continue
            values["reference"] = held[0].id
        answer = api.send(lookup, values, min(lookup.timeout_s, left_s))
        told = told_items(answer, lookup, answer.json)
        if told is None:
            unanswered = f"HTTP {answer.status}" if answer.status else answer.detail
            continue
        checked += 1
        what = _disagreement(facts, arrival.key, told, lookup, answer)
        if what:
            amount, currency = at_stake(arrival)
            rows = tuple(map(payment_row, facts.payments(arrival.key)))
            violations.append(Violation(arrival.key, what, amount, currency, rows))
    why = f"no look-up was answered ({unanswered})" if unanswered else "there is no operation to look up"
    return Tally(
        LOOKUP,
        "what the API says of a payment is what the ledger holds",
        "looked-up payments are told otherwise than the ledger holds them",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check(why),
    )


def sample(facts: Facts) -> list[Operation]:
    """At most `SAMPLE` operations: those of unknown outcome, then acknowledged ones, spread over the drill."""
    doubtful = spread(unresolved(facts), SAMPLE)
    sure = [operation for operation in facts.operations if operation.outcome is Outcome.OK]
    return doubtful + spread(sure, SAMPLE - len(doubtful))


def spread(operations: Sequence[Operation], most: int) -> list[Operation]:
    """At most ``most`` of them, evenly from first to last."""
    if len(operations) <= most:
        return list(operations)
    return [operations[number * len(operations) // most] for number in range(most)]


def told_items(answer: Answer, lookup: OperationSpec, plain: Any) -> list[Any] | None:
    """What a look-up tells of: each payment; none when there is no such payment; None without a word on it.

    Args:
        answer: The answer.
        lookup: The operation.
        plain: The answer's body, parsed.
    """
    if answer.outcome is Outcome.OK:
        return [plain] if lookup.items is None else items_of(plain, lookup.items)
    return [] if answer.outcome is Outcome.REFUSED and answer.status not in _NO_ACCESS else None


def _disagreement(facts: Facts, key: str, told: list[Any], lookup: OperationSpec, answer: Answer) -> str:
    payments = facts.payments(key)
    if told and not payments:
        return "is told by the API and not in the ledger"
    if not told and facts.effects(key):
        return f"is in the ledger and unknown to the API (HTTP {answer.status})"
    held = {digest_reference(payment.id) for payment in payments}
    if any(reference not in held for reference in _references(told, lookup, answer)):
        return "is told by the API as another payment than the ledger holds"
    if lookup.items is not None and len(told) < len(facts.effects(key)):
        return f"is told by the API {len(told)} times, the ledger holds it {len(facts.effects(key))} times"
    return ""


def _references(told: list[Any], lookup: OperationSpec, answer: Answer) -> list[str]:
    """Digests of the ids that a look-up told, as far as it told any."""
    if not told or lookup.reference is None:
        return []
    if lookup.items is None:
        return [answer.reference] if answer.reference else []
    found = [dig(item, lookup.reference) for item in told]
    return [digest_reference(str(each)) for each in found if each is not None]
