"""Bodies of toxics, right and wrong, for laws and fuzzing."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_finchaos.proxy.server.toxics import KINDS

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
