"""The settlement files beside the ledger: complete, once, equal, and true to their own totals."""

from __future__ import annotations

from collections import defaultdict

from pytest_finchaos.ledger.case import Case
from pytest_finchaos.ledger.invariants.tally import tally
from pytest_finchaos.ledger.witness import Violation
from pytest_finchaos.model.money import Finding, Payment, SettlementFile, SettlementRow

SETTLEMENT_COMPLETE = "settlement-complete"
SETTLEMENT_TOTALS = "settlement-totals"
NO_FILE = "no settlement file was read"


def settlement_complete(case: Case) -> Finding:
    """Every payment stands in exactly one row over all files, with its own amount; no row is of an unknown payment."""
    if case.extract.settlement is None:
        return tally(case, SETTLEMENT_COMPLETE, checked=0, violations=(), promise="", nothing=NO_FILE)
    rows: dict[str, list[tuple[str, SettlementRow]]] = defaultdict(list)
    count = 0
    for file in case.extract.settlement:
        for row in file.rows:
            count += 1
            rows[row.id].append((file.name, row))
    violations: list[Violation] = []
    for payment in case.extract.payments:
        violations += _of_payment(payment, rows.pop(payment.id, []))
    for unknown in rows.values():
        for name, row in unknown:
            text = f"{name} settles a payment that the ledger does not hold"
            violations.append(Violation(row.key, text, row.amount_minor, row.currency, (_tell_row(name, row),)))
    return tally(
        case,
        SETTLEMENT_COMPLETE,
        checked=max(len(case.extract.payments), count),
        violations=violations,
        promise="payments stand in one settlement row each",
        nothing="no payment and no settlement row",
    )


def _of_payment(payment: Payment, rows: list[tuple[str, SettlementRow]]) -> list[Violation]:
    told = tuple(_tell_row(name, row) for name, row in rows)
    if not rows:
        text = f"payment {payment.id} stands in no settlement file"
        return [Violation(payment.key, text, payment.amount_minor, payment.currency)]
    found = [
        Violation(
            payment.key, f"payment {payment.id} is settled {len(rows)} times", row.amount_minor, row.currency, told
        )
        for _, row in rows[1:]
    ]
    name, row = rows[0]
    if (row.amount_minor, row.currency) != (payment.amount_minor, payment.currency):
        off = abs(row.amount_minor - payment.amount_minor) or payment.amount_minor
        text = f"{name} settles {row.amount_minor} {row.currency}, not {payment.amount_minor} {payment.currency}"
        found.append(Violation(payment.key, text, off, payment.currency, told))
    elif row.key != payment.key:
        text = f"{name} settles payment {payment.id} under the key {row.key}"
        found.append(Violation(payment.key, text, payment.amount_minor, payment.currency, told))
    return found


def settlement_totals(case: Case) -> Finding:
    """The control totals that a file states are the number and the sum of its rows."""
    files = case.extract.settlement
    if files is None:
        return tally(case, SETTLEMENT_TOTALS, checked=0, violations=(), promise="", nothing=NO_FILE)
    violations = [violation for file in files for violation in _of_file(file)]
    return tally(
        case,
        SETTLEMENT_TOTALS,
        checked=sum(1 for file in files if file.rows),
        violations=violations,
        promise="settlement files state the totals of their rows",
        nothing="no settlement file with rows",
    )


def _of_file(file: SettlementFile) -> list[Violation]:
    if file.stated_count is None or file.stated_total_minor is None:
        return [Violation(file.name, f"states no control totals under {len(file.rows)} rows")]
    total = sum(row.amount_minor for row in file.rows)
    if (file.stated_count, file.stated_total_minor) == (len(file.rows), total):
        return []
    currencies = {row.currency for row in file.rows}
    text = f"states {file.stated_count} rows, {file.stated_total_minor} minor units; has {len(file.rows)}, {total}"
    off = abs(file.stated_total_minor - total)
    if len(currencies) != 1:
        return [Violation(file.name, text)]  # a sum over several currencies is a control figure, not money
    return [Violation(file.name, text, off, currencies.pop())]


def _tell_row(name: str, row: SettlementRow) -> str:
    return f"{name}: payment {row.id} under {row.key}, {row.amount_minor} minor units {row.currency}"
