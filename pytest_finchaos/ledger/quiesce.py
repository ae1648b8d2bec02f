"""Wait until the ledger is at rest: nothing under way, and two looks that see the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_finchaos.ledger.invariants import QUIESCENCE
from pytest_finchaos.ledger.reader import LedgerReader, LedgerUnreachable, Look
from pytest_finchaos.ledger.tally import Tally, Violation
from pytest_finchaos.model.history import History, Outcome
from pytest_finchaos.model.money import Extract
from pytest_finchaos.runtime.clock import NS_PER_S, Clock
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

EVERY_S = 0.1
LINGER = 1.5  # the server's own deadline is near the client's
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Rest:
    """How the system came to rest, or did not.

    Args:
        extract: The ledger as read last.
        after_s: Seconds until it was quiet, or None when it was not within the budget.
        within_s: The budget.
        busy: What was under way last.
        stable: True when two looks in a row saw the same rows.
        whole: True when all rows of the last look are from one instant.
    """

    extract: Extract
    after_s: float | None
    within_s: float
    busy: int
    stable: bool
    whole: bool = True

    @property
    def quiet(self) -> bool:
        """True when nothing was under way and nothing changed."""
        return self.after_s is not None

    def tally(self) -> Tally:
        """As an invariant: a system that is left alone finishes what it began."""
        claim = f"the system was quiet after {self.after_s or 0.0:.1f} s"
        if self.quiet:
            return Tally(QUIESCENCE, claim, "", 1)
        limit = f"within {self.within_s:g} s after load and faults had ended"
        if self.busy:
            what = f"not-quiet: {self.busy} still waiting or running"
            breach = f"systems did not become quiet {limit}"
            return Tally(QUIESCENCE, claim, breach, 1, (Violation("the ledger", what),))
        return Tally(QUIESCENCE, claim, "", 1, (), f"not-quiet: nothing is under way, and rows still changed {limit}")


def quiesce(
    reader: LedgerReader,
    *,
    within_s: float,
    clock: Clock,
    not_before_ns: int = 0,
    still_s: float = 0.0,
    own: str = "",
) -> Rest:
    """Wait until nothing is under way and two looks in a row see the same.

    Args:
        reader: Reads the ledger.
        within_s: Budget in seconds; it counts from ``not_before_ns`` where that is later than now.
        clock: The clock.
        not_before_ns: CLOCK_MONOTONIC before which nothing counts as quiet: requests may still be executed that
            the client has given up.
        still_s: For how long, in seconds, all looks must see the same.
        own: Start of the drill's keys where others pay meanwhile: then only its own rows must be at rest.

    Returns:
        The ledger and how it came to rest.

    Raises:
        LedgerUnreachable: It could not be read, not even at the end of the budget.
        UserError: The configured queries do not fit.
    """
    started_ns = clock.now_ns()
    seen: list[tuple[int, ...]] = []  # fingerprint of the look before, if that was quiet
    since_ns = [started_ns]  # of the first of the looks that saw the same

    def probe() -> Look | Not:
        last = seen.copy()
        seen.clear()
        try:
            look = reader.look(though_busy=bool(own))
        except LedgerUnreachable as error:
            return Not(str(error))
        if look.extract is None:
            return Not(f"{look.busy} still waiting or running")
        seen.append(fingerprint(look.extract, own))
        if seen != last:
            since_ns[0] = clock.now_ns()
            return Not("rows still change")
        if clock.now_ns() - since_ns[0] < still_s * NS_PER_S:
            return Not(f"rows have not changed, for less than {still_s:g} s")
        return look if clock.now_ns() >= not_before_ns else Not("given-up requests may still run")

    budget_s = within_s + max(not_before_ns - started_ns, 0) / NS_PER_S
    try:
        look = wait_for(probe, what="a quiet ledger", within_s=budget_s, every_s=EVERY_S, clock=clock)
    except Waited:
        try:
            return _restless(reader, within_s, clock, own)
        except LedgerUnreachable as error:
            raise LedgerUnreachable(f"{error} (tried for {budget_s:.1f} s)") from None
    assert look.extract is not None
    after_s = (clock.now_ns() - started_ns) / NS_PER_S
    return Rest(look.extract, after_s, within_s, look.busy, stable=True, whole=look.whole)


def _restless(reader: LedgerReader, within_s: float, clock: Clock, own: str) -> Rest:
    """The ledger as it is, to be checked as far as one snapshot allows."""
    first = reader.look(though_busy=True)
    clock.sleep_s(EVERY_S)
    second = reader.look(though_busy=True)
    assert first.extract is not None
    assert second.extract is not None
    stable = fingerprint(first.extract, own) == fingerprint(second.extract, own)
    return Rest(second.extract, None, within_s, second.busy, stable, second.whole)


def fingerprint(extract: Extract, own: str = "") -> tuple[int, ...]:
    """Number of rows and sum of their hashes, table by table: equal for equal rows in any order, in this process.

    Args:
        extract: The ledger.
        own: Start of keys: then only payments under such keys count, and their entries.
    """
    seen = rows_under(extract, own) if own else extract
    tables: tuple[Sequence[Any], ...] = (seen.payments, seen.entries, seen.balances)
    return tuple(part for rows in tables for part in (len(rows), sum(map(hash, rows)) & _MASK))


def rows_under(extract: Extract, own: str) -> Extract:
    """The payments under keys that begin with ``own``, and their entries; no balances."""
    payments = tuple(payment for payment in extract.payments if payment.key.startswith(own))
    ids = {payment.id for payment in payments}
    entries = tuple(entry for entry in extract.entries if entry.payment_id in ids)
    return Extract(payments, entries, (), extract.settlement, extract.taken_at_ns)


def given_up_until_ns(history: History, timeout_s: float) -> int:
    """When the last request without an answer can no longer begin to act: `LINGER` client deadlines after its sending.

    A server that works longer for a client that has gone is waited for by ``busy``.
    """
    last_ns = max(
        (
            attempt.sent_ns
            for operation in history.operations
            for attempt in operation.attempts
            if attempt.outcome in (Outcome.UNKNOWN, Outcome.CENSORED)
        ),
        default=0,
    )
    return last_ns + int(LINGER * timeout_s * NS_PER_S) if last_ns else 0
