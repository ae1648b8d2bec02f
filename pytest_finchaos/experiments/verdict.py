"""The verdict on an experiment, from its journal: Chaos Toolkit itself says "completed" where nothing was proven."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_finchaos.experiments.journal import Activity, Journal, State
from pytest_finchaos.model.verdict import Judged, Reason, Verdict

OUR_ACTIONS = "pytest_finchaos.experiments.actions."
OUR_INJECTION = OUR_ACTIONS + "inject"
HTTP_ERROR = 400


@dataclass(frozen=True, slots=True)
class Ending:
    """How the child process ended.

    Args:
        kind: ``ended``, ``deadline``, ``interrupted``, ``died`` or ``refused``.
        text: One sentence.
    """

    kind: str
    text: str = ""

    @property
    def sound(self) -> bool:
        """True when the experiment ran to its end."""
        return self.kind == "ended"


def judge(journal: Journal | None, ending: Ending, *, measured_elsewhere: bool = False) -> tuple[Judged, ...]:
    """One judgement for each thing that must be right; the verdict of the experiment is their merge.

    Args:
        journal: What Chaos Toolkit wrote, or None when it wrote nothing.
        ending: How its process ended.
        measured_elsewhere: True when load, money or objectives of a drill are judged beside the journal: then a file
            without a hypothesis claims something all the same.
    """
    if not ending.sound or journal is None or journal.status not in ("completed", "failed"):
        return (_unsound(journal, ending),)
    if journal.looks_before and (journal.before is None or not journal.before.met):
        return (
            _passed("experiment", f"Chaos Toolkit {journal.version} ran to its end"),
            _baseline(journal),
            *_undo(journal),
        )
    return (
        _passed("experiment", f"Chaos Toolkit {journal.version} ran to its end"),
        _baseline(journal),
        *_method(journal),
        _injected(journal),
        *_during(journal),
        *_after(journal),
        *_undo(journal),
        *_unexplained(journal),
        *(() if measured_elsewhere else _claimed(journal)),
    )


def _passed(subject: str, text: str) -> Judged:
    return Judged(Verdict.PASS, (Reason(subject, text),), subject)


def _one(verdict: Verdict, subject: str, code: str, text: str, about: str = "") -> Judged:
    return Judged(verdict, (Reason(code, text, about),), subject)


def _unsound(journal: Journal | None, ending: Ending) -> Judged:
    """An experiment that was cut short: what it saw until then may be the cut's own doing, so nothing of it counts."""
    if not ending.sound:
        return _one(Verdict.INVALID, "experiment", f"experiment-{ending.kind}", ending.text or ending.kind)
    if journal is None:
        return _one(Verdict.INVALID, "experiment", "experiment-died", "Chaos Toolkit wrote no journal")
    if journal.status in ("aborted", "interrupted"):
        text = f"Chaos Toolkit ended the experiment as {journal.status}{_where(journal)}"
        return _one(Verdict.INVALID, "experiment", f"experiment-{journal.status}", text)
    text = f"the journal's status is {journal.status!r}, which is none that Chaos Toolkit documents"
    return _one(Verdict.INVALID, "experiment", "experiment-status", text)


def _where(journal: Journal) -> str:
    cut = next((activity for activity in journal.run if not activity.status), None)
    return "" if cut is None else f", in {cut.kind} {cut.name!r}"


def _baseline(journal: Journal) -> Judged:
    if not journal.looks_before:
        what = "no hypothesis" if not journal.probes_declared else f"none before the method ({journal.strategy})"
        return _passed("baseline", f"the file asks for {what}")
    if journal.before is None:
        return _one(Verdict.INVALID, "baseline", "baseline-not-measured", "the hypothesis was not looked at beforehand")
    if journal.before.dry:
        return _dry("baseline")
    if journal.before.met:
        return _passed("baseline", f"{_count(len(journal.before.probes), 'probe')} within tolerance beforehand")
    probe = journal.before.broken
    if probe is not None and probe.status != "succeeded":
        text = f"probe {probe.name!r} could not be made before the method, so nothing was injected: {_why(probe)}"
        return _one(Verdict.INVALID, "baseline", "baseline-not-measured", text, probe.name)
    text = "the hypothesis was not met before the method, so nothing was injected" + (
        "" if probe is None else f": {_outside(probe)}"
    )
    return _one(Verdict.INCONCLUSIVE, "baseline", "baseline-not-met", text, "" if probe is None else probe.name)


