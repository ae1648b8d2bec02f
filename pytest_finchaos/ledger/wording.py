"""How rows of the ledger are spelt in sentences."""

from __future__ import annotations

from pytest_finchaos.model.currency import spell
from pytest_finchaos.model.money import Entry, Payment, SettlementRow


def payment_row(payment: Payment) -> str:
    """A payment of the ledger."""
    sum_text = spell(payment.amount_minor, payment.currency)
    parties = f"{payment.debtor} → {payment.creditor}"
    return f"payment {payment.id}: {sum_text}, {parties}, {payment.status}, key {payment.key}"


def entry_row(entry: Entry) -> str:
    """A booking of the ledger."""
    booked = spell(entry.amount_minor, entry.currency)
    after = spell(entry.balance_after_minor, entry.currency)
    return f"entry {entry.account} version {entry.version}: {booked}, balance after it {after}"


def settlement_row(row: SettlementRow, file: str) -> str:
    """A row of a settlement file."""
    return f"row of {file}: payment {row.id}, {spell(row.amount_minor, row.currency)}, key {row.key}"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 payment``, ``2 payments``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
