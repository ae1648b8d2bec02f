"""Chaos Toolkit's journal as frozen values, the same for every version of it; nothing is judged here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_finchaos.model.timeline import Event
from pytest_finchaos.runtime.clock import NS_PER_S, Anchor

OURS = "finchaos"  # what our child process adds to the journal and to a run stands under this key
SHOWN = 160
_CARRIER = "chaoslib.exceptions.ActivityFailed: "
_REFUSED = "pytest_finchaos.experiments.client.Refused: "


@dataclass(frozen=True, slots=True)
class Activity:
    """One run of a probe or an action.

    Args:
        name: As the file calls it.
        kind: ``probe`` or ``action``.
        provider: ``python``, ``http`` or ``process``.
        function: ``module.func``, the URL or the program.
        arguments: As JSON text, to compare two activities.
        output: What it returned.
        status: ``succeeded``, ``failed``, or "" when it never ended.
        problem: Last line of its exception.
        started_at, ended_at: ISO 8601, or "".
        tolerance: What the file allows, as JSON text; "" when it says nothing.
        met: Whether the output is within the tolerance; None when that was not found out.
        doubt: Why ``met`` is None although the activity succeeded.
        dry: True when it was asked to do nothing.
    """

    name: str
    kind: str
    provider: str
    function: str
    arguments: str
    output: Any
    status: str
    problem: str = ""
    started_at: str = ""
    ended_at: str = ""
    tolerance: str = ""
    met: bool | None = None
    doubt: str = ""
    dry: bool = False

    @property
    def shown(self) -> str:
        """The output, short enough for a sentence."""
        text = _json(self.output)
        return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


@dataclass(frozen=True, slots=True)
class State:
    """One look at the steady-state hypothesis."""

    met: bool
    probes: tuple[Activity, ...]

    @property
    def dry(self) -> bool:
        """True when a probe was not made at all."""
        return any(probe.dry for probe in self.probes)

    @property
    def broken(self) -> Activity | None:
        """The probe that was not within its tolerance; Chaos Toolkit stops at the first."""
        return next((probe for probe in self.probes if not probe.met), None)


@dataclass(frozen=True, slots=True)
class Journal:
    """What happened.

    Args:
        version: Of chaostoolkit-lib.
        status: ``completed``, ``failed``, ``aborted``, ``interrupted``, or what else was written.
        deviated: As Chaos Toolkit saw it.
        strategy: When the hypothesis was to be looked at.
        before, after: The hypothesis, or None when it was not looked at.
        during: Its samples while the method ran.
        run, rollbacks: What was done.
        probes_declared, method_declared, rollbacks_declared: How many the file has.
    """

    version: str
    status: str
    deviated: bool
    strategy: str
    before: State | None
    during: tuple[State, ...]
    after: State | None
    run: tuple[Activity, ...]
    rollbacks: tuple[Activity, ...]
    probes_declared: int
    method_declared: int
    rollbacks_declared: int

    @property
    def looks_before(self) -> bool:
        """True when the hypothesis was to be looked at before the method."""
        return bool(self.probes_declared) and self.strategy in ("default", "before-method-only", "continuous")

    @property
    def looks_during(self) -> bool:
        """True when it was to be looked at while the method ran."""
        return bool(self.probes_declared) and self.strategy in ("during-method-only", "continuous")

    @property
    def looks_after(self) -> bool:
        """True when it was to be looked at after the method."""
        return bool(self.probes_declared) and self.strategy in ("default", "after-method-only", "continuous")


def parse(plain: Mapping[str, Any]) -> Journal:
    """The journal that a child process wrote.

    Args:
        plain: Parsed JSON; missing parts become empty ones, so that a torn run can be judged too.
    """
    experiment = _table(plain.get("experiment"))
    states = _table(plain.get("steady_states"))
    hypothesis = _table(experiment.get("steady-state-hypothesis"))
    dry = _dry(experiment)
    return Journal(
        version=str(plain.get("chaoslib-version", "")),
        status=str(plain.get("status") or ""),
        deviated=bool(plain.get("deviated")),
        strategy=str(_table(plain.get(OURS)).get("strategy", "default")),
        before=_state(states.get("before"), dry),
        during=tuple(state for state in (_state(item, dry) for item in _list(states.get("during"))) if state),
        after=_state(states.get("after"), dry),
        run=tuple(_activity(item, dry) for item in _list(plain.get("run"))),
        rollbacks=tuple(_activity(item, dry) for item in _list(plain.get("rollbacks"))),
        probes_declared=len(_list(hypothesis.get("probes"))),
        method_declared=len(_list(experiment.get("method"))),
        rollbacks_declared=len(_list(experiment.get("rollbacks"))),
    )


def events(journal: Journal, anchor: Anchor) -> tuple[Event, ...]:
    """Each activity on the drill's timeline, when it ended; what has no readable time is left out.

    Of samples during the method that say the same one after the other, the first stands there: there may be thousands.

    Args:
        journal: The journal.
        anchor: One instant on both clocks.
    """
    groups = (
        ("before", () if journal.before is None else journal.before.probes),
        ("method", journal.run),
        ("during", tuple(probe for state in _changes(journal.during) for probe in state.probes)),
        ("after", () if journal.after is None else journal.after.probes),
        ("rollback", journal.rollbacks),
    )
    found = [_event(part, activity, anchor) for part, activities in groups for activity in activities]
    return tuple(sorted((event for event in found if event is not None), key=lambda event: event.at_ns))


def _changes(states: Sequence[State]) -> list[State]:
    return [state for at, state in enumerate(states) if not at or state.met is not states[at - 1].met]


def _event(part: str, activity: Activity, anchor: Anchor) -> Event | None:
    try:
        moment = datetime.fromisoformat(activity.ended_at or activity.started_at)
    except ValueError:
        return None
    wall_ns = round(moment.timestamp() * NS_PER_S)
    how = activity.status or "did not end"
    if activity.met is not None:
        how += ", within tolerance" if activity.met else ", out of tolerance"
    text = f"{part}: {activity.kind} {how}" + (f": {activity.problem}" if activity.problem else "")
    return Event(
        anchor.monotonic_ns + wall_ns - anchor.wall_ns, f"experiment-{activity.kind}", activity.name, text[:300]
    )


def _state(plain: Any, dry: str) -> State | None:
    if not isinstance(plain, Mapping):
        return None
    return State(
        plain.get("steady_state_met") is True, tuple(_activity(run, dry) for run in _list(plain.get("probes")))
    )


def _activity(plain: Any, dry: str) -> Activity:
    run = _table(plain)
    activity = _table(run.get("activity"))
    provider = _table(activity.get("provider"))
    ours = _table(run.get(OURS))
    kind = str(activity.get("type", ""))
    met = run.get("tolerance_met", ours.get("met"))
    exception = run.get("exception")
    lines = [str(line) for line in exception] if isinstance(exception, list) else [str(exception or "")]
    return Activity(
        name=str(activity.get("name", "?")),
        kind=kind,
        provider=str(provider.get("type", "")),
        function=_function(provider),
        arguments=_json(provider.get("arguments")),
        output=run.get("output"),
        status=str(run.get("status") or ""),
        problem=_last(lines),
        started_at=str(run.get("start", "")),
        ended_at=str(run.get("end", "")),
        tolerance=_json(activity["tolerance"]) if "tolerance" in activity else "",
        met=met if isinstance(met, bool) else None,
        doubt=str(ours.get("doubt", "")),
        dry=_is_dry(str(activity.get("dry") or dry), kind),
    )


def _function(provider: Mapping[str, Any]) -> str:
    if provider.get("type") == "python":
        return f"{provider.get('module', '')}.{provider.get('func', '')}"
    return str(provider.get("url") or provider.get("path") or "")


def _last(lines: Sequence[str]) -> str:
    """What the exception says, without the traceback before it and the names of the classes that carry it."""
    whole = "\n".join(lines)
    told = whole.rpartition(_CARRIER)[2] if _CARRIER in whole else whole.strip().rpartition("\n")[2]
    return " ".join(told.removeprefix(_REFUSED).split())[:400]


def _dry(experiment: Mapping[str, Any]) -> str:
    return str(experiment.get("dry") or "")


def _is_dry(dry: str, kind: str) -> bool:
    return dry in ("activities", f"{kind}s")


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