def _method(journal: Journal) -> Iterable[Judged]:
    failed, broken, doubtful = [], [], []
    for activity in journal.run:
        problem = _action_problem(activity) if activity.kind == "action" else ""
        if problem:
            failed.append(Reason("action-failed", f"action {activity.name!r} {problem}", activity.name))
        elif activity.kind == "action" and touched_nothing(activity):
            text = f"action {activity.name!r} touched nothing: it returned {activity.shown}"
            failed.append(Reason("no-target", text, activity.name))
        elif not activity.tolerance or activity.dry:
            continue
        elif activity.status == "succeeded" and activity.met is False:
            broken.append(Reason("probe-out-of-tolerance", f"during the method {_outside(activity)}", activity.name))
        elif activity.status != "succeeded" and activity.provider == "http":
            text = f"during the method probe {activity.name!r} got no answer: {_why(activity)}"
            broken.append(Reason("probe-out-of-tolerance", text, activity.name))
        elif activity.met is None:
            text = f"{activity.kind} {activity.name!r} has a tolerance that was not checked: {_why(activity)}"
            doubtful.append(Reason("tolerance-not-checked", text, activity.name))
    cut = journal.method_declared - len(journal.run)
    if cut > 0 and journal.status == "completed":
        failed.append(Reason("method-cut-short", f"{cut} of {journal.method_declared} activities never began"))
    if broken:
        yield Judged(Verdict.FAIL, tuple(broken), "method")
    if failed:
        yield Judged(Verdict.INVALID, tuple(failed), "method")
    if doubtful:
        yield Judged(Verdict.INCONCLUSIVE, tuple(doubtful), "method")
    if not (broken or failed or doubtful):
        yield _passed("method", f"{_count(len(journal.run), 'activity')} of the method went well")


def _action_problem(activity: Activity) -> str:
    """Why an action did not do what it was asked; "" when it did."""
    if activity.status == "failed":
        return f"failed: {_why(activity)}"
    if activity.status != "succeeded":
        return "did not end"
    if activity.dry:
        return ""
    if activity.tolerance:
        return f"returned {activity.shown}, out of its tolerance {activity.tolerance}" if activity.met is False else ""
    if activity.output is False:
        return "returned false: it was refused"
    code = activity.output.get("status") if isinstance(activity.output, dict) else None
    if activity.provider == "process" and code not in (0, None):
        return f"ended with exit status {code}"
    if activity.provider == "http" and isinstance(code, int) and code >= HTTP_ERROR:
        return f"was answered with status {code}"
    return ""


def touched_nothing(activity: Activity) -> bool:
    """True when an action of somebody else says itself that it found no target: ``[]``, ``{}`` or ``0``."""
    if activity.dry or activity.tolerance or activity.function.startswith(OUR_ACTIONS):
        return False
    output = activity.output
    if isinstance(output, list):
        return all(item in ([], {}) for item in output)
    return output == {} or (output == 0 and output is not False and isinstance(output, int | float))


def _injected(journal: Journal) -> Judged:
    actions = [activity for activity in journal.run if activity.kind == "action"]
    acting = [action for action in actions if not action.dry and injects(action)]
    if acting:
        names = ", ".join(repr(action.name) for action in acting[:3]) + (", …" if len(acting) > 3 else "")
        return _passed("injected", f"{_count(len(acting), 'action')} acted on the system: {names}")
    if not journal.run:
        why = "the method is empty"
    elif not actions:
        why = f"the method has {_count(len(journal.run), 'probe')} and no action"
    elif all(action.dry for action in actions if injects(action)) and any(injects(action) for action in actions):
        why = "the actions ran dry"
    else:
        why = "none of its actions disturbs anything: they wait, mark or remove"
    text = f"nothing was injected: {why}; a system that nobody disturbs proves nothing"
    return _one(Verdict.INCONCLUSIVE, "injected", "nothing-injected", text)


def injects(action: Activity) -> bool:
    """True when an action may disturb the system; of ours only `actions.inject` does."""
    return action.function == OUR_INJECTION or not action.function.startswith(OUR_ACTIONS)


def _during(journal: Journal) -> Iterable[Judged]:
    if not journal.looks_during:
        return
    if not journal.during:
        text = "the hypothesis was to be checked while the method ran, and no sample was taken"
        yield _one(Verdict.INCONCLUSIVE, "hypothesis-during", "hypothesis-not-measured", text)
        return
    if any(state.dry for state in journal.during):
        yield _dry("hypothesis-during")
        return
    broken = [state for state in journal.during if not state.met]
    if not broken:
        yield _passed("hypothesis-during", f"met in each of {_count(len(journal.during), 'sample')} during the method")
        return
    text = f"the hypothesis was broken in {len(broken)} of {len(journal.during)} samples during the method"
    yield _broken("hypothesis-during", "hypothesis-broken-during", text, broken[0], journal)


