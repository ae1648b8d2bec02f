"""A small bank in memory, right in everything it does: histories with the ledger that belongs to them.

It serves as API, as ledger and as clock of the money check, so that a test says only what is special about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.invariants import CHECKS
from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.tally import Tally
from pytest_finchaos.load.client import Answer
from pytest_finchaos.load.history import outcome_of
from pytest_finchaos.load.request import digest_reference
from pytest_finchaos.model.history import (
    Arrival,
    Attempt,
    Counts,
    GeneratorReport,
    History,
    Operation,
    Outcome,
    Purpose,
)
from pytest_finchaos.model.money import Balance, Entry, Extract, Payment, SettlementFile, SettlementRow
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec, OperationSpec, SettlementSpec
from pytest_finchaos.runtime.clock import NS_PER_MS, NS_PER_S

T0_NS = 1_000 * NS_PER_S
PREFIX = "run-drill"
OPENING_MINOR = 1_000_000

AUTHORISE = OperationSpec(
    "authorise",
    "api",
    method="POST",
    path="/pay",
    headers={"Idempotency-Key": "{key}"},
    body={
        "amount_minor": "{amount_minor}",
        "currency": "{currency}",
        "debtor": "{customer}",
        "creditor": "{merchant}",
    },
    reference="id",
    answer=("id", "status"),
)
LOOKUP = OperationSpec("lookup", "api", path="/pay?key={key}", reference="id")
SETTLEMENT = SettlementSpec(
    "files",
    "POST /cut-off",
    "/files/{file}",
    {"key": "key", "id": "id", "amount_minor": "amount_minor", "currency": "currency"},
)
QUERIES = {"payments": "", "entries": "", "balances": "", "busy": ""}
LEDGER = LedgerSpec("sql", "store", "authorise", "lookup", QUERIES, SETTLEMENT, 5.0)
SPEC = EnvironmentSpec(
    "bank", "processes", ("127.0.0.1",), {}, operations={"authorise": AUTHORISE, "lookup": LOOKUP}, ledger=LEDGER
)

# How a try of a customer ends: whether the bank acted, and what the customer saw of it.
ENDS: Mapping[str, tuple[bool, Outcome, str, int]] = {
    "ok": (True, Outcome.OK, "http", 201),
    "lost-answer": (True, Outcome.UNKNOWN, "timeout", 0),
    "lost-request": (False, Outcome.UNKNOWN, "timeout", 0),
    "error": (False, Outcome.UNKNOWN, "http", 503),
    "in-flight-done": (True, Outcome.CENSORED, "none", 0),
    "in-flight": (False, Outcome.CENSORED, "none", 0),
    "undelivered": (False, Outcome.FAILED, "refused-connection", 0),
    "unauthorised": (False, Outcome.REFUSED, "http", 401),
}


@dataclass(slots=True)
class FakeClock:
    """Time that passes only when somebody sleeps."""

    at_ns: int = T0_NS + 60 * NS_PER_S

    def now_ns(self) -> int:
        return self.at_ns

    def sleep_s(self, duration_s: float) -> None:
        self.at_ns += int(duration_s * NS_PER_S)


@dataclass(slots=True)
class Books:
    """The bank.

    Args:
        floor_minor: Payments that would leave less are declined.
    """

    floor_minor: int = 0
    clock: FakeClock = field(default_factory=FakeClock)
    payments: list[Payment] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    balances: dict[str, Balance] = field(default_factory=dict)
    answers: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    busy: int = 0
    unreachable: bool = False
    asked: list[str] = field(default_factory=list)
    key_ignored: bool = False
    statuses: dict[str, int] = field(default_factory=dict)  # operation name to a status that it answers at once

    # -- what customers do ---------------------------------------------------------------------------------------

    def pay(
        self,
        *tries: str,
        amount_minor: int = 1200,
        customer: str = "c-1",
        merchant: str = "m-1",
        replays: Sequence[str] = (),
        reuses: int = 0,
        reuse_end: str = "ok",
    ) -> Operation:
        """One payment with its tries (names of `ENDS`), then replays, then probes with another amount that end as told."""
        index = len(self.operations)
        key = f"{PREFIX}-{index:06d}"
        values = {"amount_minor": amount_minor, "currency": "EUR", "customer": customer, "merchant": merchant}
        arrival = Arrival(index, index * NS_PER_S, "authorise", key, values)
        attempts: list[Attempt] = []
        for end in tries or ("ok",):
            attempts.append(self._attempt(arrival, len(attempts), Purpose.OPERATION, end, values))
        for end in replays:
            attempts.append(self._attempt(arrival, len(attempts), Purpose.REPLAY, end, values))
        for _ in range(reuses):
            other = {**values, "amount_minor": amount_minor + 1}
            attempts.append(self._attempt(arrival, len(attempts), Purpose.REUSE, reuse_end, other))
        operation = Operation(
            arrival, T0_NS + arrival.intended_ns, tuple(attempts), outcome_of(attempts), 0, 20 * NS_PER_MS
        )
        self.operations.append(operation)
        self.clock.at_ns = max(self.clock.at_ns, operation.intended_ns + 60 * NS_PER_S)  # the check comes later
        return operation

    def _attempt(self, arrival: Arrival, number: int, purpose: Purpose, end: str, values: Mapping[str, Any]) -> Attempt:
        acts, outcome, detail, status = ENDS[end]
        body: Mapping[str, Any] = {}
        if acts:
            said, body = self.decide(arrival.key, values)
            if outcome is Outcome.OK:
                outcome, status = {
                    "ok": (Outcome.OK, 201), "declined": (Outcome.DECLINED, 402), "reused": (Outcome.REFUSED, 422)
                }[said]  # fmt: skip
        sent_ns = T0_NS + arrival.intended_ns + number * 100 * NS_PER_MS
        answered = outcome in (Outcome.OK, Outcome.DECLINED)
        return Attempt(
            arrival.index,
            number,
            purpose,
            outcome,
            detail,
            status,
            sent_ns,
            sent_ns,
            0 if outcome is Outcome.CENSORED else sent_ns + 20 * NS_PER_MS,
            digest_reference(body["id"]) if answered and "id" in body else "",
            digest(body) if answered else "",
        )

    # -- what the bank does --------------------------------------------------------------------------------------

    def decide(self, key: str, values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Once for each key; then the stored answer, and no answer to another body."""
        if key in self.answers and not self.key_ignored:
            said, stored = self.answers[key]
            return (said, stored) if stored["asked"] == values["amount_minor"] else ("reused", {})
        amount, customer, merchant = values["amount_minor"], values["customer"], values["merchant"]
        body: dict[str, Any] = {"asked": amount, "status": "declined"}
        if self.balance(customer).balance_minor - amount < self.floor_minor:
            self.answers[key] = ("declined", body)
            return self.answers[key]
        payment_id = f"p-{len(self.payments)}"
        self.payments.append(Payment(key, payment_id, amount, "EUR", customer, merchant, "authorised"))
        self._book(payment_id, customer, -amount)
        self._book(payment_id, merchant, amount)
        self.answers[key] = ("ok", body | {"status": "authorised", "id": payment_id})
        return self.answers[key]

    def balance(self, account: str) -> Balance:
        """An account; opened when first asked for."""
        return self.balances.setdefault(account, Balance(account, "EUR", OPENING_MINOR, OPENING_MINOR, 0))

    def _book(self, payment_id: str, account: str, amount: int) -> None:
        before = self.balance(account)
        after = replace(before, balance_minor=before.balance_minor + amount, version=before.version + 1)
        self.balances[account] = after
        self.entries.append(Entry(payment_id, account, after.version, amount, "EUR", after.balance_minor))

    # -- what the check sees -------------------------------------------------------------------------------------

    def history(self, *, complete: bool = True) -> History:
        """Everything that customers did."""
        problems = () if complete else ("a record is damaged",)
        report = GeneratorReport(complete, problems)
        stop_ns = T0_NS + len(self.operations) * NS_PER_S
        return History("p", 1.0, "seed", T0_NS, stop_ns, tuple(self.operations), report, Counts())

    def extract(self, *, settlement: bool = True) -> Extract:
        """The ledger, with a settlement file that holds everything."""
        rows = tuple(SettlementRow(each.key, each.id, each.amount_minor, each.currency) for each in self.payments)
        file = SettlementFile("f-1.csv", rows, len(rows), sum(row.amount_minor for row in rows))
        balances = tuple(self.balances.values())
        files = (file,) if settlement else None
        return Extract(tuple(self.payments), tuple(self.entries), balances, files, T0_NS)

    def look(self, *, though_busy: bool = False) -> Look:
        """As an adapter."""
        if self.unreachable:
            raise LedgerUnreachable("the ledger does not answer: connection refused")
        return Look(self.busy, self.extract(settlement=False) if though_busy or not self.busy else None)

    def send(
        self, operation: OperationSpec, values: Mapping[str, Any], timeout_s: float, *, direct: bool = False
    ) -> Answer:
        """As the API."""
        self.asked.append(operation.name)
        self.clock.sleep_s(0.001)
        if operation.name in self.statuses:
            status = self.statuses[operation.name]
            return answer(Outcome.UNKNOWN if status >= 500 else Outcome.REFUSED, status, {}, self.clock)
        if operation.name == "cut-off":
            assert direct
            return answer(Outcome.OK, 200, {"file": "f-1.csv"}, self.clock)
        if operation.name == "settlement-file":
            return replace(answer(Outcome.OK, 200, {}, self.clock), body=self.settlement_text().encode())
        if operation.name == "lookup":
            found = [each for each in self.payments if each.key == values["key"]]
            if not found:
                return answer(Outcome.REFUSED, 404, {}, self.clock)
            return answer(Outcome.OK, 200, {"id": found[0].id}, self.clock)
        said, body = self.decide(values["key"], values)
        ends = {"ok": (Outcome.OK, 201), "declined": (Outcome.DECLINED, 402), "reused": (Outcome.REFUSED, 422)}
        return answer(*ends[said], body, self.clock)

    def settlement_text(self) -> str:
        """The settlement file as CSV."""
        lines = [f"{each.key},{each.id},{each.amount_minor},{each.currency}" for each in self.payments]
        total = f"TOTAL,{len(lines)},{sum(each.amount_minor for each in self.payments)}"
        return "\n".join(["key,id,amount_minor,currency", *lines, total, ""])


