"""A drill told as text: the failure section, the summary lines of the terminal, JUnit properties."""

from __future__ import annotations

from pytest_finchaos.model.currency import spell, spell_all
from pytest_finchaos.model.money import Finding, Witness
from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting import facts, releases
from pytest_finchaos.reporting.formats import clip, count, printable, seconds

MAX_MOMENTS = 40
MAX_NOT_CHECKED = 8
PROPERTY_LIMIT = 200
_LINE = 400


def headline(drill: DrillResult) -> str:
    """Why the drill has its verdict, in one line of at most 200 characters."""
    return facts.headline(drill)


def failure_story(drill: DrillResult) -> list[str]:
    """The whole story of a drill, in the order in which it is asked for.

    Verdict and reasons; measured against limit with sample size; timeline; what broke first; money with amounts;
    what was not checked; where the evidence is; the command that repeats it.

    Returns:
        Lines without line ends or control characters.
    """
    told = releases.lines([drill])
    released = ["releases", *told] if told else []
    lines = [*_verdict(drill), *_measured(drill), *released, *_timeline(drill), *_first(drill), *_money(drill)]
    missing = facts.unchecked(drill)
    if missing:
        lines.append("not checked")
        lines.extend(f"  {what}: {why}" for what, why in missing)
    lines.append(f"evidence  {drill.directory or 'none: there was no load'}")
    lines.append(f"replay    {drill.replay}")
    return [_line(line) for line in lines]


def _line(text: str) -> str:
    return printable(text.replace("\n", " ").replace("\t", " "))


def _verdict(drill: DrillResult) -> list[str]:
    lines = [f"{drill.verdict.value}  {drill.id}"]
    lines.extend(
        f"  {'because' if not at else 'and'}: {clip(reason.text, _LINE)}" for at, reason in enumerate(drill.reasons)
    )
    where = "no environment" if drill.environment is None else f"environment {drill.environment.name}"
    load = f", {drill.profile} at {drill.rate_per_s:g}/s" if drill.profile else ""
    lines.append(f"  ({where}{load}, {seconds(drill.duration_s)}, seed {drill.seed})")
    return lines


def _measured(drill: DrillResult) -> list[str]:
    rows = sorted(drill.objectives, key=lambda row: not row.asserted)
    lines = [
        f"  {facts.objective_sentence(row)}: {row.verdict.value}{'' if row.asserted else ' (listed, not asked)'}"
        for row in rows
        if row.asserted or row.verdict is not Verdict.PASS
    ]
    lines.extend(
        f"  recovered {facts.fault_words(drill, row.injection)}: {row.text}: {row.verdict.value}"
        + ("" if row.asserted else " (listed, not asked)")
        for row in drill.recoveries
    )
    counts = drill.traffic
    lines.append(
        f"  traffic: {counts.sent:,} of {counts.planned:,} planned were sent; {counts.ok:,} ok, "
        f"{counts.declined:,} declined, {counts.failed:,} failed, {counts.unknown:,} unknown, "
        f"{counts.censored:,} in flight at the end"
    )
    if drill.generator is not None:
        lines.append(f"  load generator: lag p99 {drill.generator.lag_p99_ns / 1e6:.1f} ms")
    lines.extend(
        f"  check {name}: {verdict.value}: {clip(text, _LINE)}"
        for name, verdict, text in drill.checks
        if verdict is not Verdict.PASS
    )
    return ["measured against limit", *lines]


def _timeline(drill: DrillResult) -> list[str]:
    moments = facts.moments(drill)
    if not moments:
        return []
    lines = [f"timeline (seconds from {drill.started_at})"]
    lines.extend(
        f"  {moment.at_s:7.2f}  {'! ' if moment.bad else '  '}{moment.text}" for moment in moments[:MAX_MOMENTS]
    )
    if len(moments) > MAX_MOMENTS:
        lines.append(f"           … and {len(moments) - MAX_MOMENTS} more in report.json")
    return lines


def _first(drill: DrillResult) -> list[str]:
    harm = facts.first_harm(drill)
    if not harm:
        return ["what broke first: no operation failed or stayed unknown, no component ended"]
    return [f"what broke first: at {harm[0].at_s:.2f} s: {harm[0].text}"]


def _money(drill: DrillResult) -> list[str]:
    money = drill.money
    lines = []
    if money.problem:
        lines.append(f"  the ledger could not be read: {clip(money.problem, _LINE)}")
    for found in money.findings:
        if found.verdict is Verdict.FAIL:
            lines.extend(_finding(found, looked_for=found.invariant in drill.expected))
    holds = [found for found in money.findings if found.verdict is Verdict.PASS]
    if holds:
        lines.append(f"  hold: {', '.join(f'{found.invariant} ({found.checked:,})' for found in holds)}")
    lines.extend(f"  {text}" for text in (facts.unsuccessful(drill), resolutions(drill)) if text)
    return ["money", *(lines or ["  nothing was checked"])]


