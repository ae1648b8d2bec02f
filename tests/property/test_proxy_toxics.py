"""Laws of reading a toxic from a request's body."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_finchaos.proxy.server.errors import ApiError
from pytest_finchaos.proxy.server.toxics import KINDS, read_toxic

NUMBERS = st.one_of(st.integers(), st.integers(-5, 5), st.integers(2**60, 2**70), st.floats(), st.booleans(), st.none())
JSON = st.recursive(
    st.one_of(NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
ATTRIBUTES = ("latency", "jitter", "rate", "delay", "timeout", "average_size", "size_variation", "bytes", "what")
TOXICS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.text(max_size=5), JSON),
        "type": st.one_of(st.sampled_from(sorted(KINDS)), JSON),
        "stream": st.one_of(st.sampled_from(["upstream", "downstream", "UPSTREAM"]), JSON),
        "toxicity": st.one_of(st.floats(-1, 2), JSON),
        "attributes": st.one_of(st.dictionaries(st.sampled_from(ATTRIBUTES), NUMBERS, max_size=4), JSON),
    },
)


@given(body=TOXICS)
def test_a_toxic_that_is_accepted_is_within_its_limits(body: dict[str, Any]) -> None:
    try:
        toxic = read_toxic(body)
    except ApiError as error:
        refused = error.status
    else:
        refused = 0
    assert refused in (0, 400)
    if refused:
        return
    assert 0 <= toxic.toxicity <= 1
    assert math.isfinite(toxic.toxicity)
    assert set(toxic.attributes) == set(KINDS[toxic.kind])
    for name, value in toxic.attributes.items():
        limits = KINDS[toxic.kind][name]
        assert limits.low <= value <= limits.high
