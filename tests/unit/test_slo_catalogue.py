"""The shipped objectives, what an environment may change of them, and mistakes in doing so."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.verdict import Claim
from pytest_finchaos.slo.catalogue import Indicator, load_objectives, objective, share

SOURCE = "finchaos.toml"


def test_the_catalogue_holds_the_five_objectives_of_a_payment_system() -> None:
    shipped = load_objectives({}, SOURCE)

    assert {name: (each.operation, each.target) for name, each in shipped.items()} == {
        "payment-success": ("authorise", Fraction(9999, 10_000)),
        "auth-success": ("login", Fraction(999, 1_000)),
        "balance-latency": ("balance", Fraction(95, 100)),
        "fraud-latency": ("score", Fraction(99, 100)),
        "settlement-freshness": ("freshness", Fraction(999, 1_000)),
    }
    assert shipped["payment-success"].alert_burn_rate == 5
    assert (shipped["balance-latency"].threshold_ms, shipped["fraud-latency"].threshold_ms) == (100.0, 50.0)
    assert shipped["settlement-freshness"].limit_value == 300.0


def test_a_time_scale_shrinks_the_threshold_and_is_printed() -> None:
    scaled = load_objectives({"settlement-freshness": {"time_scale": 0.01}}, SOURCE)["settlement-freshness"]

    assert scaled.limit_value == 3.0
    assert scaled.describe() == "≥ 99.9 % of freshness below 3 s (300 s × time scale 0.01)"


def test_an_environment_changes_operation_target_and_threshold() -> None:
    changed = load_objectives({"balance-latency": {"operation": "read", "target": 0.99, "threshold_ms": 250}}, SOURCE)[
        "balance-latency"
    ]

    assert (changed.operation, changed.target, changed.threshold_ms) == ("read", Fraction(99, 100), 250.0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"indicator": "outcome", "deadline_s": 2}, "≥ 99.9 % of refund ok or declined within 2 s"),
        ({"indicator": "outcome"}, "≥ 99.9 % of refund ok or declined"),
        ({"indicator": "latency", "threshold_ms": 80}, "≥ 99.9 % of refund faster than 80 ms"),
        ({"indicator": "value", "threshold": 12, "unit": "rows"}, "≥ 99.9 % of refund below 12 rows"),
        ({"indicator": "value", "threshold": 12}, "≥ 99.9 % of refund below 12"),
    ],
)
def test_an_environment_defines_objectives_of_its_own(table: dict[str, Any], words: str) -> None:
    own = load_objectives({"refunds": {"operation": "refund", "target": "0.999", **table}}, SOURCE)["refunds"]

    assert own.describe() == words


def test_a_decimal_target_is_exact() -> None:
    assert share(0.9999, "x", "target") == share("0.9999", "x", "target") == Fraction(9999, 10_000)
    assert Fraction(0.9999) != Fraction(9999, 10_000)


def test_what_a_claim_rests_on_follows_from_its_indicator() -> None:
    shipped = load_objectives({}, SOURCE)

    assert shipped["payment-success"].claims == {Claim.OUTCOMES}
    assert shipped["balance-latency"].claims == {Claim.OUTCOMES, Claim.LATENCY}
    assert shipped["balance-latency"].latency_limit_ms == 100.0
    assert shipped["payment-success"].latency_limit_ms is None
    assert shipped["settlement-freshness"].indicator is Indicator.VALUE


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"payment-sucess": {"target": "0.99"}}, "did you mean 'payment-success'?"),
        ({"payment-success": {"targt": "0.99"}}, "did you mean 'target'?"),
        (
            {"payment-success": {"threshold_ms": 5}},
            "unknown key 'threshold_ms' of an objective whose indicator is 'outcome'",
        ),
        ({"payment-success": {"indicator": "latency"}}, "define an objective of your own"),
        ({"payment-success": {"target": 1}}, "invariant"),
        ({"payment-success": {"target": "99.99 %"}}, "a decimal"),
        ({"payment-success": {"target": True}}, "a decimal"),
        ({"payment-success": {"target": 0}}, "more than 0 and less than 1"),
        ({"payment-success": {"deadline_s": 0}}, "a number more than 0"),
        ({"payment-success": {"deadline_s": float("nan")}}, "a number more than 0"),
        ({"payment-success": {"operation": 5}}, "text"),
        ({"payment-success": "0.99"}, "not a table"),
        ({"mine": {"indicator": "latncy", "operation": "x", "target": 0.9}}, "did you mean 'latency'?"),
        ({"mine": {"indicator": "latency", "operation": "x", "target": 0.9}}, "threshold_ms missing"),
        ({"mine": {"indicator": "outcome"}}, "operation, target missing"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_cure(overrides: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as told:
        load_objectives(overrides, SOURCE)

    assert expected in str(told.value)
    assert str(told.value).startswith(f"finchaos.toml: slos.{next(iter(overrides))}: ")


def test_an_unknown_objective_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match="did you mean 'fraud-latency'"):
        objective("fraud-latnecy", load_objectives({}, SOURCE))
