"""Answers against answers: one key, one answer; another body under a used key is refused."""

from __future__ import annotations

from pytest_finchaos.ledger.facts import Facts, at_stake
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import payment_row
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import Attempt, Operation, Outcome, Purpose
from pytest_finchaos.model.money import Payment

_FINAL = (Outcome.OK, Outcome.DECLINED)


def same_key_same_answer(facts: Facts) -> Tally:
    """All final answers to one key are equal in what `OperationSpec.answer` names; unknown ones are no answers."""
    checked, violations = 0, []
    for operation in facts.operations:
        answers = [
            (attempt.outcome, attempt.answer or attempt.reference)
            for attempt in operation.attempts
            if attempt.outcome in _FINAL and attempt.purpose in (Purpose.OPERATION, Purpose.REPLAY)
        ]
        if len(answers) < 2:
            continue
        checked += 1
        if len(set(answers)) > 1:
            amount, currency = at_stake(operation.arrival)
            rows = tuple(map(payment_row, facts.payments(operation.arrival.key)))
            what = f"got {len(set(answers))} different answers to {len(answers)} equal requests"
            violations.append(Violation(operation.arrival.key, what, amount, currency, rows))
    return Tally(
        "same-key-same-answer",
        "equal requests under one key got equal answers",
        "keys got different answers to equal requests",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("no key was asked twice with a final answer each time"),
    )


def key_reuse_refused(facts: Facts) -> Tally:
    """Another body under a key that has its final answer is refused; a probe without an answer may have been accepted.

    Then the ledger tells: it holds a payment of the probe's amount under the key.
    """
    checked, violations = 0, []
    for operation in facts.operations:
        for probe in _probes(operation):
            checked += 1
            if probe.outcome is Outcome.REFUSED:
                continue
            made = [
                each for each in facts.payments(operation.arrival.key) if digest_reference(each.id) == probe.reference
            ]
            amount, currency = at_stake(operation.arrival)
            if made:
                amount, currency = made[0].amount_minor, made[0].currency
            what = f"was reused with another body and answered {probe.outcome.value} (HTTP {probe.status})"
            rows = tuple(map(payment_row, facts.payments(operation.arrival.key)))
            violations.append(Violation(operation.arrival.key, what, amount, currency, rows))
        for payment in _paid_in_silence(facts, operation):
            checked += 1
            what = "was reused with another body, the answer was lost, and the ledger holds what the reuse asked for"
            row = (payment_row(payment),)
            violations.append(Violation(operation.arrival.key, what, payment.amount_minor, payment.currency, row))
    return Tally(
        "key-reuse-refused",
        "every reuse of a key with another body was refused",
        "reuses of a key with another body were not refused",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("no key-reuse probe got an answer"),
    )


def _probes(operation: Operation) -> list[Attempt]:
    """Answered probes that were sent after a final, stored answer to their key."""
    return [attempt for attempt in _due_refusals(operation) if attempt.outcome.terminal]


def _paid_in_silence(facts: Facts, operation: Operation) -> list[Payment]:
    """Payments that probes made of which no answer tells."""
    probes = _due_refusals(operation)
    if all(probe.outcome.terminal or probe.outcome is Outcome.FAILED for probe in probes):
        return []
    told = {probe.reference for probe in probes}
    made = facts.by_probe.get(operation.arrival.key, ())
    return [each for each in made if facts.moved(each) and digest_reference(each.id) not in told]


def _due_refusals(operation: Operation) -> list[Attempt]:
    """Probes that were sent after a final, stored answer to their key: before it there is nothing to refuse."""
    final_ns = min(
        (
            attempt.done_ns
            for attempt in operation.attempts
            if attempt.purpose in (Purpose.OPERATION, Purpose.REPLAY) and attempt.outcome in _FINAL and attempt.done_ns
        ),
        default=None,
    )
    if final_ns is None:
        return []
    return [each for each in operation.attempts if each.purpose is Purpose.REUSE and each.sent_ns >= final_ns]