def resolutions(drill: DrillResult) -> str:
    """What became of the operations whose outcome the client did not know."""
    found = drill.money.resolutions
    if not found:
        return ""
    states = [item.state for item in found]
    parts = ", ".join(
        f"{states.count(state):,} {state}" for state in ("applied", "absent", "unresolved") if state in states
    )
    return f"{count(len(found), 'unknown outcome')} read from the ledger: {parts}."


def _finding(found: Finding, *, looked_for: bool) -> list[str]:
    mark = " (the drill looked for this)" if looked_for else ""
    lines = [f"  {facts.finding_sentence(found)}{mark}"]
    lines.extend(f"    {text}" for witness in found.witnesses for text in witness_lines(witness))
    hidden = found.violations - len(found.witnesses)
    if found.witnesses and hidden > 0:
        lines.append(f"    … and {count(hidden, 'further case')}")
    return lines


def witness_lines(witness: Witness) -> list[str]:
    """One case: key and amount, attempts, overlapping faults, ledger rows."""
    worth = "" if witness.amount_minor is None else f", {spell(witness.amount_minor, witness.currency)}"
    lines = [f"witness {witness.key}{worth}"]
    for name, texts in (("attempts", witness.attempts), ("faults", witness.faults), ("ledger", witness.rows)):
        lines.extend(f"  {name if not at else '':8} {clip(text, _LINE)}" for at, text in enumerate(texts))
    return lines


def summary_lines(run: RunResult) -> list[str]:
    """The terminal's summary section: one line a drill, then what was not checked, lost or troublesome."""
    lines = [_summary_line(drill) for drill in run.drills]
    missing = facts.not_checked(run)
    for what, why, drills in missing[:MAX_NOT_CHECKED]:
        where = f" [{count(len(drills), 'drill')}]" if drills else ""
        lines.append(clip(f"not checked: {what}: {why}", 160) + where)
    if len(missing) > MAX_NOT_CHECKED:
        lines.append(f"not checked: {len(missing) - MAX_NOT_CHECKED} more, listed in the report")
    lines.extend(clip(f"problem: {problem}", 200) for problem in run.problems)
    counts = ", ".join(f"{number} {verdict.value}" for verdict, number in facts.verdict_counts(run)) or "no drill ran"
    lines.append(f"run {clip(run.run.id, 80)}: {run.verdict.value} ({counts}), seed {run.run.seed}")
    return lines


def _summary_line(drill: DrillResult) -> str:
    name, why = clip(facts.short_id(drill.id), 90), clip(headline(drill), 160)
    return f"{drill.verdict.value:<12} {name} ({seconds(drill.duration_s)}): {why}"


def junit_properties(drill: DrillResult) -> list[tuple[str, str]]:
    """Short properties for JUnit XML; CI systems show them beside the test."""
    recovered = [f"{row.injection}={_recovery_s(row.after_s)}" for row in drill.recoveries]
    violated = [found.invariant for found in drill.money.findings if found.verdict is Verdict.FAIL]
    lost_minor = {
        key.removeprefix("unsuccessful_minor_"): minor
        for key, minor in drill.impact.items()
        if key.startswith("unsuccessful_minor_")
    }
    pairs = [
        ("verdict", drill.verdict.value),
        ("reasons", " ".join(dict.fromkeys(reason.code for reason in drill.reasons))),
        ("headline", headline(drill)),
        ("seed", drill.seed),
        ("environment", "" if drill.environment is None else drill.environment.id),
        ("fingerprint", "" if drill.environment is None else drill.environment.fingerprint),
        ("sent", f"{drill.traffic.sent} of {drill.traffic.planned}"),
        ("acted", " ".join(f"{item.id}={_three(item.acted)}" for item in drill.injections)),
        ("gone", " ".join(f"{item.id}={_three(item.gone)}" for item in drill.injections)),
        ("recovery_s", " ".join(recovered)),
        ("releases", "; ".join(releases.title(one) for one in drill.releases)),
        ("money_violated", " ".join(violated)),
        ("unsuccessful_payments", str(drill.impact.get("unsuccessful_payments", ""))),
        ("unsuccessful_amount", spell_all(lost_minor)),
        ("not_checked", str(len(facts.unchecked(drill)))),
        ("replay", drill.replay),
    ]
    return [(f"finchaos.{name}", clip(value, PROPERTY_LIMIT)) for name, value in pairs if value]


def _recovery_s(after_s: float | None) -> str:
    return "never" if after_s is None else f"{after_s:.2f}"


def _three(known: bool | None) -> str:
    return "unknown" if known is None else ("yes" if known else "no")