def _after(journal: Journal) -> Iterable[Judged]:
    if not journal.looks_after:
        return
    if journal.after is None:
        text = "the hypothesis was not looked at after the method"
        yield _one(Verdict.INCONCLUSIVE, "hypothesis-after", "hypothesis-not-measured", text)
    elif journal.after.dry:
        yield _dry("hypothesis-after")
    elif journal.after.met:
        yield _passed("hypothesis-after", f"{_count(len(journal.after.probes), 'probe')} within tolerance afterwards")
    else:
        text = "the hypothesis is broken after the method"
        yield _broken("hypothesis-after", "hypothesis-broken-after", text, journal.after, journal)


def _dry(subject: str) -> Judged:
    """Chaos Toolkit calls a probe that it did not make "within tolerance"."""
    text = "the probes ran dry: nothing was measured"
    return _one(Verdict.INCONCLUSIVE, subject, "hypothesis-not-measured", text)


def _broken(subject: str, code: str, text: str, state: State, journal: Journal) -> Judged:
    probe = state.broken
    if probe is None:
        return _one(Verdict.FAIL, subject, code, text)
    if probe.status == "succeeded":
        return _one(Verdict.FAIL, subject, code, f"{text}: {_outside(probe)}", probe.name)
    if probe.provider == "http" or (journal.before is not None and journal.before.met):
        return _one(
            Verdict.FAIL, subject, code, f"{text}: probe {probe.name!r} got no answer: {_why(probe)}", probe.name
        )
    told = f"{text}, or the probe is: {probe.name!r} raised, and no earlier look shows that it works: {_why(probe)}"
    return _one(Verdict.INCONCLUSIVE, subject, "hypothesis-not-measured", told, probe.name)


def _undo(journal: Journal) -> Iterable[Judged]:
    reasons = []
    for activity in journal.rollbacks:
        problem = _action_problem(activity) if activity.kind == "action" else _probe_problem(activity)
        if problem and not _done_before(activity, journal.run):
            text = f"rollback {activity.name!r} {problem}: the environment may still be disturbed"
            reasons.append(Reason("rollback-failed", text, activity.name))
    missing = journal.rollbacks_declared - len(journal.rollbacks)
    if missing > 0:
        text = f"{missing} of {journal.rollbacks_declared} rollbacks were not played: the environment may be disturbed"
        reasons.append(Reason("rollbacks-not-played", text))
    if reasons:
        yield Judged(Verdict.INVALID, tuple(reasons), "rollbacks")
    elif journal.rollbacks_declared:
        yield _passed("rollbacks", f"{_count(len(journal.rollbacks), 'rollback')} went well")


def _probe_problem(activity: Activity) -> str:
    if activity.status != "succeeded":
        return f"did not succeed: {_why(activity)}"
    return f"returned {activity.shown}, out of its tolerance" if activity.met is False else ""


def _done_before(rollback: Activity, run: Iterable[Activity]) -> bool:
    """True when a rollback found nothing left to do, because the method had done the same with success already."""
    return rollback.output is False and any(
        (done.function, done.arguments) == (rollback.function, rollback.arguments) and done.output is True
        for done in run
    )


def _unexplained(journal: Journal) -> Iterable[Judged]:
    """Chaos Toolkit says that something went wrong, and nothing above says what."""
    seen = (journal.before, *journal.during, journal.after)
    if any(state is not None and not state.met for state in seen):
        return
    if journal.deviated:
        yield _one(Verdict.FAIL, "experiment", "deviated", "Chaos Toolkit says that the experiment deviated")
    elif journal.status == "failed":
        yield _one(Verdict.INVALID, "experiment", "experiment-failed", "Chaos Toolkit says that the experiment failed")


def _claimed(journal: Journal) -> Iterable[Judged]:
    tolerances = any(activity.tolerance and not activity.dry for activity in journal.run)
    if journal.before or journal.during or journal.after or tolerances:
        return
    text = "the file has no steady-state hypothesis and no tolerance: it claims nothing that could be decided"
    yield _one(Verdict.INCONCLUSIVE, "hypothesis", "no-hypothesis", text)


def _outside(activity: Activity) -> str:
    return f"{activity.kind} {activity.name!r} returned {activity.shown}, tolerance {activity.tolerance}"


def _why(activity: Activity) -> str:
    return activity.problem or activity.doubt or "no reason was written"


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"
