"""Which of many cases are told: those in the fault first, and of each way in which a request is sent again."""

from __future__ import annotations

from pytest_finchaos.ledger.check import Means, check_through
from pytest_finchaos.model.history import Operation
from pytest_finchaos.model.money import Finding
from pytest_finchaos.model.result import InjectionResult
from pytest_finchaos.runtime.clock import NS_PER_S
from tests.systems.books import LEDGER, SPEC, T0_NS, Books


def fault(first_s: float, last_s: float) -> InjectionResult:
    armed_ns, gone_ns = (T0_NS + int(second * NS_PER_S) for second in (first_s, last_s))
    return InjectionResult("i-1", "reset", "clients→api", armed_ns, True, armed_ns, gone_ns, True, gone_ns)


def exactly_once(books: Books, *injections: InjectionResult) -> Finding:
    means = Means(books, books, books.clock)
    report = check_through(books.history(), spec=SPEC, ledger=LEDGER, means=means, injections=injections)
    (found,) = [each for each in report.findings if each.invariant == "exactly-once"]
    return found


def keys(*operations: Operation) -> list[str]:
    return [operation.arrival.key for operation in operations]


def test_retries_in_the_fault_are_told_before_the_probes_that_came_earlier() -> None:
    books = Books(key_ignored=True)
    probes = [books.pay(reuses=1) for _ in range(7)]  # at 0 … 6 s
    retries = [books.pay("lost-answer", "ok") for _ in range(3)]  # at 7, 8, 9 s

    found = exactly_once(books, fault(6.5, 9.5))

    assert [witness.key for witness in found.witnesses] == keys(*retries, *probes[:2])
    assert f"first: {retries[0].arrival.key} " in found.text
    assert found.violations == 10


def test_each_way_to_send_again_is_told_once_before_any_is_told_twice() -> None:
    books = Books(key_ignored=True)
    replays = [books.pay(replays=["ok"]) for _ in range(2)]
    probes = [books.pay(reuses=1) for _ in range(2)]
    retries = [books.pay("lost-answer", "ok") for _ in range(2)]

    found = exactly_once(books, fault(-1.0, 10.0))

    wanted = keys(retries[0], probes[0], replays[0], retries[1], probes[1])
    assert [witness.key for witness in found.witnesses] == wanted


def test_a_replay_after_the_drill_is_in_no_fault_that_ended_before_it() -> None:
    books = Books(key_ignored=True)
    earlier = books.pay()  # paid at 0 s, and again by the replay of the check
    during = [books.pay("lost-answer", "ok") for _ in range(5)]

    found = exactly_once(books, fault(0.9, 9.0))

    assert found.violations == 6
    assert earlier.arrival.key not in {witness.key for witness in found.witnesses}
    assert [witness.key for witness in found.witnesses] == keys(*during)


def test_without_a_fault_equals_are_told_in_the_order_of_their_arrival() -> None:
    books = Books(key_ignored=True)
    paid = [books.pay("lost-answer", "ok") for _ in range(6)]

    assert [witness.key for witness in exactly_once(books).witnesses] == keys(*paid[:5])
