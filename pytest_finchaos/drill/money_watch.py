"""The ledger, read again and again while a release is on, and judged for the payments of the new version alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_finchaos.ledger.adapters import read_ledger, scope
from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.invariants import CHECKS
from pytest_finchaos.ledger.reader import LedgerUnreachable
from pytest_finchaos.ledger.target import money_operation
from pytest_finchaos.model.currency import spell_all
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History, Operation, Outcome
from pytest_finchaos.model.money import Extract
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.runtime.clock import NS_PER_S, Clock

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment
    from pytest_finchaos.ledger.tally import Tally

EVERY_S = 1.0
# Each can be decided for one payment once it is final; what quantifies over the whole ledger waits for its rest.
OF_ONE_PAYMENT = (
    "amount-fidelity",
    "exactly-once",
    "acknowledged-durable",
    "same-key-same-answer",
    "key-reuse-refused",
    "refused-no-effect",
)
FINAL = (Outcome.OK, Outcome.DECLINED, Outcome.REFUSED)


@dataclass(frozen=True, slots=True)
class Look:
    """The ledger, and when it was asked for: what was final well before that must be in it."""

    asked_ns: int
    extract: Extract


class MoneyWatch:
    """Reads the ledger about once a second in a thread of its own, so that a slow one does not delay the judge.

    Args:
        environment: Whose ledger.
        clock: The clock.
        settle_s: A payment is judged this long after its last answer, in seconds.
        setup_values: Placeholder values of setup operations, e.g. a token.
    """

    def __init__(
        self, environment: Environment, *, clock: Clock, settle_s: float, setup_values: Mapping[str, Any]
    ) -> None:
        self._environment, self._clock, self._settle_ns = environment, clock, int(settle_s * NS_PER_S)
        self._values = dict(setup_values)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="finchaos-money")
        self._reading: Future[Look | None] | None = None
        self._asked_ns = 0
        self.why_not = _why_not(environment)
        self.blind = ""  # why the last look gave nothing
        self.looks = 0
        self.looked: frozenset[int] = frozenset()
        self.found: dict[str, str] = {}

    def tick(self, history: History, arrivals: Collection[int]) -> None:
        """Take in a look that has ended, begin one that is due.

        Args:
            history: The load until now.
            arrivals: Payments of the new version.
        """
        if self.why_not:
            return
        if self._reading is not None and self._reading.done():
            self._take(self._reading, history, arrivals)
            self._reading = None
        now_ns = self._clock.now_ns()
        if self._reading is None and now_ns - self._asked_ns >= EVERY_S * NS_PER_S:
            self._asked_ns = now_ns
            self._reading = self._pool.submit(self._read)

    def _read(self) -> Look | None:
        asked_ns = self._clock.now_ns()
        extract = read_ledger(self._environment.spec, self._environment, self._clock, self._values)
        return None if extract is None else Look(asked_ns, extract)

    def _take(self, reading: Future[Look | None], history: History, arrivals: Collection[int]) -> None:
        try:
            look = reading.result()
        except (LedgerUnreachable, UserError, OSError) as error:
            self.blind = str(error).splitlines()[0]
            return
        if look is None:
            return
        self.blind = ""
        self.looks += 1
        final = final_before(look.asked_ns - self._settle_ns, history.operations, arrivals)
        self.looked = frozenset(operation.arrival.index for operation in final)
        if final:
            for tally in judge_payments(self._environment, history, final, look.extract):
                if tally.violations:
                    self.found[tally.invariant] = told(tally)

    def close(self) -> None:
        """Begin nothing more; a look under way ends by its own deadline and is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _why_not(environment: Environment) -> str:
    ledger = environment.spec.ledger
    if ledger is None:
        return f"environments.{environment.spec.name} has no [ledger]"
    if ledger.adapter == "api":
        return "the ledger adapter 'api' looks payments up one by one, when the load has ended"
    return ""


def final_before(until_ns: int, operations: Iterable[Operation], arrivals: Collection[int]) -> list[Operation]:
    """Those of ``arrivals`` that had their final answer, and no attempt since, at ``until_ns``."""
    return [
        operation
        for operation in operations
        if operation.arrival.index in arrivals
        and operation.outcome in FINAL
        and all(0 < attempt.done_ns <= until_ns for attempt in operation.attempts)
    ]


def judge_payments(
    environment: Environment, history: History, final: Iterable[Operation], extract: Extract
) -> list[Tally]:
    """The invariants that can be decided payment by payment, on ``final`` alone.

    A retry that the load may still make cannot change what is looked at: these have their final answers.
    """
    spec = environment.spec
    assert spec.ledger is not None
    whole = replace(history.generator, complete=True, problems=())  # every record of these operations is there
    part = replace(history, operations=tuple(final), generator=whole)
    facts = Facts.build(part, extract, money_operation(spec, spec.ledger), None, scope(spec, spec.ledger))
    tallies = []
    for name in OF_ONE_PAYMENT:
        tally = CHECKS[name](facts)
        if tally.verdict is not Verdict.INCONCLUSIVE:
            tallies.append(tally)
    return tallies


def told(tally: Tally) -> str:
    """One sentence with figures on what was found."""
    at_stake: dict[str, int] = {}
    for violation in tally.violations:
        if violation.amount_minor:
            at_stake[violation.currency] = at_stake.get(violation.currency, 0) + abs(violation.amount_minor)
    money = f": {spell_all(at_stake)}" if at_stake else ""
    return f"{len(tally.violations)} of {tally.checked} {tally.breach}{money}"
