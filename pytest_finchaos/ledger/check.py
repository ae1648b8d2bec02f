"""The check of one drill's money: rest, read, resolve, check, send again, check again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_finchaos.ledger import replay, resolve, settlement
from pytest_finchaos.ledger.adapter_sql import SqlLedger
from pytest_finchaos.ledger.case import Case, build_case
from pytest_finchaos.ledger.invariants import CHECKERS, INVARIANTS, QUIESCENCE
from pytest_finchaos.ledger.invariants.answers import SAME_KEY_SAME_ANSWER
from pytest_finchaos.ledger.invariants.payments import ACKNOWLEDGED_DURABLE, EXACTLY_ONCE, REFUSED_NO_EFFECT
from pytest_finchaos.ledger.invariants.settlement import SETTLEMENT_COMPLETE, SETTLEMENT_TOTALS
from pytest_finchaos.ledger.quiesce import Rest, last_effect_ns, wait_for_rest
from pytest_finchaos.ledger.target import Target
from pytest_finchaos.load import client
from pytest_finchaos.load.request import carries_key
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History, Operation
from pytest_finchaos.model.money import Extract, Finding, MoneyReport
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec, OperationSpec
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.runtime.clock import Clock, SystemClock

ADAPTERS = ("sql",)
REPLAY = "replay"  # what `MoneyReport.not_checked` calls operations that were not sent again
SETTLEMENT = (SETTLEMENT_COMPLETE, SETTLEMENT_TOTALS)
AFTER_REPLAY = (ACKNOWLEDGED_DURABLE, EXACTLY_ONCE, REFUSED_NO_EFFECT, SAME_KEY_SAME_ANSWER)
# While the system still moves, a violation of these is one for good; of all others it may only be early.
EARLY = (ACKNOWLEDGED_DURABLE, *SETTLEMENT)


def check_money(
    history: History,
    *,
    spec: EnvironmentSpec,
    environment: Target,
    injections: Sequence[InjectionResult],
    setup_values: Mapping[str, Any],
    clock: Clock | None = None,
) -> MoneyReport:
    """Check the money of a drill whose load has ended and whose faults are gone.

    Args:
        history: What the load did.
        spec: The environment's configuration; its ``ledger`` says how the money is read.
        environment: Where database and services are.
        injections: The faults, for the witnesses.
        setup_values: What setup operations provided, e.g. a token.
        clock: The clock; the system's by default.

    Returns:
        The report. A ledger that cannot be read is its ``problem``, with every invariant not checked; an error in one
        checker makes that finding undecided. Nothing is raised for either.
    """
    if spec.ledger is None:
        return _unread("the environment has no [ledger]", problem="")
    work = _Work(history, spec, spec.ledger, environment, tuple(injections), setup_values, clock or SystemClock())
    try:
        return _checked(work)
    except UserError as error:
        return _unread("the ledger could not be read", problem=error.render())


def _unread(why: str, *, problem: str) -> MoneyReport:
    return MoneyReport(not_checked=dict.fromkeys(INVARIANTS, why), problem=problem)


@dataclass(frozen=True, slots=True)
class _Work:
    history: History
    spec: EnvironmentSpec
    ledger: LedgerSpec
    target: Target
    injections: tuple[InjectionResult, ...]
    setup_values: Mapping[str, Any]
    clock: Clock

    @property
    def operation(self) -> OperationSpec:
        return self.named(self.ledger.operation, "ledger.operation")

    def named(self, name: str, where: str) -> OperationSpec:
        try:
            return self.spec.operations[name]
        except KeyError:
            raise UserError(where, f"no operation {name!r}", allowed=self.spec.operations, got=name) from None

    def case(self, extract: Extract, history: History) -> Case:
        return build_case(history, self.operation, extract, self.injections)

    def rest(self) -> Rest:
        if self.ledger.adapter not in ADAPTERS:
            raise UserError("ledger.adapter", f"{self.ledger.adapter!r} is unknown", allowed=ADAPTERS)
        url = self.target.database_url(self.ledger.component)
        return wait_for_rest(
            lambda: SqlLedger(url, self.ledger.queries, clock=self.clock),
            within_s=self.ledger.quiet_within_s,
            not_before_ns=last_effect_ns(self.history, self.operation),
            clock=self.clock,
        )

    def sender(self, operation: OperationSpec) -> Callable[[Operation], client.Answer]:
        base_url = self.target.base_url(operation.component)

        def send(each: Operation) -> client.Answer:
            arrival = each.arrival
            values = {**self.setup_values, **arrival.values, "key": arrival.key, "index": arrival.index}
            return client.send(operation, values, base_url, clock=self.clock)

        return send


def _checked(work: _Work) -> MoneyReport:
    rest = work.rest()
    if rest.problem or rest.extract is None:
        report = _unread("the ledger could not be read", problem=rest.problem)
        if rest.finding.verdict is Verdict.FAIL:
            report.not_checked.pop(QUIESCENCE)
            return dataclasses.replace(report, findings=(rest.finding,))
        return report
    if rest.after_s is None:
        return _unquiet(work, rest, rest.extract)
    not_checked: dict[str, str] = {}
    extract = _with_settlement(work, rest.extract, not_checked)
    case = work.case(extract, work.history)
    findings = {name: _run(name, case, work.setup_values) for name in CHECKERS if name not in not_checked}
    resolutions = resolve.resolve(case, _look_up(work), clock=work.clock)
    _check_again(work, case, findings, not_checked)
    return MoneyReport(
        findings=(*findings.values(), rest.finding),
        not_checked=not_checked,
        resolutions=resolutions,
        quiet_after_s=rest.after_s,
    )


def _unquiet(work: _Work, rest: Rest, extract: Extract) -> MoneyReport:
    """A snapshot of a system that still moves can convict, it cannot acquit."""
    case = work.case(extract, work.history)
    found = {name: _run(name, case, work.setup_values) for name in CHECKERS if name not in EARLY}
    convicted = {name: finding for name, finding in found.items() if finding.verdict is Verdict.FAIL}
    return MoneyReport(
        findings=(*convicted.values(), rest.finding),
        not_checked={name: "the ledger did not come to rest" for name in CHECKERS if name not in convicted},
    )


def _run(name: str, case: Case, setup_values: Mapping[str, Any]) -> Finding:
    try:
        return CHECKERS[name](case, setup_values)
    except Exception as error:  # noqa: BLE001 - a checker that cannot run has decided nothing; the finding says so
        text = f"the checker failed: {type(error).__name__}: {error}"
        return Finding(name, Verdict.INCONCLUSIVE, text, 0, 0)


def _with_settlement(work: _Work, extract: Extract, not_checked: dict[str, str]) -> Extract:
    if work.ledger.settlement is None:
        not_checked |= dict.fromkeys(SETTLEMENT, "the configuration names no ledger.settlement")
        return extract
    try:
        file = settlement.cut_off(work.ledger.settlement, work.target, clock=work.clock)
    except UserError as error:
        not_checked |= dict.fromkeys(SETTLEMENT, f"the settlement file could not be read: {error.render()}")
        return extract
    return dataclasses.replace(extract, settlement=(file,))


def _look_up(work: _Work) -> Callable[[Operation], client.Answer] | None:
    if work.ledger.lookup is None:
        return None
    return work.sender(work.named(work.ledger.lookup, "ledger.lookup"))


def _check_again(work: _Work, case: Case, findings: dict[str, Finding], not_checked: dict[str, str]) -> None:
    """Send operations again and check what that could have changed; a violation found before stays."""
    if not carries_key(work.operation):
        not_checked[REPLAY] = f"operation {work.operation.name} carries no {{key}}: sending it again would pay again"
        return
    done = replay.replay(case, work.history, work.sender(work.operation), clock=work.clock)
    if done.left_out:
        not_checked[REPLAY] = done.left_out
    if not done.sent:
        return
    again = dataclasses.replace(work, history=done.history)
    rest = again.rest()
    if rest.extract is None or rest.after_s is None:
        why = rest.problem or rest.finding.text
        not_checked[REPLAY] = f"the ledger did not come to rest after {done.sent} requests were sent again: {why}"
        return
    after = again.case(rest.extract, done.history)
    for name in AFTER_REPLAY:
        if findings[name].verdict is not Verdict.FAIL:
            findings[name] = _run(name, after, work.setup_values)
