"""Laws of the plan and of the record codec."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice, pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finchaos.load.arrivals import arrivals, draw, offsets_s, retry_delay_ns, zipf_bounds
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import ArrivalProcess, load_profile
from pytest_finchaos.load.records import Kind, Record, decode, encode
from pytest_finchaos.load.request import DETAILS
from pytest_finchaos.model.history import Arrival, Outcome, Purpose
from pytest_finchaos.model.spec import DataSpec, OperationSpec, OutcomeRules
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S

CARD, SHOP = load_profile("card_pos_auth"), load_profile("ecom_checkout")
DATA = {"customer": DataSpec("customer", "cust-{n:04d}", 200), "merchant": DataSpec("merchant", "shop-{n:04d}", 50)}
SEEDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)


def planned(seed: str, number: int, rate_per_s: float = 100.0) -> list[Arrival]:
    return list(islice(arrivals(CARD, rate_per_s=rate_per_s, seed=seed, data=DATA, key_prefix="run-d"), number))


@given(SEEDS, st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=25, deadline=None)
def test_equal_inputs_give_equal_prefixes(seed: str, shorter: int, longer: int) -> None:
    assert planned(seed, shorter) == planned(seed, max(shorter, longer))[:shorter]


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_indices_count_up_times_do_not_go_back_and_keys_are_unique(seed: str) -> None:
    plan = planned(seed, 300)
    assert [arrival.index for arrival in plan] == list(range(300))
    assert all(earlier.intended_ns <= later.intended_ns for earlier, later in pairwise(plan))
    assert len({arrival.key for arrival in plan}) == 300
    assert all(isinstance(arrival.values["amount_minor"], int) for arrival in plan)
    assert all(1 <= arrival.values["amount_minor"] <= CARD.amounts.max_minor for arrival in plan)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_leaving_an_operation_out_moves_no_instant(seed: str) -> None:
    fewer = CARD.restricted_to(["authorise", "balance"])
    some = islice(arrivals(fewer, rate_per_s=50.0, seed=seed, data=DATA, key_prefix="k"), 100)
    whole = [arrival for arrival in planned(seed, 120, 50.0) if arrival.operation != "freshness"]
    assert [arrival.intended_ns for arrival in some] == [arrival.intended_ns for arrival in whole[:100]]


@given(SEEDS, st.sampled_from([CARD.arrivals, SHOP.arrivals]))
@settings(max_examples=20, deadline=None)
def test_the_mean_rate_is_the_rate_asked_for(seed: str, process: ArrivalProcess) -> None:
    # 2,000 s at 5/s; the variance of the count of the bursty process is about 2.2 of Poisson's plus its states' share
    seconds, rate = 2_000.0, 5.0
    count = sum(1 for _ in takewhile(lambda offset: offset < seconds, offsets_s(process, rate, seed)))
    spread = math.sqrt(seconds * rate) if process.process == "poisson" else 6.0 * math.sqrt(seconds * rate)
    assert abs(count - seconds * rate) < 6 * spread


def test_gaps_are_exponential() -> None:
    times = list(islice(offsets_s(CARD.arrivals, 10.0, "law"), 20_000))
    gaps = sorted(later - earlier for earlier, later in pairwise([0.0, *times]))
    # Kolmogorov-Smirnov distance against 1 - exp(-10 x); 1.95/sqrt(n) is the 0.1 % bound
    distance = max(abs((at + 1) / len(gaps) - (1 - math.exp(-10.0 * gap))) for at, gap in enumerate(gaps))
    assert distance < 1.95 / math.sqrt(len(gaps))


def test_bursts_make_counts_overdispersed_and_poisson_does_not() -> None:
    def dispersion(process: ArrivalProcess) -> float:
        counts = Counter(int(offset) for offset in takewhile(lambda at: at < 2_000, offsets_s(process, 20.0, "law")))
        each = [counts[second] for second in range(2_000)]
        mean = sum(each) / len(each)
        return sum((count - mean) ** 2 for count in each) / len(each) / mean

    assert 0.85 < dispersion(CARD.arrivals) < 1.15
    assert dispersion(SHOP.arrivals) > 2.0


def test_mix_polls_amounts_skew_and_probes_have_their_shares() -> None:
    plan = planned("shares", 20_000, 1_000.0)
    mixed = [arrival for arrival in plan if arrival.operation != "freshness"]
    shares = Counter(arrival.operation for arrival in mixed)
    for name, share in (("authorise", 0.8), ("balance", 0.1), ("login", 0.05), ("score", 0.05)):
        assert abs(shares[name] / len(mixed) - share) < 5 * math.sqrt(share * (1 - share) / len(mixed))
    polls = [arrival.intended_ns for arrival in plan if arrival.operation == "freshness"]
    assert {round((later - earlier) / NS_PER_S, 6) for earlier, later in pairwise(polls)} == {0.5}
    amounts = sorted(arrival.values["amount_minor"] for arrival in mixed)
    assert 1_150 < amounts[len(amounts) // 2] < 1_250
    assert 8_500 < amounts[len(amounts) * 99 // 100] < 11_000
    customers = Counter(arrival.values["customer"] for arrival in mixed)
    bounds = zipf_bounds(200, 0.8)
    assert abs(customers["cust-0001"] / len(mixed) - bounds[0] / bounds[-1]) < 0.01
    paid = [arrival for arrival in mixed if arrival.operation == "authorise"]
    replays = [arrival.replay_after_ns for arrival in paid if arrival.replay_after_ns is not None]
    reuses = [arrival.reuse_after_ns for arrival in paid if arrival.reuse_after_ns is not None]
    assert abs(len(replays) / len(paid) - 0.08) < 0.012
    assert abs(len(reuses) / len(paid) - 0.05) < 0.01
    assert all(0.5 * NS_PER_S <= after_ns <= 2 * NS_PER_S for after_ns in replays)
    assert all(arrival.replay_after_ns is None for arrival in mixed if arrival.operation != "authorise")


@given(SEEDS, st.integers(0, 10_000), st.integers(0, 6))
def test_retry_delays_have_full_jitter(seed: str, index: int, attempt: int) -> None:
    delay_ns = retry_delay_ns(CARD, seed, index, attempt)
    assert 0 <= delay_ns < 50e6 * 2**attempt
    assert delay_ns == retry_delay_ns(CARD, seed, index, attempt)


@given(SEEDS, SEEDS, st.integers(0, 10**9))
def test_draws_are_in_the_unit_interval(seed: str, stream: str, number: int) -> None:
    assert 0.0 <= draw(seed, stream, number) < 1.0


RECORDS = st.builds(
    Record,
    kind=st.sampled_from(Kind),
    arrival=st.integers(0, 2**32 - 1),
    number=st.integers(0, 255),
    purpose=st.sampled_from(Purpose),
    operation=st.integers(0, 65_535),
    intended_ns=st.integers(0, 2**62),
    sent_ns=st.integers(0, 2**62),
    done_ns=st.integers(0, 2**62),
    outcome=st.sampled_from(Outcome),
    detail=st.sampled_from(DETAILS),
    status=st.integers(0, 999),
    reference=st.one_of(st.just(""), st.binary(min_size=16, max_size=16).map(bytes.hex)),
    answer=st.one_of(st.just(""), st.binary(min_size=8, max_size=8).map(bytes.hex)),
    value=st.one_of(st.none(), st.floats(allow_nan=False)),
    sequence=st.integers(0, 2**32 - 1),
)


@given(RECORDS)
def test_a_record_comes_back_as_it_went(record: Record) -> None:
    assert decode(encode(record)) == record


@given(RECORDS, st.integers(0, 79), st.integers(1, 255))
def test_no_single_wrong_byte_passes(record: Record, at: int, flip: int) -> None:
    data = bytearray(encode(record))
    data[at] ^= flip
    assert decode(bytes(data)) is None


@given(SEEDS, st.floats(0.1, 1_000))
def test_a_plan_crosses_to_the_driver_unchanged(seed: str, rate_per_s: float) -> None:
    operation = OperationSpec(
        "authorise", "g", "POST", "/p", {"K": "{key}"}, {"a": ["{index}"]}, OutcomeRules(("200",))
    )
    plan = LoadPlan(CARD, rate_per_s, seed, "k", {"authorise": operation}, {"g": "http://127.0.0.1:1"}, DATA)
    back = codec.loads(LoadPlan, codec.dumps(plan))
    assert back == plan
    assert list(islice(back.arrivals(), 20)) == list(islice(plan.arrivals(), 20))
