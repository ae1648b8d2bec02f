"""The money check of a drill: its order, what it does when something is missing, and that nothing unknown is green."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.ledger import check
from pytest_finchaos.ledger.check import Means, check_money, check_through
from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.invariants import CHECKS, INVARIANTS
from pytest_finchaos.ledger.reader import LedgerUnreachable, Look
from pytest_finchaos.ledger.tally import Tally
from pytest_finchaos.ledger.target import Api
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History, Outcome
from pytest_finchaos.model.money import Finding, MoneyReport
from pytest_finchaos.model.spec import LedgerSpec
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.runtime.clock import NS_PER_S
from tests.systems.books import LEDGER, SPEC, Books, busy_day, changed


def checked(books: Books, ledger: LedgerSpec = LEDGER, history: History | None = None) -> MoneyReport:
    spec = replace(SPEC, ledger=ledger)
    means = Means(books, books, books.clock)
    return check_through(history or books.history(), spec=spec, ledger=ledger, means=means)


def verdicts(report: MoneyReport) -> dict[str, Verdict]:
    return {finding.invariant: finding.verdict for finding in report.findings}


def of(report: MoneyReport, invariant: str) -> Finding:
    (found,) = [finding for finding in report.findings if finding.invariant == invariant]
    return found


def test_a_busy_day_passes_every_invariant_each_exactly_once() -> None:
    report = checked(busy_day())

    assert verdicts(report) == dict.fromkeys(INVARIANTS, Verdict.PASS)
    assert len(report.findings) == len(INVARIANTS)
    assert report.not_checked == {}
    assert report.problem == ""
    assert report.quiet_after_s is not None


def test_the_order_is_cut_off_then_reading_then_sending_again() -> None:
    books = busy_day()

    checked(books)

    order = [name for name, after in zip(books.asked, [*books.asked[1:], ""], strict=True) if name != after]
    assert order == ["cut-off", "settlement-file", "lookup", "authorise"]


def test_unknown_operations_are_resolved_by_reading_before_anything_is_sent_again() -> None:
    report = checked(busy_day())

    states = {resolution.key[-2:]: resolution.state for resolution in report.resolutions}
    assert states == {"04": "applied", "05": "absent", "06": "applied", "07": "absent"}


def test_a_lost_payment_is_found_although_its_replay_would_hide_it() -> None:
    books = Books()
    books.pay()
    (payment,) = books.payments
    books.payments.clear()
    books.entries.clear()
    books.balances.clear()
    books.answers.clear()  # the key was lost as well: a replay pays again

    found = of(checked(books), "acknowledged-durable")

    assert found.verdict is Verdict.FAIL
    assert found.amount_minor == {"EUR": payment.amount_minor}


def test_a_replay_finds_what_the_load_did_not_provoke() -> None:
    books = Books()
    books.pay()
    books.key_ignored = True

    report = checked(books)

    assert verdicts(report)["exactly-once"] is Verdict.FAIL
    assert verdicts(report)["same-key-same-answer"] is Verdict.FAIL
    witness = of(report, "exactly-once").witnesses[0]
    assert witness.attempts[-1].startswith("+60.")
    assert "replay: ok" in witness.attempts[-1]


def test_a_replay_of_an_absent_operation_may_pay_now() -> None:
    books = Books()
    books.pay("lost-request")
    books.pay()

    report = checked(books)

    assert len(books.payments) == 2
    assert Verdict.FAIL not in verdicts(report).values()
    assert report.resolutions[0].state == "absent"


def test_a_drill_without_money_traffic_is_never_green() -> None:
    report = checked(Books())

    assert Verdict.INCONCLUSIVE in verdicts(report).values()
    assert Verdict.FAIL not in verdicts(report).values()


def test_an_outbox_that_does_not_drain_fails_and_leaves_settlement_undecided() -> None:
    books = busy_day()
    books.busy = 3

    report = checked(books)

    assert of(report, "quiescence").verdict is Verdict.FAIL
    assert "not-quiet: 3 still waiting" in of(report, "quiescence").text
    assert verdicts(report)["settlement-complete"] is Verdict.INCONCLUSIVE
    assert verdicts(report)["exactly-once"] is Verdict.PASS
    assert report.quiet_after_s is None
    assert "cut-off" not in books.asked
    assert "authorise" not in books.asked
    assert "replay" in report.not_checked


def test_rows_that_keep_changing_convict_and_do_not_acquit() -> None:
    class Restless(Books):
        def look(self, *, though_busy: bool = False) -> Look:
            self.balances[f"new-{len(self.balances)}"] = replace(self.balance("c-1"), account=f"n-{len(self.balances)}")
            return super().look(though_busy=though_busy)

    books = Restless()
    books.pay()
    books.pay("lost-request")
    books.payments.append(replace(books.payments[0], id="again"))

    report = checked(books)

    assert of(report, "quiescence").verdict is Verdict.INCONCLUSIVE
    assert verdicts(report)["exactly-once"] is Verdict.FAIL
    assert verdicts(report)["acknowledged-durable"] is Verdict.INCONCLUSIVE
    assert Verdict.PASS not in verdicts(report).values()
    assert [resolution.state for resolution in report.resolutions] == ["unresolved"]


def test_quiet_waits_for_requests_that_the_client_has_given_up() -> None:
    books = Books()
    operation = books.pay("lost-request")
    late_ns = books.clock.now_ns()
    history = changed(books.history(), 0, [replace(operation.attempts[0], sent_ns=late_ns)])

    report = checked(books, history=history)

    assert report.quiet_after_s is not None
    assert report.quiet_after_s >= 2.0  # a client deadline at least


def test_a_failed_cut_off_is_sent_once_and_leaves_settlement_undecided() -> None:
    books = busy_day()
    books.statuses["cut-off"] = 503

    report = checked(books)

    assert books.asked.count("cut-off") == 1
    assert of(report, "settlement-complete").verdict is Verdict.INCONCLUSIVE
    assert "HTTP 503" in of(report, "settlement-totals").text


def test_without_a_settlement_file_the_two_are_listed_as_not_checked() -> None:
    report = checked(busy_day(), replace(LEDGER, settlement=None))

    assert set(report.not_checked) == {"settlement-complete", "settlement-totals"}
    assert set(verdicts(report).values()) == {Verdict.PASS}


def test_without_a_lookup_operation_that_is_listed_as_not_checked() -> None:
    report = checked(busy_day(), replace(LEDGER, lookup=None))

    assert set(report.not_checked) == {"lookup-agrees"}


def test_an_api_that_contradicts_the_ledger_is_a_finding_of_its_own() -> None:
    books = busy_day()
    books.statuses["lookup"] = 404

    report = checked(books)

    assert [name for name, verdict in verdicts(report).items() if verdict is Verdict.FAIL] == ["lookup-agrees"]
    assert "is in the ledger and unknown to the API (HTTP 404)" in of(report, "lookup-agrees").text


@pytest.mark.parametrize("status", [401, 503])
def test_look_ups_without_an_answer_leave_that_undecided(status: int) -> None:
    books = busy_day()
    books.statuses["lookup"] = status

    assert of(checked(books), "lookup-agrees").verdict is Verdict.INCONCLUSIVE


def test_look_ups_are_bounded() -> None:
    books = Books()
    for _ in range(90):
        books.pay("lost-answer")
        books.pay()

    checked(books)

    assert books.asked.count("lookup") == 50


def test_an_expired_token_stops_the_replay_and_is_said() -> None:
    books = busy_day()
    books.statuses["authorise"] = 401

    report = checked(books)

    assert books.asked.count("authorise") == 1
    assert "HTTP 401: the token is no longer accepted" in report.not_checked["replay"]
    assert Verdict.FAIL not in verdicts(report).values()


def test_an_api_that_says_nothing_stops_the_replay_after_some() -> None:
    books = busy_day()
    books.statuses["authorise"] = 503

    report = checked(books)

    assert books.asked.count("authorise") == 5
    assert "5 in a row got no final answer" in report.not_checked["replay"]


def test_replays_are_bounded_in_number_and_what_is_left_out_is_listed() -> None:
    books = Books()
    for _ in range(210):
        books.pay("lost-answer")
    for _ in range(60):
        books.pay()

    report = checked(books)

    assert books.asked.count("authorise") == 250
    assert "10 operations not replayed" in report.not_checked["replay"]


def test_replays_are_bounded_in_time() -> None:
    class Slow(Books):
        def send(self, *arguments: Any, **options: Any) -> Any:
            self.clock.sleep_s(1.0)
            return super().send(*arguments, **options)

    books = Slow()
    for _ in range(30):
        books.pay()

    report = checked(books)

    assert books.asked.count("authorise") == 5
    assert "not replayed: 5 s were over" in report.not_checked["replay"]


def test_an_operation_without_a_key_is_never_sent_again() -> None:
    books = busy_day()
    operation = replace(SPEC.operations["authorise"], headers={})
    spec = replace(SPEC, operations={**SPEC.operations, "authorise": operation})

    report = check_through(books.history(), spec=spec, ledger=LEDGER, means=Means(books, books, books.clock))

    assert "authorise" not in books.asked
    assert "would pay again" in report.not_checked["replay"]
    assert "key-reuse-refused" in report.not_checked


def test_a_checker_that_breaks_is_undecided_and_spares_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_facts: Facts) -> Tally:
        raise KeyError("amount")

    monkeypatch.setattr(check, "CHECKS", {**CHECKS, "double-entry": broken})

    report = checked(busy_day())

    assert of(report, "double-entry").verdict is Verdict.INCONCLUSIVE
    assert "KeyError: 'amount'" in of(report, "double-entry").text
    assert {verdict for name, verdict in verdicts(report).items() if name != "double-entry"} == {Verdict.PASS}


def test_a_ledger_that_is_unreachable_after_the_replay_keeps_what_was_found() -> None:
    class Dying(Books):
        def send(self, *arguments: Any, **options: Any) -> Any:
            self.unreachable = arguments[0].name == "authorise"
            return super().send(*arguments, **options)

    books = Dying()
    books.pay(replays=["ok"], reuses=1)

    report = checked(books)

    assert "not looked at after the replay" in report.not_checked["replay"]
    assert set(verdicts(report).values()) == {Verdict.PASS}


def test_an_unreachable_ledger_is_raised_once_the_budget_is_spent() -> None:
    books = busy_day()
    books.unreachable = True
    started_ns = books.clock.now_ns()

    with pytest.raises(LedgerUnreachable, match=r"connection refused \(tried for 5\.0 s\)"):
        checked(books)

    assert books.clock.now_ns() - started_ns >= 5 * NS_PER_S
    assert books.asked == []


def test_without_a_ledger_everything_is_listed_as_not_checked() -> None:
    books = busy_day()

    report = check_money(
        books.history(),
        spec=replace(SPEC, ledger=None),
        environment=Nowhere(),
        injections=(),
        setup_values={},
        clock=books.clock,
    )

    assert set(report.not_checked) == set(INVARIANTS)
    assert report.findings == ()


@pytest.mark.parametrize(
    ("ledger", "text"),
    [
        (replace(LEDGER, adapter="sqll"), "did you mean 'sql'?"),
        (replace(LEDGER, operation="authorize"), "did you mean 'authorise'?"),
        (replace(LEDGER, lookup="look"), "ledger.lookup: no operation 'look'"),
        (LEDGER, "host '192.0.2.1' is not allowed"),
    ],
)
def test_a_mistake_in_the_declaration_is_the_problem_of_the_report(ledger: LedgerSpec, text: str) -> None:
    books = busy_day()

    report = check_money(
        books.history(),
        spec=replace(SPEC, ledger=ledger),
        environment=Nowhere(),
        injections=(),
        setup_values={},
        clock=books.clock,
    )

    assert text in report.problem
    assert "secret" not in report.problem
    assert report.findings == ()
    assert set(report.not_checked) == set(INVARIANTS)


def test_a_host_that_is_not_allowed_is_never_asked() -> None:
    with pytest.raises(UserError, match=r"host '192\.0\.2\.1' is not allowed"):
        Api(SPEC, Nowhere(), {}).send(SPEC.operations["lookup"], {"key": "k"}, 1.0)


class Nowhere:
    """An environment on a host that the configuration does not allow."""

    spec = SPEC

    def database_url(self, component: str) -> str:
        return "postgresql://user:secret@192.0.2.1:5432/bank"

    def base_url(self, component: str) -> str:
        return "http://192.0.2.1:80"

    def direct_address(self, component: str) -> str:
        return "192.0.2.1:80"

    def workdir(self, component: str) -> Path:
        return Path("/nowhere")


def test_censored_operations_count_as_unknown() -> None:
    books = Books()
    books.pay("in-flight")

    assert books.operations[0].outcome is Outcome.CENSORED
    assert [resolution.state for resolution in checked(books).resolutions] == ["absent"]
