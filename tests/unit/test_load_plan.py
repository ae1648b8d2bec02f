"""The plan: what is left out because the environment does not map it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import load_profile
from pytest_finchaos.model.spec import OperationSpec

PAY = OperationSpec(
    "authorise", "g", "POST", "/p", headers={"Idempotency-Key": "{key}"}, body={"amount": "{amount_minor}"}
)
PLAN = LoadPlan(load_profile("card_pos_auth"), 100.0, "s", "k", {"authorise": PAY}, {"g": "http://127.0.0.1:1"})


def test_what_is_not_mapped_is_left_out_and_listed() -> None:
    assert PLAN.not_mapped == ("balance", "login", "score", "freshness")
    assert {arrival.operation for arrival in islice(PLAN.arrivals(), 200)} == {"authorise"}
    assert any(arrival.replay_after_ns is not None for arrival in islice(PLAN.arrivals(), 200))


def test_an_operation_without_its_key_is_never_replayed_because_that_would_pay_twice() -> None:
    plan = replace(PLAN, operations={"authorise": replace(PAY, headers={})})
    assert plan.not_mapped[-2:] == ("late_replay", "key_reuse")
    chosen = list(islice(plan.arrivals(), 500))
    assert all(arrival.replay_after_ns is None and arrival.reuse_after_ns is None for arrival in chosen)


def test_a_key_is_not_reused_where_no_amount_can_differ() -> None:
    plan = replace(PLAN, operations={"authorise": replace(PAY, body={"amount": 1})})
    assert plan.not_mapped[-1:] == ("key_reuse",)
    assert any(arrival.replay_after_ns is not None for arrival in islice(plan.arrivals(), 200))
    assert all(arrival.reuse_after_ns is None for arrival in islice(plan.arrivals(), 500))


def test_setup_values_are_not_in_the_repr() -> None:
    assert "s3cret" not in repr(replace(PLAN, setup_values={"token": "s3cret"}))
