"""What steady traffic looked like, so that a slice of time can be called bad against it."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_finchaos.model.history import Operation, Outcome
from pytest_finchaos.model.timeline import Span
from pytest_finchaos.slo.binomial import count_bound
from pytest_finchaos.slo.events import answered_ns
from pytest_finchaos.slo.series import nearest_rank

MIN_REQUESTS = 50  # fewer steady requests make no baseline, of one operation or of all
CENSORED_IS_ERROR_NS = 2_000_000_000  # in flight for longer than a client waits
_SLACK_NS = 20_000_000
_FINAL = (Outcome.OK, Outcome.DECLINED)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The steady phase in figures.

    Args:
        requests: Steady requests.
        bad: Those that were an error or slow by `slow_ns`.
        p99_ns: Latency over all operations.
        slow_ns: Slow is above this: max(2 × p99, p99 + 20 ms); for all operations.
        slow_of_ns: The same of each operation that has a baseline of its own.
        latency_counts: False when the generator was too late: then errors only.
    """

    requests: int
    bad: int
    p99_ns: int
    slow_ns: int
    slow_of_ns: Mapping[str, int] = field(default_factory=dict)
    latency_counts: bool = True

    @property
    def bad_rate(self) -> float:
        """Rate of bad requests that chance explains; Jeffreys' half: a clean phase does not prove a rate of zero."""
        return (self.bad + 0.5) / (self.requests + 1)

    def limit_ns(self, operation: Operation) -> int:
        """How long this operation may take before it is slow."""
        return self.slow_of_ns.get(operation.arrival.operation, self.slow_ns)

    def is_bad(self, operation: Operation) -> bool:
        """True for an error (anything but ok or declined), and for a slow answer where latency counts."""
        if operation.outcome not in _FINAL:
            return True
        latency_ns = answered_ns(operation)
        return self.latency_counts and latency_ns is not None and latency_ns > self.limit_ns(operation)

    def is_open(self, operation: Operation, until_ns: int) -> bool:
        """True when it may still turn out well: not sent yet or in flight, and not yet late at ``until_ns``."""
        if operation.outcome not in (None, Outcome.CENSORED):
            return False
        limit_ns = self.limit_ns(operation) if self.latency_counts else CENSORED_IS_ERROR_NS
        return until_ns - operation.intended_ns <= limit_ns

    def allowed(self, requests: int) -> int:
        """How many bad requests among ``requests`` chance explains (99.9 % binomial bound)."""
        return _allowed(requests, self.bad_rate)


def baseline(
    operations: Iterable[Operation], spans: Sequence[Span], *, before_ns: int, latency_counts: bool = True
) -> Baseline:
    """The baseline from the operations intended in ``spans`` and before ``before_ns``.

    Args:
        operations: What the load did.
        spans: The steady phases.
        before_ns: The fault was armed then: nothing later is steady.
        latency_counts: False when latency is void.
    """
    steady = [
        operation
        for operation in operations
        if operation.intended_ns < before_ns
        and any(span.start_ns <= operation.intended_ns < span.end_ns for span in spans)
    ]
    latencies: dict[str, list[int]] = defaultdict(list)
    for operation in steady:
        latency_ns = answered_ns(operation)
        if latency_ns is not None:
            latencies[operation.arrival.operation].append(latency_ns)
    pooled = sorted(latency_ns for each in latencies.values() for latency_ns in each)
    p99_ns = nearest_rank(pooled, 99) if pooled else 0
    slow_ns = max(2 * p99_ns, p99_ns + _SLACK_NS)
    own = {name: _slow_ns(each, slow_ns) for name, each in latencies.items()}
    found = Baseline(len(steady), 0, p99_ns, slow_ns, own, latency_counts)
    bad = sum(found.is_bad(operation) for operation in steady)
    return Baseline(len(steady), bad, p99_ns, slow_ns, own, latency_counts)


def _slow_ns(latencies: list[int], pooled_ns: int) -> int:
    """An operation's own limit; with few requests its p99 is its maximum, so never below the pooled limit then."""
    p99_ns = nearest_rank(sorted(latencies), 99)
    own_ns = max(2 * p99_ns, p99_ns + _SLACK_NS)
    return own_ns if len(latencies) >= MIN_REQUESTS else max(own_ns, pooled_ns)


@functools.lru_cache(maxsize=4096)
def _allowed(requests: int, rate: float) -> int:
    return count_bound(requests, rate)
