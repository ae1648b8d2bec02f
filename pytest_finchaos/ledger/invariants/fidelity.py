"""The ledger holds what was asked for."""

from __future__ import annotations

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import payment_row
from pytest_finchaos.model.currency import spell


def amount_fidelity(facts: Facts) -> Tally:
    """Amount, currency and parties of every payment are those of its request, as far as the request states them."""
    checked, violations = 0, []
    compared: set[str] = set()
    for operation in facts.operations:
        payments = facts.own_payments(operation.arrival.key)
        if not payments:
            continue
        arrival = operation.arrival
        stated = facts.requested.of({**arrival.values, "key": arrival.key, "index": arrival.index})
        if not stated:
            continue
        checked += 1
        compared |= stated.keys()
        for payment in payments:
            differs = [name for name, value in stated.items() if getattr(payment, name) != value]
            if not differs:
                continue
            asked = stated.get("amount_minor", payment.amount_minor)
            if differs == ["amount_minor"]:
                wanted = spell(asked, str(stated.get("currency", payment.currency)))
                what = f"asked for {wanted}, the ledger holds {spell(payment.amount_minor, payment.currency)}"
                amount = abs(payment.amount_minor - asked)
            else:
                what = ", ".join(
                    f"{name}: asked for {stated[name]}, holds {getattr(payment, name)}" for name in differs
                )
                amount = max(payment.amount_minor, asked)
            row = (payment_row(payment),)
            violations.append(Violation(operation.arrival.key, what, amount, payment.currency, row))
            break
    names = ", ".join(name for name in facts.requested.templates if name in compared)
    return Tally(
        "amount-fidelity",
        f"every payment is what was asked for ({names.replace('_minor', '')})",
        "payments differ from what was asked for",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("the ledger holds no payment of this drill that states what was asked"),
    )
