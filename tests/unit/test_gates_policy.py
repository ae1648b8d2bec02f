"""The policy of a gate: what it accepts, what it refuses, which drills a pattern means."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pytest_finchaos.gates.policy import ClaimSpec, GateSpec, concerns, gate, matches, parse
from pytest_finchaos.model.errors import UserError

FILE = "finchaos.toml"


def refused(**table: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse("canary", {"require": ["tests/*"], **table}, FILE)
    return str(caught.value)


def test_a_table_becomes_a_policy() -> None:
    table = {
        "require": ["tests/*"],
        "max_age_h": 24,
        "on_undecided": "warn",
        "change_class": "payment-path",
        "require_checked": ["exactly-once"],
        "fingerprint": "same",
        "claims": [{"slo": "payment-success", "at_least": "0.9999"}],
    }
    assert parse("canary", table, FILE) == GateSpec(
        "canary",
        ("tests/*",),
        24.0,
        "warn",
        "payment-path",
        ("exactly-once",),
        same_fingerprint=True,
        claims=(ClaimSpec("payment-success", Fraction(9999, 10000)),),
    )


def test_by_default_undecided_blocks_and_any_age_counts() -> None:
    spec = parse("canary", {"require": ["tests/*"]}, FILE)
    assert (spec.on_undecided, spec.max_age_h, spec.change_class, spec.claims) == ("block", None, None, ())


@pytest.mark.parametrize("require", [[], None, "tests/*", [""], [1]])
def test_a_gate_that_asks_for_nothing_is_refused(require: Any) -> None:
    assert "gates.canary" in refused(require=require)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_age_h", 0),
        ("max_age_h", -1),
        ("max_age_h", True),
        ("max_age_h", float("inf")),
        ("max_age_h", float("nan")),
        ("max_age_h", "24"),
        ("on_undecided", "ignore"),
        ("fingerprint", "any"),
        ("change_class", ""),
        ("change_class", ["a"]),
        ("require_checked", "exactly-once"),
        ("claims", {"slo": "x"}),
        ("claims", [{"slo": "x"}]),
        ("claims", [{"at_least": "0.9"}]),
        ("claims", [{"slo": "x", "at_least": "1"}]),
        ("claims", [{"slo": "x", "at_least": "many"}]),
        ("claims", [{"slo": "x", "at_least": "0.9", "atleast": 1}]),
        ("max_age", 24),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(key: str, value: Any) -> None:
    assert "finchaos.toml: gates.canary" in refused(**{key: value})


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    assert "did you mean 'max_age_h'" in refused(max_age=24)


def test_an_unknown_gate_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'canary'"):
        gate({"canary": {"require": ["x"]}}, "canery", FILE)


def test_a_file_without_gates_says_what_to_add() -> None:
    with pytest.raises(UserError, match=r"add \[gates.canary\]"):
        gate({}, "canary", FILE)


@pytest.mark.parametrize(
    ("pattern", "node_id"),
    [
        ("tests/test_a.py::test_x", "tests/test_a.py::test_x"),
        ("tests/test_a.py::test_x", "tests/test_a.py::test_x[eu-1]"),
        ("tests/test_a.py", "tests/test_a.py::test_x"),
        ("tests/test_a.py::TestIt", "tests/test_a.py::TestIt::test_x"),
        ("tests", "tests/deep/test_a.py::test_x"),
        ("tests/", "tests/deep/test_a.py::test_x"),
        ("tests/*", "tests/deep/test_a.py::test_x"),
        ("tests/test_a.py::*", "tests/test_a.py::test_x[a/b]"),
        ("*::test_x[eu-1]", "tests/test_a.py::test_x[eu-1]"),
        ("*::test_?", "tests/test_a.py::test_x"),
    ],
)
def test_a_pattern_means(pattern: str, node_id: str) -> None:
    assert matches(pattern, node_id)


@pytest.mark.parametrize(
    ("pattern", "node_id"),
    [
        ("tests/test_a.py::test_x", "tests/test_a.py::test_xy"),
        ("tests/test_a.py::test_x[eu-1]", "tests/test_a.py::test_xe"),
        ("tests/test_a.p", "tests/test_a.py::test_x"),
        ("test_a.py", "tests/test_a.py::test_x"),
        ("tests.test_a", "tests/test_a.py::test_x"),
        ("tests/test_b*", "tests/test_a.py::test_x"),
    ],
)
def test_a_pattern_does_not_mean(pattern: str, node_id: str) -> None:
    assert not matches(pattern, node_id)


def concerned(wanted: str | None, told: str | None, *others: str) -> bool:
    spec = GateSpec("canary", ("tests/*",), change_class=wanted)
    return concerns(spec, told, [*([wanted] if wanted else []), *others])


def test_a_gate_concerns_changes_of_its_class_only() -> None:
    assert concerned("payment-path", "payment-path")
    assert not concerned("payment-path", "docs")
    assert not concerned("payment-path", "schema", "schema")


def test_a_gate_without_a_class_concerns_every_change() -> None:
    assert concerned(None, "docs")


def test_a_change_whose_class_is_not_told_is_concerned() -> None:
    assert concerned("payment-path", None)


def test_a_misspelled_class_does_not_switch_a_gate_off() -> None:
    with pytest.raises(UserError, match="did you mean 'payment-path'"):
        concerned("payment-path", "payment-pat")
