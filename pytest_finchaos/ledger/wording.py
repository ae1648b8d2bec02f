"""How money and rows of the ledger are spelt in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_finchaos.model.money import Entry, Payment, SettlementRow

# Digits after the point where they are not two (ISO 4217).
_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def money(amount_minor: int, currency: str) -> str:
    """``12.30 EUR``, ``1230 JPY``: integer minor units in the currency's usual spelling."""
    digits = _DIGITS.get(currency, 2)
    whole, rest = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}{f'.{rest:0{digits}d}' if digits else ''} {currency}".rstrip()


def totals(amounts: Mapping[str, int]) -> str:
    """``12.30 EUR and 5 JPY``, or "" when there is no money."""
    return " and ".join(money(amount, currency) for currency, amount in sorted(amounts.items()))


def payment_row(payment: Payment) -> str:
    """A payment of the ledger."""
    sum_text = money(payment.amount_minor, payment.currency)
    parties = f"{payment.debtor} → {payment.creditor}"
    return f"payment {payment.id}: {sum_text}, {parties}, {payment.status}, key {payment.key}"


def entry_row(entry: Entry) -> str:
    """A booking of the ledger."""
    booked = money(entry.amount_minor, entry.currency)
    after = money(entry.balance_after_minor, entry.currency)
    return f"entry {entry.account} version {entry.version}: {booked}, balance after it {after}"


def settlement_row(row: SettlementRow, file: str) -> str:
    """A row of a settlement file."""
    return f"row of {file}: payment {row.id}, {money(row.amount_minor, row.currency)}, key {row.key}"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 payment``, ``2 payments``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
