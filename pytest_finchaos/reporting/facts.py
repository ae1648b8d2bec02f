"""What a drill's result says, as sentences and moments: one source for terminal, Markdown and HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_finchaos.model.currency import spell, spell_all
from pytest_finchaos.model.money import Finding
from pytest_finchaos.model.result import DrillResult, InjectionResult, ObjectiveResult, RunResult
from pytest_finchaos.model.timeline import Phase
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.formats import clip, count, dated, listed, seconds, time_of_day

HEADLINE_LIMIT = 200
_TOLD = ("component-", "weights", "release-decided", "experiment-")  # events that stand on the timeline
NO_REASON = "no reason recorded"
_NS_PER_S = 1_000_000_000
_ORDER = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE, Verdict.PASS)
_WORDS = {
    Verdict.FAIL: "failed",
    Verdict.INVALID: "invalid",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.PASS: "passed",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    Args:
        at_s: Seconds from the drill's start.
        text: One sentence.
        bad: True when it is harm, and not an act of the drill itself.
    """

    at_s: float
    text: str
    bad: bool = False


def offset_s(drill: DrillResult, at_ns: int) -> float:
    """Seconds from the drill's start."""
    return (at_ns - drill.started_ns) / _NS_PER_S


def utc(drill: DrillResult, at_s: float) -> str:
    """Time of day in UTC, ``10:00:05.123``, of an offset from the drill's start."""
    return time_of_day(dated(drill.started_at, 0, round(at_s * _NS_PER_S)))


def load_start_s(drill: DrillResult) -> float | None:
    """When the load began, seconds from the drill's start: the money's witnesses count from there."""
    return next((offset_s(drill, event.at_ns) for event in drill.events if event.kind == "load-started"), None)


def label(at: int) -> str:
    """``F1`` for the first fault: the same label in every chart and table of the report."""
    return f"F{at + 1}"


def short_id(node_id: str) -> str:
    """The test's file and function without its folders; slashes in parameters are no folders."""
    file, mark, name = node_id.partition("::")
    return f"{file.rsplit('/', 1)[-1]}{mark}{name}"


def broken(drill: DrillResult) -> tuple[Finding, ...]:
    """Violated invariants that the drill did not look for."""
    return tuple(
        found
        for found in drill.money.findings
        if found.verdict is Verdict.FAIL and found.invariant not in drill.expected
    )


def broken_sentences(drill: DrillResult) -> list[str]:
    """Each violated invariant with the number of cases and the money in them."""
    return [finding_sentence(found) for found in broken(drill)]


def finding_sentence(found: Finding) -> str:
    """``exactly-once is violated: <what was found>``, with the cases and the money where that text lacks them."""
    said = found.text.replace(",", "")
    missing = []
    if str(found.violations) not in said:
        missing.append(f"{count(found.violations, 'case')} among {found.checked:,} checked")
    stakes = {
        code: minor for code, minor in found.amount_minor.items() if spell(minor, code).replace(",", "") not in said
    }
    if stakes:
        missing.append(spell_all(stakes))
    more = f" ({', '.join(missing)})" if missing else ""
    return _closed(f"{found.invariant} is violated{more}: {found.text}")


def unsuccessful(drill: DrillResult) -> str:
    """Payments that ended without success, of how many, and their money; "" when the drill counts none."""
    total = drill.impact.get("payments", 0)
    if not total:
        return ""
    bad = drill.impact.get("unsuccessful_payments", 0)
    if not bad:
        return f"All {count(total, 'payment')} ended as they should for the customer."
    money = spell_all(_by_currency(drill, "unsuccessful_minor_"))
    worth = f", worth {money}" if money else ""
    return f"{bad:,} of {count(total, 'payment')} ended without success{worth}."


def _by_currency(drill: DrillResult, prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): minor for key, minor in drill.impact.items() if key.startswith(prefix)}