def digest(body: Mapping[str, Any]) -> str:
    """As the driver's digest of an answer: equal for equal answers."""
    return hashlib.blake2b(repr(sorted(body.items())).encode(), digest_size=8).hexdigest()


def answer(outcome: Outcome, status: int, body: Mapping[str, Any], clock: FakeClock) -> Answer:
    """An answer of the API."""
    import json

    final = outcome in (Outcome.OK, Outcome.DECLINED)
    return Answer(
        outcome=outcome,
        detail="http",
        status=status,
        reference=digest_reference(body["id"]) if final and "id" in body else "",
        answer=digest(body) if final and "status" in body else "",
        value=None,
        sent_ns=clock.now_ns() - NS_PER_MS,
        done_ns=clock.now_ns(),
        body=json.dumps(body).encode(),
    )


def busy_day() -> Books:
    """A day with everything that happens to a correct bank: declines, lost answers, retries, replays, probes."""
    books = Books()
    books.balances["poor"] = Balance("poor", "EUR", 1500, 1500, 0)
    books.pay(replays=["ok"])
    books.pay(reuses=1)
    books.pay("lost-answer", "ok", customer="c-2")
    books.pay("lost-request", "error", "ok", merchant="m-2")
    books.pay("lost-answer", customer="c-2")  # applied, and never known
    books.pay("lost-request")  # absent
    books.pay("in-flight-done", merchant="m-2")
    books.pay("in-flight")
    books.pay(customer="poor")
    books.pay(customer="poor", replays=["ok"], reuses=1)  # declined, twice
    books.pay("lost-answer", "ok", customer="poor")  # declined with a lost answer first
    books.pay("undelivered", "undelivered")
    books.pay("undelivered", "ok")
    books.pay("unauthorised")
    books.pay("lost-answer", "unauthorised", customer="c-2")  # applied; the refusal says nothing of that
    return books


def check_all(history: History, extract: Extract, before: Extract | None = None) -> dict[str, Tally]:
    """Every invariant that needs history and ledger only."""
    facts = Facts.build(history, extract, AUTHORISE, before)
    return {name: check(facts) for name, check in CHECKS.items()}


def violated(tallies: Mapping[str, Tally]) -> set[str]:
    """Names of the invariants with violations."""
    return {name for name, tally in tallies.items() if tally.violations}


def changed(history: History, index: int, attempts: Iterable[Attempt]) -> History:
    """``history`` with other attempts of one operation."""
    made = tuple(attempts)
    operations = list(history.operations)
    operations[index] = replace(operations[index], attempts=made, outcome=outcome_of(made))
    return replace(history, operations=tuple(operations))
