"""The ledger against itself: double entry, the chain of balances, conservation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.tally import Tally, Violation, nothing_to_check
from pytest_finchaos.ledger.wording import entry_row, payment_row
from pytest_finchaos.model.currency import spell
from pytest_finchaos.model.money import Balance, Entry, Payment


def double_entry(facts: Facts) -> Tally:
    """Entries of each payment sum to zero per currency, are two or more, and move its amount from debtor to creditor.

    A payment without entries counts when others of its status have some. Entries of no payment count as well, unless
    they were there before the load.
    """
    booked = {payment.status for payment in facts.extract.payments if payment.id in facts.entries_of}
    checked, violations = 0, []
    for payment in facts.extract.payments:
        entries = facts.entries_of.get(payment.id, [])
        if not entries and payment.status not in booked:
            continue
        checked += 1
        what = _unbalanced(payment, entries)
        if what:
            rows = (payment_row(payment), *map(entry_row, entries))
            violations.append(
                Violation(payment.id, what, payment.amount_minor, payment.currency, rows, operation=payment.key)
            )
    older = {entry.payment_id for entry in facts.before.entries} if facts.before is not None else set()
    for payment_id, entries in facts.entries_of.items():
        if payment_id not in facts.by_id and payment_id not in older:
            checked += 1
            amount = max(abs(entry.amount_minor) for entry in entries)
            rows = tuple(map(entry_row, entries))
            violations.append(Violation(payment_id, "is booked and no payment", amount, entries[0].currency, rows))
    return Tally(
        "double-entry",
        "every payment is booked whole, from debtor to creditor",
        "payments are not booked whole",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("the ledger holds no entries"),
    )


def _unbalanced(payment: Payment, entries: Sequence[Entry]) -> str:
    if len(entries) < 2:
        return f"has {len(entries)} entries, not two or more"
    sums: dict[str, int] = defaultdict(int)
    legs: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        sums[entry.currency] += entry.amount_minor
        legs[entry.account, entry.currency] += entry.amount_minor
    off = {currency: total for currency, total in sums.items() if total}
    if off:
        return f"sums to {', '.join(spell(total, currency) for currency, total in off.items())}, not to zero"
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    wanted[payment.debtor, payment.currency] -= payment.amount_minor
    wanted[payment.creditor, payment.currency] += payment.amount_minor
    if any(legs.get(leg, 0) != amount for leg, amount in wanted.items()) or any(
        amount for leg, amount in legs.items() if leg not in wanted
    ):
        asked = spell(payment.amount_minor, payment.currency)
        return f"does not move {asked} from {payment.debtor} to {payment.creditor}"
    return ""


def balance_chain(facts: Facts) -> Tally:
    """Versions of each account are contiguous, each balance is the one before plus the amount, the last one is its
    balance, and the opening balance plus all entries is its balance too.
    """
    chains: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in facts.extract.entries:
        chains[entry.account, entry.currency].append(entry)
    accounts: dict[tuple[str, str], Balance] = {}
    violations = []
    for balance in facts.extract.balances:
        account = (balance.account, balance.currency)
        broken = _broken(balance, sorted(chains.pop(account, []), key=lambda entry: entry.version))
        if account in accounts:
            broken = Violation(balance.account, f"has two balances in {balance.currency}", 0, balance.currency)
        accounts[account] = balance
        if broken is not None:
            violations.append(broken)
    for (account_name, currency), entries in chains.items():
        amount = abs(sum(entry.amount_minor for entry in entries))
        rows = tuple(map(entry_row, entries[:3]))
        what = f"has {len(entries)} entries in {currency} and no balance"
        violations.append(Violation(account_name, what, amount, currency, rows))
    checked = len(accounts) + len(chains)
    return Tally(
        "balance-chain",
        "every balance is its opening balance plus its entries, link by link",
        "accounts have a broken chain",
        checked,
        tuple(violations),
        "" if checked else nothing_to_check("the ledger holds no balances"),
    )


def _broken(balance: Balance, entries: list[Entry]) -> Violation | None:
    def violation(what: str, off_minor: int, *rows: Entry) -> Violation:
        said = f"balance {balance.account}: {spell(balance.balance_minor, balance.currency)}, version {balance.version}"
        texts = (*map(entry_row, rows), said)
        return Violation(balance.account, what, abs(off_minor), balance.currency, texts)

    if not entries:
        off = balance.balance_minor - balance.opening_minor
        return violation("has changed without an entry", off) if off or balance.version else None
    running = balance.opening_minor
    previous: Entry | None = None
    for entry in entries:
        near = (entry,) if previous is None else (previous, entry)
        if previous is not None and entry.version != previous.version + 1:
            what = f"goes from version {previous.version} to {entry.version}"
            return violation(what, entry.balance_after_minor - entry.amount_minor - running, *near)
        running += entry.amount_minor
        if entry.balance_after_minor != running:
            what = (
                f"holds {spell(entry.balance_after_minor, entry.currency)} after version {entry.version}, "
                f"not {spell(running, entry.currency)}"
            )
            return violation(what, entry.balance_after_minor - running, *near)
        previous = entry
    assert previous is not None
    if balance.balance_minor != running:
        what = (
            f"has {spell(balance.balance_minor, balance.currency)}, its entries say {spell(running, balance.currency)}"
        )
        return violation(what, balance.balance_minor - running, previous)
    if balance.version != previous.version:
        return violation(f"is at version {balance.version}, its last entry at {previous.version}", 0, previous)
    return None


def conservation(facts: Facts) -> Tally:
    """The sum of all balances is the sum of all opening balances, per currency: money moves, none appears or vanishes.

    Weak alone (a lost and a doubled payment both conserve), so it never stands for another invariant. What was off
    before the load is not counted.
    """
    sums: dict[str, int] = defaultdict(int)
    for balance in facts.extract.balances:
        sums[balance.currency] += balance.balance_minor - balance.opening_minor
    for balance in facts.before.balances if facts.before is not None else ():
        sums[balance.currency] -= balance.balance_minor - balance.opening_minor
    violations = tuple(
        Violation(
            currency,
            f"{'gained' if off > 0 else 'lost'} {spell(abs(off), currency)} over all accounts",
            abs(off),
            currency,
        )
        for currency, off in sums.items()
        if off
    )
    moved = bool(facts.extract.payments or facts.extract.entries)
    return Tally(
        "conservation",
        f"no money appeared or vanished over {len(facts.extract.balances)} accounts",
        "currencies do not conserve money",
        len(sums),
        violations,
        "" if sums and moved else nothing_to_check("no money moved" if sums else "the ledger holds no balances"),
    )
