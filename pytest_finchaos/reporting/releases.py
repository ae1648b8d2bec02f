"""Releases told: title, steps, times, exposure; for the page, the story and the summary."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_finchaos.model.currency import spell_all
from pytest_finchaos.model.release import ROLLED_BACK, Exposure, ReleaseResult, ReleaseStep
from pytest_finchaos.model.result import DrillResult
from pytest_finchaos.reporting.formats import clip, count, seconds

_LINE = 400
_MEANINGS = (
    ("t0_ns", "the new version began its first request"),
    ("t1_ns", "the decision"),
    ("t2_ns", "the router had taken the last weights"),
    ("t3_ns", "the last request began on {loser}"),
    ("t4_ns", "the last request ended on {loser}"),
    ("t5_ns", "the last failure on the new version ended"),
)


def title(one: ReleaseResult) -> str:
    """What was released and how it ended, in one line."""
    because = f" because of {', '.join(one.triggers)}" if one.outcome == ROLLED_BACK else ""
    return f"{one.component} {one.before} → {one.version}: {one.outcome}{because}"


def share(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{value * 100:.3g} %"


def loser(one: ReleaseResult) -> str:
    """The version that serves no more."""
    return one.before if one.outcome == "promoted" else one.version


def times(drill: DrillResult, one: ReleaseResult) -> list[tuple[str, str, float | None]]:
    """Name, meaning and seconds into the drill of each instant; None for what did not happen."""
    rows = []
    for name, meaning in _MEANINGS:
        at_ns: int | None = getattr(one.times, name)
        offset = None if at_ns is None else (at_ns - drill.started_ns) / 1e9
        rows.append((name.removesuffix("_ns"), meaning.format(loser=loser(one)), offset))
    return rows


def exposure_words(found: Exposure) -> str:
    """What a version served, in words."""
    money = f", {spell_all(found.amount_minor)}" if found.amount_minor else ""
    failed = f", {found.failed:,} of them failed at first" if found.failed else ""
    return f"{count(found.requests, 'request')}, {count(found.payments, 'payment')}{money}{failed}"


def switch_words(one: ReleaseResult) -> str:
    """What was in flight when the router took the last weights."""
    if not one.in_flight:
        return f"no payment was in flight on {loser(one)} at the switch"
    lost = f"{one.in_flight_lost:,} of them without a known end" if one.in_flight_lost else "each with a known end"
    return f"{count(one.in_flight, 'payment')} in flight on {loser(one)} at the switch, {lost}"


def fingerprint_words(one: ReleaseResult) -> str:
    """How the environment's fingerprint went."""
    before, during, after = (
        text[:12] for text in (one.fingerprint_before, one.fingerprint_during, one.fingerprint_after)
    )
    end = "as before again afterwards" if before == after else f"{after} afterwards"
    return f"{before} before, {during} while both versions ran, {end}"


def lines(drills: Iterable[DrillResult]) -> list[str]:
    """The releases of some drills as indented text."""
    found = []
    for drill in drills:
        for one in drill.releases:
            found.append(f"  {title(one)}: {one.verdict.value}{'' if one.asserted else ' (not asserted)'}")
            found.append(f"    {clip(one.text, _LINE)}")
            found.extend(f"    {_step(step)}" for step in one.steps)
            found.extend(f"    {version}: {exposure_words(what)}" for version, what in one.exposure.items())
            known = [f"{name} {seconds(at_s)}" for name, _, at_s in times(drill, one) if at_s is not None]
            found.append(f"    {', '.join(known)}; {switch_words(one)}")
            found.append(f"    fingerprint {fingerprint_words(one)}")
    return found


def _step(step: ReleaseStep) -> str:
    kept = "" if step.kept else " (NOT as configured)"
    return (
        f"{share(step.share)}: {step.on_canary:,} of {step.requests:,} requests = {share(step.actual)}{kept};"
        f" {step.payments:,} of {step.needed:,} payments; E = {step.evidence:.3g}"
    )
