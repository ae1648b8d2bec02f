"""The money check of one drill: quiesce, extract, resolve, cut off, check, replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pytest_finchaos.ledger import replay as replays
from pytest_finchaos.ledger import resolve as resolving
from pytest_finchaos.ledger.adapter_api import References
from pytest_finchaos.ledger.adapters import Opened, open_ledger, scope
from pytest_finchaos.ledger.capability import not_checked
from pytest_finchaos.ledger.facts import EVERYTHING, Facts, Scope, prefix_of
from pytest_finchaos.ledger.invariants import AFTER_REPLAY, CHECKS, INVARIANTS, LOOKUP, QUIESCENCE, SETTLEMENT
from pytest_finchaos.ledger.occasion import without_occasion
from pytest_finchaos.ledger.quiesce import Rest, given_up_until_ns, quiesce, rows_under
from pytest_finchaos.ledger.reader import LedgerReader, LedgerUnreachable
from pytest_finchaos.ledger.settlement import SettlementProblem, cut_off
from pytest_finchaos.ledger.tally import Tally, Violation, finding, joined
from pytest_finchaos.ledger.target import Api, Asks, Target, lookup_operation, money_operation
from pytest_finchaos.ledger.witness import teller, telling
from pytest_finchaos.load.request import carries_key
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.money import Extract, MoneyReport, Resolution
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec, OperationSpec
from pytest_finchaos.runtime.clock import Clock, SystemClock

REPLAY = "replay"  # not an invariant: the second look, after replays
LEFT_OUT = "payments that were not looked up"  # likewise
OF_OTHERS = "payments of others"  # likewise
OF_ACCOUNTS = ("balance-chain", "conservation")  # these look at whole accounts
STILL_S = 1.0  # for how long nothing may change where no query says what is under way
_CHANGING = "the ledger still changed while it was read"
_TORN = f"{_CHANGING}, row by row, so it may show what never was"
# Invariants of the ledger alone, and what makes two of their violations the same one.
_ALONE: Mapping[str, Callable[[Violation], object]] = {
    "double-entry": lambda violation: (violation.key, violation.what),
    "balance-chain": lambda violation: (violation.key, violation.amount_minor),
}


@dataclass(frozen=True, slots=True)
class Means:
    """How the check reaches the system.

    Args:
        reader: Reads the ledger.
        api: Sends requests.
        clock: The clock.
        scope: What the declaration says of the ledger's rows.
    """

    reader: LedgerReader
    api: Asks
    clock: Clock
    scope: Scope = EVERYTHING

    def rest(self, history: History, operation: OperationSpec, ledger: LedgerSpec) -> Rest:
        """The ledger at rest, once no given-up request can act any more."""
        return quiesce(
            self.reader,
            within_s=ledger.quiet_within_s,
            clock=self.clock,
            not_before_ns=given_up_until_ns(history, operation.timeout_s),
            still_s=0.0 if _tells_busy(ledger) else STILL_S,
            own=prefix_of(history.operations) if self.scope.others else "",
        )


@dataclass(slots=True)
class _Books:
    """What was found so far."""

    tallies: dict[str, Tally]
    not_checked: dict[str, str]


def check_money(
    history: History,
    *,
    spec: EnvironmentSpec,
    environment: Target,
    injections: Sequence[InjectionResult],
    setup_values: Mapping[str, Any],
    clock: Clock | None = None,
    before: Extract | None = None,
    references: References | None = None,
    reads_only: str = "",
) -> MoneyReport:
    """Check the money of one drill; call it when the load has ended, the faults are gone and the system is healed.

    Args:
        history: Everything that the load did.
        spec: The environment's declaration.
        environment: The running environment.
        injections: The faults of the drill, for the witnesses.
        setup_values: Placeholder values of setup operations, e.g. a token.
        clock: The clock; the system's by default.
        before: The ledger before the load (see `adapters.read_ledger`), where it held payments of others already.
        references: The system's own ids, where look-ups go by them (see `load.references`).
        reads_only: The declaration that the load pays nothing, in words, or "" (see `occasion.without_occasion`).

    Returns:
        One finding for each invariant that was checked, the reason for each that was not. Nothing is raised for a
        ledger that cannot be read: ``problem`` says why, and no invariant is checked.
    """
    if spec.ledger is None:
        return MoneyReport(not_checked=_all(f"environments.{spec.name} has no [ledger]"))
    clock = clock or SystemClock()
    try:
        api = Api(spec, environment, setup_values, clock)
        opened = open_ledger(
            spec, spec.ledger, environment, history=history, api=api, references=references or {}, clock=clock
        )
        means = Means(opened.reader, opened.api, clock, scope(spec, spec.ledger))
        report = check_through(
            opened.history,
            spec=spec,
            ledger=spec.ledger,
            means=means,
            injections=injections,
            before=before,
            reads_only=reads_only,
        )
        return _completed(report, history, opened, spec.ledger)
    except (LedgerUnreachable, UserError) as error:
        return MoneyReport(problem=str(error), not_checked=_all("the ledger could not be read"))


def _completed(report: MoneyReport, history: History, opened: Opened, ledger: LedgerSpec) -> MoneyReport:
    """The report with what was not looked at: nobody may take it for seen."""
    if not opened.left_out:
        return report
    seen = {each.arrival.index for each in opened.history.operations}
    unseen = [
        Resolution(each.arrival.key, resolving.UNRESOLVED, "it was not looked up")
        for each in history.operations
        if each.arrival.index not in seen and each.arrival.operation == ledger.operation and resolving.is_open(each)
    ]
    return replace(
        report,
        resolutions=(*report.resolutions, *unseen),
        not_checked={**report.not_checked, LEFT_OUT: opened.left_out},
    )


def check_through(
    history: History,
    *,
    spec: EnvironmentSpec,
    ledger: LedgerSpec,
    means: Means,
    injections: Sequence[InjectionResult] = (),
    before: Extract | None = None,
    reads_only: str = "",
) -> MoneyReport:
    """As `check_money`, with the given means.

    Raises:
        LedgerUnreachable: The ledger could not be read within the budget.
        UserError: The declaration does not fit.
    """
    operation, lookup = money_operation(spec, ledger), lookup_operation(spec, ledger)
    rest = means.rest(history, operation, ledger)
    beyond = not_checked(spec, ledger, operation, lookup)
    if means.scope.others:
        rest = _among_others(rest, prefix_of(history.operations), beyond)
    extract, no_settlement = _with_settlement(rest, ledger, means.api)
    facts = Facts.build(history, extract, operation, before, means.scope)
    books = _Books({QUIESCENCE: rest.tally(), **_check(facts, tuple(CHECKS), rest)}, beyond)
    if no_settlement:
        books.tallies |= {
            name: _undecided(name, f"no settlement file to check: {no_settlement}") for name in SETTLEMENT
        }
    if lookup is not None and LOOKUP not in beyond:
        told = _guarded(LOOKUP, lambda: resolving.confirm(facts, lookup, means.api, means.clock))
        books.tallies[LOOKUP] = told if rest.stable else told.but_undecided(_CHANGING)
    if rest.quiet:
        history = _replayed(history, facts, operation, ledger, means=means, books=books)
    else:
        books.not_checked[REPLAY] = "the system was not quiet, so nothing was replayed"
    if books.tallies["exactly-once"].violations:  # what cannot be counted cannot acquit, but it can convict
        books.not_checked.pop("exactly-once", None)
    books.not_checked = {**without_occasion(books.tallies, facts.operations, reads_only), **books.not_checked}
    tell = teller(history, injections)
    names = [name for name in INVARIANTS if name in books.tallies and name not in books.not_checked]
    found = [books.tallies[name] for name in names]
    found = [replace(each, violations=telling(each.violations, history, injections)) for each in found]
    return MoneyReport(
        findings=tuple(finding(tally, tell) for tally in found),
        not_checked=books.not_checked,
        resolutions=resolving.resolve(facts, stable=rest.stable),
        quiet_after_s=rest.after_s,
    )


def _among_others(rest: Rest, own: str, beyond: dict[str, str]) -> Rest:
    """What can be judged while others pay; the rest is told in ``beyond``.

    Only the drill's own rows are known to be at rest. The others are from one instant too where a look is a snapshot;
    where it is not, they may show what never was, and are left out.
    """
    beyond[QUIESCENCE] = "others may be at work, so what is under way is not the drill's alone"
    beyond[OF_OTHERS] = "others may pay while a drill runs, so nobody knows what they asked for"
    if rest.whole:
        return rest
    why = "others may pay while the ledger is read, and its rows are not from one instant"
    beyond.update(dict.fromkeys((*OF_ACCOUNTS, "settlement-complete"), why))
    return replace(rest, extract=rows_under(rest.extract, own))


def _all(why: str) -> dict[str, str]:
    return dict.fromkeys(INVARIANTS, why)


def _with_settlement(rest: Rest, ledger: LedgerSpec, api: Asks) -> tuple[Extract, str]:
    """The extract with the settlement file, or why there is none."""
    if ledger.settlement is None:
        return rest.extract, ""
    if not rest.quiet:
        return rest.extract, "the system was not quiet, so nothing was cut off"  # what waits is in no file yet
    try:
        return replace(rest.extract, settlement=(cut_off(ledger.settlement, api),)), ""
    except SettlementProblem as error:
        return rest.extract, str(error)


def _check(facts: Facts, names: Sequence[str], rest: Rest) -> dict[str, Tally]:
    tallies = {name: _guarded(name, partial(_fresh, name, facts)) for name in names}
    if rest.stable:
        return tallies
    if not rest.whole:
        return {name: tally.withheld(_TORN) for name, tally in tallies.items()}
    # One snapshot is whole, so what it shows is true; what it does not show may come.
    return {name: tally.but_undecided(_CHANGING) for name, tally in tallies.items()}


def _fresh(name: str, facts: Facts) -> Tally:
    """One invariant, without what the ledger itself had wrong before the load."""
    tally, same, earlier = CHECKS[name](facts), _ALONE.get(name), facts.earlier()
    if same is None or earlier is None:
        return tally
    known = {same(violation) for violation in CHECKS[name](earlier).violations}
    return replace(tally, violations=tuple(each for each in tally.violations if same(each) not in known))


def _tells_busy(ledger: LedgerSpec) -> bool:
    return "busy" in (ledger.queries if ledger.adapter == "sql" else ledger.endpoints)


def _guarded(name: str, check: Callable[[], Tally]) -> Tally:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a checker that breaks has decided nothing, and says so
        return _undecided(name, f"the check itself failed: {type(error).__name__}: {error}")


def _undecided(name: str, why: str) -> Tally:
    return Tally(name, "", "", 0, (), why)


def _replayed(
    history: History, facts: Facts, operation: OperationSpec, ledger: LedgerSpec, *, means: Means, books: _Books
) -> History:
    """Replay, wait, read again, and join what is found to the books; returns the history with the replays."""
    if not carries_key(operation):
        books.not_checked[REPLAY] = f"requests of {operation.name!r} carry no key: a replay would pay again"
        return history
    try:
        again = replays.replay(history, facts, operation, means.api, means.clock)
        if again.left_out:
            books.not_checked[REPLAY] = again.left_out
        if not again.sent:
            return history
        rest = means.rest(again.history, operation, ledger)
    except Exception as error:  # noqa: BLE001 - the findings from before the replay must not be lost with it
        books.not_checked[REPLAY] = f"not looked at after the replay: {type(error).__name__}: {error}"
        return history
    if not rest.quiet:
        books.not_checked[REPLAY] = f"the system was not quiet within {ledger.quiet_within_s:g} s after the replay"
    extract = replace(rest.extract, settlement=facts.extract.settlement)
    later = Facts.build(again.history, extract, operation, facts.before, means.scope)
    for name, tally in _check(later, AFTER_REPLAY, rest).items():
        books.tallies[name] = joined(books.tallies[name], tally)
    return again.history
