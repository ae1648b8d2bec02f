"""The open-loop plan: an endless, pure function of profile, rate and seed.

Every draw is a hash of ``seed/stream/number``, so that no draw depends on another one, on the order in which
things happen, or on the version of a random generator.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from statistics import NormalDist
from typing import Any

from pytest_finchaos.load import data as sources
from pytest_finchaos.load.profile import ArrivalProcess, Probe, Profile
from pytest_finchaos.model.history import Arrival
from pytest_finchaos.model.spec import DataSpec
from pytest_finchaos.runtime.clock import NS_PER_S

_NORMAL = NormalDist()
_SMALLEST = 2.0**-54  # in place of 0.0, where a quantile function needs the open interval


def draw(seed: str, stream: str, number: int | str) -> float:
    """A number in [0, 1), uniform, 53 bits: the hash of ``seed/stream/number``."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{number}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def retry_delay_ns(profile: Profile, seed: str, index: int, attempt: int) -> int:
    """Delay before retry ``attempt`` (0 = the first retry): full jitter, uniform in 0 … base · 2^attempt."""
    span_ms = profile.retry.base_delay_ms * 2.0**attempt
    return int(draw(seed, "retry", f"{index}/{attempt}") * span_ms * 1e6)


def arrivals(
    profile: Profile, *, rate_per_s: float, seed: str, data: Mapping[str, DataSpec], key_prefix: str
) -> Iterator[Arrival]:
    """Planned operations in order of time, without end.

    Args:
        profile: What clients do; reduced to mapped operations (`Profile.restricted_to`).
        rate_per_s: Mean rate of the mix; polls come on top.
        seed: Seed text.
        data: Sources of test data; each becomes a placeholder value of its name.
        key_prefix: Start of every key; a dash and the index follow.

    Returns:
        An endless iterator; equal inputs give equal prefixes. Instants do not depend on mix, amounts or data.
    """
    streams = [_mixed(profile, rate_per_s, seed)] if profile.mix else []
    streams += [_polled(name, every_s, seed) for name, every_s in profile.polls.items()]
    values_of = _values(profile, seed, data)
    for index, due in enumerate(heapq.merge(*streams, key=lambda due: (due.offset_ns, due.stream))):
        yield Arrival(
            index=index,
            intended_ns=due.offset_ns,
            operation=due.operation,
            key=f"{key_prefix}-{index:06d}",
            values=values_of(due),
            replay_after_ns=_probe_after_ns(profile.late_replay, "replay", due, seed),
            reuse_after_ns=_probe_after_ns(profile.key_reuse, "reuse", due, seed),
        )


@dataclass(frozen=True, slots=True)
class _Due:
    offset_ns: int
    stream: str
    number: int  # within its stream, so that another stream changes nothing here
    operation: str

    @property
    def name(self) -> str:
        return f"{self.stream}/{self.number}"


def _mixed(profile: Profile, rate_per_s: float, seed: str) -> Iterator[_Due]:
    names = list(profile.mix)
    bounds = list(accumulate(profile.mix.values()))
    for number, offset_s in enumerate(offsets_s(profile.arrivals, rate_per_s, seed)):
        at = bisect_right(bounds, draw(seed, "operation", number) * bounds[-1])
        yield _Due(int(offset_s * NS_PER_S), "mix", number, names[min(at, len(names) - 1)])


def _polled(name: str, every_s: float, seed: str) -> Iterator[_Due]:
    phase = draw(seed, "poll", name)
    for number in count():
        yield _Due(int((phase + number) * every_s * NS_PER_S), f"poll:{name}", number, name)


def offsets_s(process: ArrivalProcess, rate_per_s: float, seed: str) -> Iterator[float]:
    """Instants in seconds from the start: Poisson, or modulated by exponential stays in two states.

    The modulated process is a unit-rate Poisson process in operational time, mapped back through the integral of
    the rate (time-rescaling theorem; Cox and Isham, *Point Processes*, 1980).
    """
    if process.process == "poisson":
        segments: Iterator[tuple[float, float]] = iter([(math.inf, rate_per_s)])
    else:
        segments = _stays(process, rate_per_s, seed)
    ends_s, rate = next(segments)
    now_s = 0.0
    for number in count():
        work = -math.log1p(-draw(seed, "gap", number))
        while now_s + work / rate > ends_s:
            work -= (ends_s - now_s) * rate
            now_s = ends_s
            ends_s, rate = next(segments)
        now_s += work / rate
        yield now_s


def _stays(process: ArrivalProcess, rate_per_s: float, seed: str) -> Iterator[tuple[float, float]]:
    """(end in seconds, rate) of each stay; the first state is drawn by its long-run share, so the mean rate holds."""
    share = process.burst_share
    calm_rate = rate_per_s / (1.0 - share + share * process.burst_factor)
    calm_mean_s = process.burst_mean_s * (1.0 - share) / share
    bursting = draw(seed, "state", 0) < share
    end_s = 0.0
    for number in count(1):
        mean_s = process.burst_mean_s if bursting else calm_mean_s
        end_s += -math.log1p(-draw(seed, "state", number)) * mean_s
        yield end_s, calm_rate * (process.burst_factor if bursting else 1.0)
        bursting = not bursting


def _values(profile: Profile, seed: str, data: Mapping[str, DataSpec]) -> Callable[[_Due], Mapping[str, Any]]:
    tables = {name: zipf_bounds(sources.size(spec), profile.skew.get(name, 0.0)) for name, spec in data.items()}
    amounts = profile.amounts
    location = math.log(amounts.median_minor)

    def values(due: _Due) -> Mapping[str, Any]:
        quantile = _NORMAL.inv_cdf(max(draw(seed, "amount", due.name), _SMALLEST))
        amount = round(math.exp(location + amounts.sigma * quantile))
        chosen: dict[str, Any] = {
            "amount_minor": min(max(amount, amounts.min_minor), amounts.max_minor),
            "currency": amounts.currency,
        }
        for name, bounds in tables.items():
            rank = bisect_right(bounds, draw(seed, name, due.name) * bounds[-1])
            chosen |= sources.values(data[name], min(rank, len(bounds) - 1))
        return chosen

    return values


def zipf_bounds(size: int, exponent: float) -> Sequence[float]:
    """Running sums of rank^-exponent for ranks 1 … ``size``; exponent 0 is uniform."""
    return list(accumulate(rank**-exponent for rank in range(1, size + 1)))


def _probe_after_ns(probe: Probe | None, stream: str, due: _Due, seed: str) -> int | None:
    if probe is None or due.operation != probe.operation or draw(seed, stream, due.name) >= probe.share:
        return None
    low_s, high_s = probe.after_s
    return int((low_s + (high_s - low_s) * draw(seed, f"{stream}-after", due.name)) * NS_PER_S)
