"""Double entry, the chain of balances, and that no money appears or vanishes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pytest_finchaos.ledger.case import Case
from pytest_finchaos.ledger.invariants.tally import tally
from pytest_finchaos.ledger.witness import Violation, tell_entry
from pytest_finchaos.model.money import Balance, Entry, Finding, Payment

DOUBLE_ENTRY = "double-entry"
BALANCE_CHAIN = "balance-chain"
CONSERVATION = "conservation"


def double_entry(case: Case) -> Finding:
    """The entries of each payment sum to zero and are the payment: debtor pays its amount, creditor gets it."""
    violations: list[Violation] = []
    ids = set()
    for payment in case.extract.payments:
        ids.add(payment.id)
        text = _unbalanced(payment, case.entries.get(payment.id, ()))
        if text:
            violations.append(Violation(payment.key, text, payment.amount_minor, payment.currency))
    for payment_id, entries in case.entries.items():
        if payment_id not in ids:
            moved = max(abs(entry.amount_minor) for entry in entries)
            rows = tuple(map(tell_entry, entries))
            text = "entries of a payment that does not exist"
            violations.append(Violation(f"payment {payment_id}", text, moved, entries[0].currency, rows))
    return tally(
        case,
        DOUBLE_ENTRY,
        checked=len(case.extract.payments),
        violations=violations,
        promise="payments are balanced by their own entries",
        nothing="no payment in the ledger",
    )


def _unbalanced(payment: Payment, entries: Sequence[Entry]) -> str:
    if len(entries) < 2:
        return f"{len(entries)} entries, a payment needs two"
    total = sum(entry.amount_minor for entry in entries)
    if total:
        return f"its entries sum to {total:+d}, not to zero"
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    wanted[payment.debtor, payment.currency] -= payment.amount_minor
    wanted[payment.creditor, payment.currency] += payment.amount_minor
    booked: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        booked[entry.account, entry.currency] += entry.amount_minor
    if booked != wanted:
        return "its entries do not move its amount from its debtor to its creditor"
    return ""


def balance_chain(case: Case) -> Finding:
    """On each account versions are 1, 2, 3, …, each balance follows from the one before, the last is the account's."""
    of_account: dict[str, list[Entry]] = defaultdict(list)
    for entry in case.extract.entries:
        of_account[entry.account].append(entry)
    violations: list[Violation] = []
    for balance in case.extract.balances:
        broken = _broken_chain(balance, of_account.pop(balance.account, []))
        if broken is not None:
            violations.append(broken)
    for account, entries in of_account.items():
        moved = sum(entry.amount_minor for entry in entries)
        text = f"{len(entries)} entries on an account without a balance"
        violations.append(
            Violation(f"account {account}", text, abs(moved), entries[0].currency, (tell_entry(entries[0]),))
        )
    return tally(
        case,
        BALANCE_CHAIN,
        checked=len(case.extract.entries),
        violations=violations,
        promise="entries chain from the opening balances to the balances",
        nothing="no entry in the ledger",
    )


def _broken_chain(balance: Balance, entries: list[Entry]) -> Violation | None:
    key = f"account {balance.account}"
    held = balance.opening_minor
    entries.sort(key=lambda entry: entry.version)
    for position, entry in enumerate(entries, start=1):
        rows = tuple(map(tell_entry, entries[max(position - 2, 0) : position]))
        if entry.version != position:
            text = f"version {position} is missing, found {entry.version}"
            if entry.version < position:
                text = f"version {entry.version} stands twice"
            return Violation(key, text, abs(entry.amount_minor), entry.currency, rows)
        held += entry.amount_minor
        if entry.balance_after_minor != held or entry.currency != balance.currency:
            text = f"after version {position} the balance must be {held} {balance.currency}"
            off = abs(entry.balance_after_minor - held) or abs(entry.amount_minor)
            return Violation(key, text, off, balance.currency, rows)
    if balance.balance_minor != held:
        text = f"its balance is {balance.balance_minor}, its entries give {held}"
        return Violation(key, text, abs(balance.balance_minor - held), balance.currency)
    if balance.version != len(entries):
        return Violation(key, f"its version is {balance.version}, it has {len(entries)} entries")
    return None


def conservation(case: Case) -> Finding:
    """The sum of all balances is what it was at the start, for each currency."""
    opening: dict[str, int] = defaultdict(int)
    now: dict[str, int] = defaultdict(int)
    for balance in case.extract.balances:
        opening[balance.currency] += balance.opening_minor
        now[balance.currency] += balance.balance_minor
    violations = [
        Violation(
            f"all accounts in {currency}",
            f"the balances sum to {now[currency]}, at the start to {opening[currency]}",
            abs(now[currency] - opening[currency]),
            currency,
        )
        for currency in sorted(now)
        if now[currency] != opening[currency]
    ]
    moved = bool(case.extract.payments or case.extract.entries)
    return tally(
        case,
        CONSERVATION,
        checked=len(case.extract.balances) if moved else 0,
        violations=violations,
        promise="balances sum to what they were at the start",
        nothing="no money moved" if case.extract.balances else "no account in the ledger",
    )
