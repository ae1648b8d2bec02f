"""Payments against the settlement file."""

from __future__ import annotations

from collections import defaultdict

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import payment_row, plural, settlement_row
from pytest_finchaos.model.currency import spell
from pytest_finchaos.model.money import Payment, SettlementRow


def settlement_complete(facts: Facts) -> Tally:
    """Every payment of this drill stands in exactly one row, with its amount; no row is of an unknown payment."""
    rows: dict[str, list[tuple[SettlementRow, str]]] = defaultdict(list)
    for file in facts.extract.settlement or ():
        for row in file.rows:
            rows[row.id].append((row, file.name))
    checked, violations = 0, []
    for operation in facts.operations:
        for payment in facts.effects(operation.arrival.key):
            checked += 1
            found = rows.get(payment.id, [])
            what = _mismatch(payment, [row for row, _ in found])
            if what:
                texts = (payment_row(payment), *(settlement_row(row, name) for row, name in found))
                violations.append(Violation(payment.key, what, payment.amount_minor, payment.currency, texts))
    for payment_id, found in rows.items():
        if payment_id not in facts.by_id:
            checked += 1
            row = found[0][0]
            texts = tuple(settlement_row(row, name) for row, name in found)
            violations.append(
                Violation(row.key, "is settled and not in the ledger", row.amount_minor, row.currency, texts)
            )
    return Tally(
        "settlement-complete",
        "every payment stands in the settlement file once, with its amount",
        "payments are not settled as booked",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("the ledger holds no payment of this drill"),
    )


def _mismatch(payment: Payment, rows: list[SettlementRow]) -> str:
    if not rows:
        return "is in no settlement file"
    if len(rows) > 1:
        return f"is settled {len(rows)} times"
    (row,) = rows
    if (row.amount_minor, row.currency) != (payment.amount_minor, payment.currency):
        booked = spell(payment.amount_minor, payment.currency)
        return f"is settled with {spell(row.amount_minor, row.currency)}, booked with {booked}"
    return "" if row.key == payment.key else f"is settled under the key {row.key}"


def settlement_totals(facts: Facts) -> Tally:
    """The control totals that a settlement file states are those of its rows."""
    files = facts.extract.settlement or ()
    violations = []
    for file in files:
        count, total = len(file.rows), sum(row.amount_minor for row in file.rows)
        if file.stated_count is None or file.stated_total_minor is None:
            violations.append(Violation(file.name, "states no control totals"))
            continue
        if (file.stated_count, file.stated_total_minor) == (count, total):
            continue
        currency = file.rows[0].currency if file.rows else ""
        stated = f"{plural(file.stated_count, 'row')} and {spell(file.stated_total_minor, currency)}"
        what = f"states {stated}, holds {plural(count, 'row')} and {spell(total, currency)}"
        violations.append(Violation(file.name, what, abs(file.stated_total_minor - total), currency))
    empty = not any(file.rows for file in files)
    return Tally(
        "settlement-totals",
        "the control totals of the settlement file are those of its rows",
        "settlement files state wrong totals",
        len(files),
        tuple(violations),
        nothing_to_check("the settlement file holds no rows") if empty else "",
    )
