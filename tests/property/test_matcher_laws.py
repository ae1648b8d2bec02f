"""Laws of matchers: their order does not matter, a more specific one never loses, and reading is the inverse of writing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_finchaos.load.request import classify
from pytest_finchaos.model import matchers
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["x", "y", "*"])
STATUSES = st.sampled_from(["200", "201", "402", "2xx", "4xx"])
CONDITIONS = st.one_of(st.builds("json:{}={}".format, NAMES, VALUES), st.builds("header:{}={}".format, NAMES, VALUES))


@st.composite
def texts(draw: st.DrawFn) -> str:
    status = draw(st.none() | STATUSES)
    conditions = draw(st.lists(CONDITIONS, min_size=0 if status else 1, max_size=3, unique=True))
    parts = ([status] if status else []) + conditions
    return " & ".join(draw(st.permutations(parts)))


def lists() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(texts(), max_size=4).map(tuple)


ANSWERS = st.tuples(
    st.sampled_from([200, 201, 402, 404]),
    st.dictionaries(NAMES, st.sampled_from(["x", "y"])),
    st.dictionaries(NAMES, st.sampled_from(["x", "y"])),
)


def outcome(rules: OutcomeRules, answer: tuple[int, dict[str, str], dict[str, str]]) -> Outcome:
    status, body, headers = answer
    operation = OperationSpec("pay", "api", outcomes=rules)
    return classify(operation, status, "http", json.dumps(body).encode(), headers.items()).outcome


@given(lists(), lists(), lists(), ANSWERS, st.randoms())
def test_the_order_of_the_matchers_does_not_matter(
    ok: tuple[str, ...], declined: tuple[str, ...], refused: tuple[str, ...], answer: Any, dice: Any
) -> None:
    def shuffled(matchers_of: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dice.sample(matchers_of, len(matchers_of)))

    rules = OutcomeRules(ok, declined, refused, ())
    other = OutcomeRules(shuffled(ok), shuffled(declined), shuffled(refused), ())

    assert outcome(rules, answer) is outcome(other, answer)


@given(texts(), ANSWERS)
def test_a_further_condition_never_matches_more_and_always_ranks_higher(text: str, answer: Any) -> None:
    status, body, headers = answer
    loose, strict = matchers.parse(text), matchers.parse(f"{text} & json:z=w")

    assert strict.rank > loose.rank
    with_z = {**body, "z": "w"}
    assert strict.matches(status, headers, with_z) == loose.matches(status, headers, with_z)
    assert not strict.matches(status, headers, body)


@given(lists(), lists(), ANSWERS)
def test_what_two_outcomes_claim_alike_is_unknown(ok: tuple[str, ...], refused: tuple[str, ...], answer: Any) -> None:
    status, body, headers = answer

    def rank(texts_of: tuple[str, ...]) -> tuple[int, int] | None:
        parsed = [matchers.parse(text) for text in texts_of]
        return max((rule.rank for rule in parsed if rule.matches(status, headers, body)), default=None)

    high, low = rank(ok), rank(refused)
    expected = Outcome.UNKNOWN
    if high != low:
        expected = Outcome.OK if low is None or (high is not None and high > low) else Outcome.REFUSED

    assert outcome(OutcomeRules(ok, (), refused, ()), answer) is expected
