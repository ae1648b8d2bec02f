"""What the codec refuses, and what it reads although it is newer than itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.money import Payment
from pytest_finchaos.model.verdict import Reason, Verdict
from pytest_finchaos.runtime import codec

PAYMENT = Payment("k1", "p1", 1_250, "EUR", "cust-0001", "shop-0001", "booked")


@dataclass(frozen=True, slots=True)
class Odd:
    by_outcome: Mapping[Outcome, int] = field(default_factory=dict)
    where: Path = Path()
    maybe: float | None = None
    names: frozenset[str] = frozenset()


def test_money_stays_an_integer() -> None:
    assert '"amount_minor":1250' in codec.dumps(PAYMENT)
    with pytest.raises(codec.CodecError, match=r"\$\.amount_minor: expected int, got float"):
        codec.loads(Payment, codec.dumps(PAYMENT).replace("1250", "1250.0"))


@pytest.mark.parametrize("value", [Decimal("1.5"), object(), b"bytes", {1: "a"}])
def test_a_value_without_a_plain_form_is_refused(value: Any) -> None:
    with pytest.raises(codec.CodecError):
        codec.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_know_is_refused_when_written(value: float) -> None:
    with pytest.raises(codec.CodecError):
        codec.dumps({"at": value})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "", "{", "nonsense"])
def test_what_json_does_not_know_is_refused_when_read(text: str) -> None:
    with pytest.raises(codec.CodecError, match="not JSON"):
        codec.loads(dict[str, Any], text)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Reason, '{"code": 5, "text": "t"}', r"\$\.code: expected str, got int"),
        (Reason, '{"code": "c"}', r"\$: .*text"),
        (Reason, "[]", r"\$: expected an object, got list"),
        (tuple[Verdict, ...], '["PASS", "GREEN"]', r"\$\[1\]: 'GREEN' is not a valid Verdict"),
        (tuple[int, int], "[1]", "expected 2 items, got 1"),
        (tuple[int, ...], '"12"', "expected a list, got str"),
        (int, "true", "expected int, got bool"),
        (float | None, '"x"', "expected float, got str"),
        (Mapping[str, int], '{"a": "b"}', r"\$\.a: expected int"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_path(kind: Any, text: str, message: str) -> None:
    with pytest.raises(codec.CodecError, match=message):
        codec.loads(kind, text)


def test_keys_of_a_newer_version_are_ignored_and_missing_ones_take_their_default() -> None:
    assert codec.loads(Reason, '{"code": "c", "text": "t", "added_later": 1}') == Reason("c", "t")


def test_enum_keys_paths_sets_and_whole_numbers_for_floats_come_back_as_they_were() -> None:
    odd = Odd({Outcome.OK: 3, Outcome.FAILED: 1}, Path("/tmp/a b"), 2.0, frozenset({"x", "y"}))

    assert codec.loads(Odd, codec.dumps(odd)) == odd
    assert codec.loads(Odd, '{"maybe": 2}').maybe == 2.0


def test_text_that_is_no_unicode_survives_and_can_be_written() -> None:
    broken = Reason("code", "file \udce4 of →")

    text = codec.dumps(broken)

    assert text.encode()
    assert codec.loads(Reason, text) == broken
    assert "→" in codec.dumps(Reason("code", "a→b"))
