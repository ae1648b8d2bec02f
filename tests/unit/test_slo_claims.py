"""What steady traffic proves, disproves, and leaves open."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.timeline import Phase, Span
from pytest_finchaos.model.verdict import Undecided, Verdict
from pytest_finchaos.slo.catalogue import load_objectives
from pytest_finchaos.slo.claims import demonstrates, measured
from pytest_finchaos.slo.events import Judgement, State

S = 1_000_000_000
OBJECTIVES = load_objectives({}, "finchaos.toml")


def steady(total: int, bad: tuple[int, ...] = (), *, per_s: int = 100) -> tuple[list[Judgement], list[Span]]:
    events = [Judgement(at * S // per_s, State.BAD if at in bad else State.GOOD, None, at) for at in range(total)]
    return events, [Span(Phase.STEADY, 0, (total // per_s + 1) * S)]


def ask(name: str, total: int, bad: tuple[int, ...] = (), **changes: Any) -> tuple[Verdict, int | None, str]:
    events, spans = steady(total, bad)
    _, row = demonstrates(OBJECTIVES[name], events, spans, **changes)
    return row.verdict, row.needed, row.text


def test_four_nines_need_29956_clean_requests() -> None:
    assert ask("payment-success", 29_956)[:2] == (Verdict.PASS, None)
    assert ask("payment-success", 29_955)[:2] == (Verdict.INCONCLUSIVE, 1)
    assert ask("payment-success", 500)[:2] == (Verdict.INCONCLUSIVE, 29_456)


def test_a_p99_needs_299_requests_or_one_slow_of_473() -> None:
    assert ask("fraud-latency", 299)[0] is Verdict.PASS
    assert ask("fraud-latency", 472, (50,))[:2] == (Verdict.INCONCLUSIVE, 1)
    assert ask("fraud-latency", 473, (50,))[0] is Verdict.PASS


def test_a_system_that_breaks_its_promise_is_disproved() -> None:
    verdict, needed, text = ask("fraud-latency", 1_000, tuple(range(30, 1_000, 60)))

    assert (verdict, needed) == (Verdict.FAIL, None)
    assert text.startswith("17 of 1000 score were not faster than 50 ms; bad share between ")


def test_an_undecided_claim_cannot_be_read_as_green_and_says_how_much_is_missing() -> None:
    events, spans = steady(500)
    judged, _ = demonstrates(OBJECTIVES["payment-success"], events, spans)

    with pytest.raises(Undecided, match="29456 further requests"):
        assert not judged


def test_a_weaker_claim_is_allowed_and_printed() -> None:
    verdict, _, text = ask("payment-success", 299, at_least="0.99")

    assert verdict is Verdict.PASS
    assert "claimed 99 %, weaker than the objective's 99.99 %" in text
    assert "stronger" in ask("balance-latency", 299, at_least=0.99)[2]


@pytest.mark.parametrize("at_least", ["99 %", 1, 0, 1.5, True, "x"])
def test_a_claim_that_is_no_share_is_a_mistake(at_least: Any) -> None:
    with pytest.raises(UserError, match="at_least"):
        ask("payment-success", 10, at_least=at_least)


def test_no_traffic_proves_nothing() -> None:
    assert ask("balance-latency", 0)[:2] == (Verdict.INCONCLUSIVE, 59)


def test_a_part_of_a_second_is_no_burst() -> None:
    nearly_all = tuple(at for at in range(150) if at % 10)

    verdict, _, text = ask("payment-success", 150, nearly_all)
    assert verdict is Verdict.FAIL
    assert "bursts" not in text


def test_bursts_of_bad_events_weaken_the_claim_and_are_told() -> None:
    alone = tuple(range(50, 1_000, 26))[:38]
    burst = tuple(range(500, 538))

    assert ask("balance-latency", 1_000, alone)[0] is Verdict.PASS
    verdict, _, text = ask("balance-latency", 1_000, burst)
    assert verdict is Verdict.INCONCLUSIVE
    assert "bad events came in bursts: sample divided by 40" in text


def test_only_the_given_spans_count() -> None:
    events, _ = steady(1_000, tuple(range(500, 600)))
    spans = [Span(Phase.STEADY, 0, 5 * S), Span(Phase.STEADY, 6 * S, 10 * S)]

    _, row = demonstrates(OBJECTIVES["balance-latency"], events, spans)

    assert (row.verdict, row.good, row.bad) == (Verdict.PASS, 900, 0)


def test_a_measured_row_is_not_asserted() -> None:
    events, spans = steady(299)

    row = measured(OBJECTIVES["fraud-latency"], events, spans)

    assert (row.question, row.asserted, row.verdict) == ("measured", False, Verdict.PASS)
