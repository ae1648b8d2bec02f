"""Finds the times in which the generator itself stood still, from the gaps between plan and records."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from pytest_finchaos.model.history import Operation
from pytest_finchaos.runtime.clock import NS_PER_S

STALL_NS = NS_PER_S  # a shorter pause shows in the lag, which voids latency claims on its own


def stalls(
    operations: Sequence[Operation],
    marks: Sequence[tuple[int, int]],
    end_ns: int,
    max_in_flight: int,
) -> list[float]:
    """Lengths in seconds of the stalls: more than a second without any record, while an arrival was due.

    Args:
        operations: By arrival index, so by intended time.
        marks: (instant, requests in flight after it) of every start and end, in order of writing.
        end_ns: End of planning, or now while the load runs.
        max_in_flight: With as many in flight the generator waits for the target, which is no stall of its own.

    Returns:
        The lengths, counted from the first arrival that was due and not sent.
    """
    due = [operation.intended_ns for operation in operations]
    found: list[float] = []
    if not due:
        return found
    edges = [(due[0], 0), *marks, (end_ns, 0)]
    for (last_ns, in_flight), (next_ns, _) in pairwise(edges):
        until_ns = min(next_ns, end_ns)
        if until_ns - last_ns <= STALL_NS or in_flight >= max_in_flight:
            continue
        at = bisect_left(due, last_ns)
        while at < len(due) and operations[at].sent and operations[at].attempts[0].sent_ns < until_ns:
            at += 1  # was sent just before the gap
        if at < len(due) and until_ns - due[at] > STALL_NS:
            found.append((until_ns - due[at]) / NS_PER_S)
    return found