def first_harm(drill: DrillResult) -> tuple[Moment, ...]:
    """What broke, in order: components that ended, the first operations without a good answer, the first bad slice."""
    moments = [
        Moment(offset_s(drill, event.at_ns), f"component {event.subject} ended" + _after(event.text), bad=True)
        for event in drill.events
        if event.kind == "component-exited" and event.at_ns >= drill.started_ns
    ]
    series = drill.series
    for at, start_s in enumerate(() if series is None else series.at_s):
        assert series is not None
        bad = series.failed[at] + series.unknown[at]
        if bad:
            total = bad + series.ok[at] + series.declined[at]
            parts = [(series.failed[at], "failed"), (series.unknown[at], "unknown")]
            words = f"{listed([f'{n:,} {name}' for n, name in parts if n])} of {count(total, 'operation')}"
            text = f"first operations without a good answer: {words} in {seconds(series.width_s)}"
            moments.append(Moment(_slice_s(drill, start_s), text, bad=True))
            break
    for recovery in drill.recoveries:
        if recovery.impact_at_ns is not None:
            text = f"first slice worse than the steady phase ({fault_words(drill, recovery.injection)})"
            moments.append(Moment(_slice_s(drill, offset_s(drill, recovery.impact_at_ns)), text, bad=True))
    return tuple(sorted(moments, key=lambda moment: moment.at_s))


def _slice_s(drill: DrillResult, start_s: float) -> float:
    """The start of a slice, or the arming of a fault inside it: harm in that slice is not told before its cause."""
    end_s = start_s + (0.1 if drill.series is None else drill.series.width_s)
    armed = [offset_s(drill, fault.armed_at_ns) for fault in drill.injections if fault.armed_at_ns is not None]
    return next((at_s for at_s in sorted(armed) if start_s <= at_s < end_s), start_s)


def _after(text: str) -> str:
    return f": {clip(text, 120)}" if text else ""


def fault_words(drill: DrillResult, injection_id: str) -> str:
    """``F1 latency 80 ms on api→store`` for an injection id."""
    for at, injection in enumerate(drill.injections):
        if injection.id == injection_id:
            return f"{label(at)} {injection.fault}"
    return injection_id


def moments(drill: DrillResult) -> tuple[Moment, ...]:
    """Phases, faults and components on one timeline, in order of time."""
    found = [
        Moment(offset_s(drill, span.start_ns), f"{span.phase.value} for {seconds((span.end_ns - span.start_ns) / 1e9)}")
        for span in drill.phases
        if span.phase not in (Phase.INJECT, Phase.REMOVE)
    ]
    for at, injection in enumerate(drill.injections):
        found.extend(_of_injection(drill, f"{label(at)} {injection.fault}", injection))
    found.extend(
        Moment(offset_s(drill, event.at_ns), f"{event.subject}: {event.kind}" + _after(event.text))
        for event in drill.events
        if event.kind.startswith(_TOLD) and event.kind != "component-exited" and event.at_ns >= drill.started_ns
    )
    found.extend(first_harm(drill))
    for recovery in drill.recoveries:
        if recovery.recovered_at_ns is not None:
            words = f"recovered from {fault_words(drill, recovery.injection)}"
            found.append(Moment(offset_s(drill, recovery.recovered_at_ns), words))
    return tuple(sorted(found, key=lambda moment: moment.at_s))


def _of_injection(drill: DrillResult, name: str, injection: InjectionResult) -> Iterable[Moment]:
    steps = (
        (injection.armed_at_ns, "armed"),
        (injection.acted_at_ns, "seen to act"),
        (injection.disarmed_at_ns, "removed"),
        (injection.gone_at_ns, "proven gone"),
    )
    for at_ns, step in steps:
        if at_ns is not None:
            yield Moment(offset_s(drill, at_ns), f"{name} {step}")
    end_s = offset_s(drill, injection.disarmed_at_ns or injection.armed_at_ns or drill.started_ns)
    if injection.acted is False:
        yield Moment(end_s, f"{name} DID NOT ACT", bad=True)
    if injection.gone is False:
        yield Moment(end_s, f"{name} IS STILL THERE", bad=True)


def objective_sentence(row: ObjectiveResult) -> str:
    """Measured against its limit, with the sample size."""
    total = row.good + row.bad + row.unknown
    unknown = f", {row.unknown:,} unknown" if row.unknown else ""
    where = f" in {row.population}" if row.population else ""
    needed = "" if row.needed is None else f"; {row.needed:,} more needed to decide"
    return f"{row.question} {row.name}: {row.bad:,} bad{unknown} of {total:,}{where}; limit: {row.limit}{needed}"


