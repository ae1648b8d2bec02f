"""Parts of run results as a real run leaves them, built from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from pytest_finchaos.model.history import Counts
from pytest_finchaos.model.money import Finding
from pytest_finchaos.model.result import Series
from pytest_finchaos.model.timeline import Phase, Span
from pytest_finchaos.model.verdict import Verdict

STARTED_NS = 7_000_000_000_000
FINGERPRINT = "9f2c41d07be35a8861f0c3a9d2247e5b1c6ad9f4408e72b35dd10f6a9be7c321"
WIDTH_S = 0.1
_INVARIANTS = {
    "acknowledged-durable": "every acknowledged payment is in the ledger",
    "exactly-once": "every key was paid at most once",
    "refused-no-effect": "no refused or declined request moved money",
    "same-key-same-answer": "equal requests got equal answers",
    "key-reuse-refused": "every key that was reused with another body was refused",
    "double-entry": "the entries of every payment sum to zero",
    "balance-chain": "every balance is what its entries say",
    "amount-fidelity": "every payment is what was asked for",
    "settlement-complete": "every payment is settled once, with right totals",
}


def at_ns(offset_s: float) -> int:
    """CLOCK_MONOTONIC of an offset from a drill's start."""
    return STARTED_NS + round(offset_s * 1e9)


def series(seed: int, *, span_s: float, slow: Callable[[float], float], bad: Callable[[float], float]) -> Series:
    """Points of a load of 100 operations a second.

    Args:
        seed: Of the noise.
        span_s: Length in seconds.
        slow: Factor on latencies at an offset.
        bad: Share of failed or unknown operations at an offset.
    """
    chance = random.Random(seed)
    rows: list[tuple[int, int, int, int, float | None, float | None, float | None]] = []
    for at in range(round(span_s / WIDTH_S)):
        at_s = at * WIDTH_S
        total = sum(chance.random() < 0.1 for _ in range(100)) if at_s > 0.3 else 0
        harmed = sum(chance.random() < bad(at_s) for _ in range(total))
        unknown = sum(chance.random() < 0.3 for _ in range(harmed))
        declined = sum(chance.random() < 0.03 for _ in range(total - harmed))
        p50 = round((8 + 3 * chance.random()) * slow(at_s), 3)
        p95 = round(p50 * (1.6 + chance.random()), 3)
        largest = round(p95 * (1.05 + 0.5 * chance.random()), 3)
        good = total - harmed - declined
        answered = (p50, p95, largest) if good else (None, None, None)
        rows.append((good, declined, harmed - unknown, unknown, *answered))
    ok, declined_, failed, unknown_, p50_ms, p95_ms, max_ms = zip(*rows, strict=True)
    starts = tuple(round(at * WIDTH_S, 3) for at in range(len(rows)))
    return Series(WIDTH_S, starts, ok, declined_, failed, unknown_, p50_ms, p95_ms, max_ms)


def counts(points: Series) -> Counts:
    """Accounting that agrees with the points."""
    ok, declined = sum(points.ok), sum(points.declined)
    failed, unknown = sum(points.failed), sum(points.unknown)
    sent = ok + declined + failed + unknown
    return Counts(planned=sent, sent=sent, ok=ok, declined=declined, failed=failed, unknown=unknown)


def phases(*bounds_s: float, end_s: float) -> tuple[Span, ...]:
    """Warm, steady, inject, hold, remove, recover, settle, beginning at ``bounds_s``."""
    edges = (*bounds_s, end_s)
    return tuple(
        Span(phase, at_ns(edges[at]), at_ns(edges[at + 1])) for at, phase in enumerate(list(Phase)[: len(bounds_s)])
    )


def findings(checked: int, **violated: Finding) -> tuple[Finding, ...]:
    """All invariants; those in ``violated`` (with underscores) as given, the others hold."""
    given = {name.replace("_", "-"): finding for name, finding in violated.items()}
    return tuple(
        given.get(name, Finding(name, Verdict.PASS, f"{claim} ({checked} checked)", checked, 0))
        for name, claim in _INVARIANTS.items()
    )
