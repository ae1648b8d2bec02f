"""What the ledger holds and what the invariants found."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_finchaos.model.verdict import Verdict

EVERY_INVARIANT = "every invariant"  # in place of a name in `MoneyReport.not_checked`, where one reason holds for all


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment row of the system's own ledger. Amounts are integer minor units."""

    key: str
    id: str
    amount_minor: int
    currency: str
    debtor: str
    creditor: str
    status: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A booking on one account: ``balance_after_minor`` chains over ``version`` 1, 2, 3, …"""

    payment_id: str
    account: str
    version: int
    amount_minor: int
    currency: str
    balance_after_minor: int


@dataclass(frozen=True, slots=True)
class Balance:
    """An account now; ``opening_minor`` before its first entry."""

    account: str
    currency: str
    opening_minor: int
    balance_minor: int
    version: int


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """One row of the settlement file."""

    key: str
    id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class SettlementFile:
    """A settlement file with the control totals that it states of itself."""

    name: str
    rows: tuple[SettlementRow, ...]
    stated_count: int | None
    stated_total_minor: int | None


@dataclass(frozen=True, slots=True)
class Extract:
    """The ledger at rest."""

    payments: tuple[Payment, ...]
    entries: tuple[Entry, ...]
    balances: tuple[Balance, ...]
    settlement: tuple[SettlementFile, ...] | None = None
    taken_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Witness:
    """One case that proves a finding: the attempts, the fault that overlapped, the ledger's rows, as sentences."""

    key: str
    attempts: tuple[str, ...]
    faults: tuple[str, ...]
    rows: tuple[str, ...]
    amount_minor: int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one invariant.

    Args:
        invariant: Name, kebab case, e.g. ``exactly-once``.
        verdict: PASS, FAIL, or INCONCLUSIVE when there was nothing to check (vacuity) or the checker could not run.
        text: One sentence with figures.
        checked: Number of things looked at.
        violations: Number of violations.
        amount_minor: Money in the violations, per currency.
        witnesses: At most five.
    """

    invariant: str
    verdict: Verdict
    text: str
    checked: int
    violations: int
    amount_minor: dict[str, int] = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """An operation whose outcome the client did not know, after reading: ``applied``, ``absent`` or ``unresolved``."""

    key: str
    state: str
    how: str


@dataclass(frozen=True, slots=True)
class MoneyReport:
    """All that was found out about the money of one drill.

    Args:
        findings: One for each invariant that was checked.
        not_checked: Invariant, `EVERY_INVARIANT` or another thing to look at, to the reason why it was not.
        resolutions: One for each operation of unknown outcome.
        problem: Why the ledger could not be read at all, or "".
        quiet_after_s: How long the system took to become quiet, or None when it did not.
    """

    findings: tuple[Finding, ...] = ()
    not_checked: dict[str, str] = field(default_factory=dict)
    resolutions: tuple[Resolution, ...] = ()
    problem: str = ""
    quiet_after_s: float | None = None
