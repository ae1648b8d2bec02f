"""Exposure of releases: what each new version served before it was decided about, and how the way back went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_finchaos.model import currency
from pytest_finchaos.model.release import Exposure, ReleaseResult
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.reporting.formats import count, listed, seconds


@dataclass(frozen=True, slots=True)
class ExposureLine:
    """One release of one drill, in words.

    Args:
        started_at: When its drill began, ISO 8601 UTC.
        drill: Node id.
        run: Run id.
        release: ``gateway 1.0 → 1.1``.
        outcome: ``promoted``, ``rolled back`` or ``undecided``, with the triggers.
        exposed: What the new version served: requests, payments, failed ones, money.
        decided: From its first request to the decision.
        back: From the decision to its last answer, when it lost.
        in_flight: Payments that were under way in it at the switch, and those of them that were lost.
        same_build: Whether the build afterwards is the one before.
        text: Why, with figures.
    """

    started_at: str
    drill: str
    run: str
    release: str
    outcome: str
    exposed: str
    decided: str
    back: str
    in_flight: str
    same_build: str
    text: str


def exposure_lines(runs: Sequence[RunResult]) -> tuple[ExposureLine, ...]:
    """Every release of these runs, newest first."""
    lines = [
        _line(one, drill.started_at, drill.id, run.run.id)
        for run in runs
        for drill in run.drills
        for one in drill.releases
    ]
    return tuple(sorted(lines, key=lambda line: (line.started_at, line.drill), reverse=True))


def _line(one: ReleaseResult, started_at: str, drill: str, run: str) -> ExposureLine:
    back = one.outcome != "promoted"
    triggers = f": {listed(one.triggers)}" if one.triggers else ""
    lost = f", {count(one.in_flight_lost, 'payment')} lost" if one.in_flight_lost else ", none lost"
    return ExposureLine(
        started_at=started_at,
        drill=drill,
        run=run,
        release=f"{one.component} {one.before} → {one.version}",
        outcome=one.outcome + triggers,
        exposed=_exposed(one.exposure.get(one.version, Exposure())),
        decided=_between(one.times.t0_ns, one.times.t1_ns),
        back=_between(one.times.t1_ns, one.times.t4_ns) if back else "–",
        in_flight=count(one.in_flight, "payment") + lost if one.in_flight else "none",
        same_build=_same(one) if back else "–",
        text=one.text,
    )


def _exposed(one: Exposure) -> str:
    parts = [count(one.requests, "request"), count(one.payments, "payment")]
    if one.failed:
        parts.append(f"{one.failed:,} of them failed")
    money = currency.spell_all(dict(one.amount_minor))
    return ", ".join([*parts, *([money] if money else [])])


def _same(one: ReleaseResult) -> str:
    if not one.fingerprint_before or not one.fingerprint_after:
        return "not known"
    return "yes" if one.fingerprint_before == one.fingerprint_after else "NO"


def _between(start_ns: int | None, end_ns: int | None) -> str:
    return "–" if start_ns is None or end_ns is None else seconds((end_ns - start_ns) / 1e9)
