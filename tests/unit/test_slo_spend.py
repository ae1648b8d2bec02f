"""What a fault cost: counted exactly, decided whenever there was something to count."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.verdict import Undecided, Verdict
from pytest_finchaos.slo.catalogue import load_objectives
from pytest_finchaos.slo.events import Judgement, State
from pytest_finchaos.slo.spend import spent

MS = 1_000_000
S = 1_000_000_000
PAYMENT = load_objectives({}, "finchaos.toml")["payment-success"]
BALANCE = load_objectives({}, "finchaos.toml")["balance-latency"]


def judgements(bad: dict[int, State], *, count: int = 500, every_ns: int = 10 * MS) -> list[Judgement]:
    """``count`` events, good save those named."""
    return [
        Judgement(index * every_ns, bad.get(index, State.GOOD), 5 * MS, index, "unknown" if index in bad else "")
        for index in range(count)
    ]


def ask(events: list[Judgement], **changes: Any) -> tuple[Verdict, str]:
    question: dict[str, Any] = {"during": "latency", "armed_ns": 1 * S, "disarmed_ns": 3 * S, "at_most_bad": 2}
    judged, row = spent(PAYMENT, events, **(question | changes))
    assert judged.verdict is row.verdict
    return judged.verdict, row.text


def test_a_clean_fault_phase_passes_every_limit() -> None:
    assert ask(judgements({}), at_most_bad=0)[0] is Verdict.PASS
    assert ask(judgements({}), at_most_bad=None, at_most_bad_slices=0)[0] is Verdict.PASS


def test_one_bad_event_above_the_limit_fails_and_the_sentence_has_the_figures() -> None:
    verdict, text = ask(judgements({110: State.BAD, 120: State.UNKNOWN, 130: State.BAD}))

    assert verdict is Verdict.FAIL
    assert text.startswith(
        "3 of 200 authorise were not ok or declined within 5 s; limit at most 2 bad, in 2.0 s of latency"
    )
    assert "burn rate 150, alert at 5" in text


def test_unknown_events_are_bad_and_the_limit_itself_passes() -> None:
    assert ask(judgements({110: State.UNKNOWN, 120: State.UNKNOWN}))[0] is Verdict.PASS


def test_only_events_intended_in_armed_to_disarmed_count() -> None:
    bad = {99: State.BAD, 100: State.BAD, 299: State.BAD, 300: State.BAD}

    _, row = spent(PAYMENT, judgements(bad), during="x", armed_ns=1 * S, disarmed_ns=3 * S, at_most_bad=0)

    assert (row.good, row.bad, row.unknown) == (198, 2, 0)


def test_no_event_in_the_window_is_undecided() -> None:
    judged, row = spent(PAYMENT, judgements({}), during="x", armed_ns=90 * S, disarmed_ns=95 * S, at_most_bad=5)

    assert row.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(Undecided, match=r"no authorise was due in the 5\.0 s"):
        assert judged


@pytest.mark.parametrize(("armed_ns", "disarmed_ns"), [(None, None), (1 * S, None)])
def test_a_fault_that_was_never_armed_or_removed_leaves_no_window(
    armed_ns: int | None, disarmed_ns: int | None
) -> None:
    assert ask(judgements({}), armed_ns=armed_ns, disarmed_ns=disarmed_ns)[0] is Verdict.INCONCLUSIVE


def test_bad_slices_count_time_and_not_events() -> None:
    burst = dict.fromkeys(range(110, 120), State.BAD)
    spread = dict.fromkeys(range(105, 305, 20), State.BAD)

    assert ask(judgements(burst), at_most_bad=None, at_most_bad_slices=1)[0] is Verdict.PASS
    verdict, text = ask(judgements(spread), at_most_bad=None, at_most_bad_slices=1)
    assert verdict is Verdict.FAIL
    assert text.startswith("10 of 20 slices were bad; 10 of 200 authorise")


def test_a_slice_is_bad_when_its_share_of_good_events_is_below_the_target() -> None:
    events = [Judgement(at * 4 * MS, State.BAD if at % 25 == 0 else State.GOOD, None, at) for at in range(500)]

    _, row = spent(BALANCE, events, during="x", armed_ns=0, disarmed_ns=2 * S, at_most_bad_slices=0)
    _, strict = spent(PAYMENT, events, during="x", armed_ns=0, disarmed_ns=2 * S, at_most_bad_slices=0)

    assert row.verdict is Verdict.PASS  # 1 of 25 is 4 %, within the 5 % of a p95
    assert strict.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"at_most_bad": None}, "no limit was given"),
        ({"at_most_bad": 1, "at_most_bad_slices": 1}, "two limits were given"),
        ({"at_most_bad": -1}, "at_most_bad = -1"),
        ({"at_most_bad": 1.5}, "at_most_bad = 1.5"),
        ({"at_most_bad": True}, "at_most_bad = True"),
    ],
)
def test_exactly_one_limit_that_is_a_count_must_be_given(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ask(judgements({}), **limits)