def lead(drill: DrillResult) -> list[str]:
    """What broke, when, how many payments, how much money: the first lines an auditor reads."""
    sentences = [] if drill.verdict is Verdict.PASS else broken_sentences(drill)
    if not sentences:
        sentences.append(_closed(drill.reasons[0].text if drill.reasons else NO_REASON))
    harm = first_harm(drill)
    if harm:
        sentences.append(_when(drill, harm[0]))
    if spent := unsuccessful(drill):
        doubt = "As far as this unsound run can tell: " if drill.verdict is Verdict.INVALID else ""
        sentences.append(doubt + spent)
    return sentences


def _when(drill: DrillResult, moment: Moment) -> str:
    earlier = [
        (offset_s(drill, fault.armed_at_ns), at)
        for at, fault in enumerate(drill.injections)
        if fault.armed_at_ns is not None and offset_s(drill, fault.armed_at_ns) <= moment.at_s
    ]
    relation = ""
    if earlier:
        armed_s, at = max(earlier)
        after_s = moment.at_s - armed_s
        how = "as" if after_s < 0.01 else f"{seconds(after_s)} after"
        relation = f", {how} {label(at)} {drill.injections[at].fault} was armed"
    when = f"At {utc(drill, moment.at_s)} UTC, {seconds(moment.at_s)} into the drill{relation}"
    return _closed(f"{when}: {moment.text}")


def headline(drill: DrillResult) -> str:
    """Why the drill has its verdict, in at most 200 characters."""
    sentences = broken_sentences(drill)
    text = sentences[0] if sentences else (drill.reasons[0].text if drill.reasons else NO_REASON)
    return clip(text, HEADLINE_LIMIT)


def strength(drill: DrillResult) -> int:
    """Key that puts failures first and passes last."""
    return _ORDER.index(drill.verdict)


def verdict_counts(run: RunResult) -> list[tuple[Verdict, int]]:
    """How many drills have each verdict, strongest first, without zeros."""
    tally = Counter(drill.verdict for drill in run.drills)
    return [(verdict, tally[verdict]) for verdict in _ORDER if tally[verdict]]


def run_sentence(run: RunResult) -> str:
    """The run in one sentence; the worst drill's headline when it did not pass."""
    if not run.drills:
        return "No drill ran, so nothing was shown."
    parts = [f"{number} {_WORDS[verdict]}" for verdict, number in verdict_counts(run)]
    text = f"{count(len(run.drills), 'drill')}: {listed(parts)}."
    if run.lost:
        text += f" The results of {count(len(run.lost), 'test')} were lost."
    worst = next((drill for verdict in _ORDER for drill in run.drills if drill.verdict is verdict), None)
    if worst is not None and worst.verdict is not Verdict.PASS:
        text += f" {short_id(worst.id)}: {headline(worst)}"
    return text


def not_checked(run: RunResult) -> list[tuple[str, str, tuple[str, ...]]]:
    """What was not checked: what, why, and the drills it concerns; each pair once, in order of appearance."""
    found: dict[tuple[str, str], list[str]] = {}
    for drill in run.drills:
        for what, why in unchecked(drill):
            found.setdefault((what, why), []).append(short_id(drill.id))
    rows = [(what, why, tuple(drills)) for (what, why), drills in found.items()]
    rows.extend((f"test {node_id}", "its result never arrived", ()) for node_id in run.lost)
    return rows


def unchecked(drill: DrillResult) -> list[tuple[str, str]]:
    """What this drill did not check and why: declared, invariants without a decision, an unreadable ledger."""
    rows = [(item.what, item.why) for item in drill.not_checked]
    rows.extend((f"money: {name}", why) for name, why in drill.money.not_checked.items())
    rows.extend(
        (f"money: {found.invariant}", found.text) for found in drill.money.findings if not found.verdict.decided
    )
    if drill.money.problem:
        rows.append(("money", drill.money.problem))
    return list(dict.fromkeys(rows))


def _closed(text: str) -> str:
    line = text.strip()
    return line if not line or line[-1] in ".!?…" else f"{line}."
