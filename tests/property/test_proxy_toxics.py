"""Laws of reading a toxic from a request's body."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given

from pytest_finchaos.proxy.server.errors import ApiError
from pytest_finchaos.proxy.server.toxics import KINDS, read_toxic
from tests.systems.toxic_bodies import TOXICS


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
