"""A drill that a file describes: load around it, the experiment in a child process, the verdict from both."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finchaos.drill.assemble import MAX_EVENTS
from pytest_finchaos.drill.context import DrillContext
from pytest_finchaos.drill.drill import Drill
from pytest_finchaos.drill.traffic import Traffic
from pytest_finchaos.experiments import journal as journals
from pytest_finchaos.experiments import values
from pytest_finchaos.experiments.calls import Calls
from pytest_finchaos.experiments.journal import Journal
from pytest_finchaos.experiments.running import Running
from pytest_finchaos.experiments.spec import ExperimentSpec, ObjectiveAsk
from pytest_finchaos.experiments.verdict import Ending, judge
from pytest_finchaos.model.result import DrillResult, NotChecked
from pytest_finchaos.model.verdict import Judged, Reason, Verdict, merge
from pytest_finchaos.proxy.launcher import URL_VARIABLE
from pytest_finchaos.runtime.clock import anchor

_STRONGEST_FIRST = (Verdict.FAIL, Verdict.INVALID, Verdict.INCONCLUSIVE)
_OUTCOMES = {Verdict.PASS: "passed", Verdict.FAIL: "failed"}


class ExperimentDrill(Drill):
    """A drill whose body is an experiment file.

    Args:
        context: Names, seed, folders.
        spec: The file.
        root: Where the experiment runs.
    """

    def __init__(self, context: DrillContext, spec: ExperimentSpec, *, root: Path) -> None:
        super().__init__(context)
        self._spec, self._root = spec, root
        self._calls = Calls(self, self._state)
        self._ending: Ending | None = None
        self._journal: Journal | None = None
        self._judged: tuple[Judged, ...] = ()
        self._dropped: tuple[str, ...] = ()
        self._whole: DrillResult | None = None
        self._anchor = anchor()

    @property
    def folder(self) -> Path:
        """Where journal and log of the experiment are kept."""
        return self._state.context.directory / "experiments" / self._state.context.slug

    def run(self) -> None:
        """Load, steady phase, experiment, recovery, questions; judged by `finish`.

        Raises:
            UserError: A mistake in the file that only the running environment shows.
        """
        extension = self._spec.extension
        for name in extension.expect_violation:
            self.expect_violation(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        running = self._start()
        try:
            self._ending = running.ready()
            if self._ending is None:
                self._under_load(running)
        finally:
            running.close()
            if self._ending is None:
                self._ending = Ending("interrupted", "the experiment was interrupted")

    def _under_load(self, running: Running) -> None:
        extension = self._spec.extension
        load = extension.load
        if load is None:
            self._experiment(running)
            return
        with self.load(load.profile, rate_per_s=load.rate_per_s) as traffic:
            traffic.steady(duration_s=load.steady_s)
            ending = self._experiment(running)
            if load.recover_s and ending.sound:
                traffic.recover(within_s=load.recover_s)
        if ending.sound:
            self._judged += tuple(self._ask(ask, traffic) for ask in extension.objectives)

    def _start(self) -> Running:
        state, clock = self._state, self._state.context.clock
        environment = state.bound_environment("experiment") if self._spec.extension.environment else None
        toxiproxy = os.environ.get(URL_VARIABLE, "") if environment is None else environment.toxiproxy_url
        filled = {"toxiproxy": toxiproxy} if environment is None else values.places(environment)
        state.context.progress(f"experiment: {self._spec.title}")
        return Running(
            self._spec,
            folder=self.folder,
            root=self._root,
            given=values.configuration(self._spec, filled, toxiproxy),
            toxiproxy=toxiproxy,
            handle=self._calls.handle,
            progress=state.context.progress,
            clock=clock,
        )

    def _experiment(self, running: Running) -> Ending:
        self._anchor = anchor()
        ending = running.carry_out()
        self._calls.remove_all()
        if ending.sound:
            plain: Any = json.loads(running.journal.read_text(encoding="utf-8"))
            self._journal = journals.parse(plain)
        self._ending = ending
        self._judged = judge(self._journal, ending, measured_elsewhere=self._spec.extension.load is not None)
        decided = merge(one.verdict for one in self._judged).decided
        if not decided and self._state.expected:
            # an experiment that proved nothing does not show either that a violation is absent
            self._dropped = tuple(self._state.expected)
            self._state.expected.clear()
        return ending

    def _ask(self, ask: ObjectiveAsk, traffic: Traffic) -> Judged:
        subject = f"{ask.question}({ask.subject})"
        if ask.question == "demonstrates":
            return traffic.demonstrates(ask.subject, **ask.limits)
        wanted = ask.subject if ask.question == "recovered" else ask.during
        names = self._calls.injections
        if not wanted and len(names) == 1:
            wanted = next(iter(names))
        if wanted not in names:
            made = f"there are {', '.join(names)}" if names else "none was made"
            text = f"{subject} asks about the injection {wanted or '(not named)'!r}: {made}"
            return Judged(Verdict.INCONCLUSIVE, (Reason("no-injection", text),), subject)
        if ask.question == "recovered":
            return traffic.recovered(names[wanted], **ask.limits)
        return traffic.spent(ask.subject, during=names[wanted], **ask.limits)

    def finish(self, test_outcome: str, text: str = "") -> DrillResult:
        """The result: the journal's judgements and the file's questions, merged with the drill's automatic checks.

        Args:
            test_outcome: ``passed`` when the experiment was run at all, else what stopped it.
            text: What that was.
        """
        if self._whole is None:
            ran = test_outcome == "passed"
            base = super().finish(test_outcome, text)
            if ran and self._ending is not None and not self._judged:
                self._judged = judge(None, self._ending)
            self._whole = self._told(base) if ran else base
        return self._whole

    def _told(self, base: DrillResult) -> DrillResult:
        alone = not self._spec.extension.environment
        verdict = merge([*(one.verdict for one in self._judged), *(() if alone else (base.verdict,))])
        return replace(
            base,
            verdict=verdict,
            reasons=self._reasons(base, verdict, alone=alone),
            test_outcome=_OUTCOMES.get(verdict, "undecided"),
            events=self._events(base),
            checks=(*self._rows(), *(() if alone else base.checks)),
            not_checked=(*base.not_checked, *self._not_checked(alone=alone)),
            directory=base.directory or str(self.folder),
        )

    def _reasons(self, base: DrillResult, verdict: Verdict, *, alone: bool) -> tuple[Reason, ...]:
        if verdict is Verdict.PASS:
            told = [reason.text for one in self._judged for reason in one.reasons if one.subject != "experiment"]
            rest = "" if alone else "; ".join(reason.text for reason in base.reasons).partition("; ")[2]
            return (Reason("passed", "; ".join([*told, rest] if rest else told)[:600]),)
        found = [
            reason
            for strength in _STRONGEST_FIRST
            for group, kind in (*((one.reasons, one.verdict) for one in self._judged), (base.reasons, base.verdict))
            for reason in group
            if kind is strength and not (alone and group is base.reasons)
        ]
        return tuple(dict.fromkeys(found))

    def _rows(self) -> tuple[tuple[str, Verdict, str], ...]:
        kept = f"; journal and log in {self.folder}" if self.folder.is_dir() else ""
        return tuple(
            (
                f"experiment: {one.subject}" if one.subject != "experiment" else one.subject,
                one.verdict,
                "; ".join(reason.text for reason in one.reasons) + (kept if one.subject == "experiment" else ""),
            )
            for one in self._judged
        )

    def _events(self, base: DrillResult) -> tuple[Any, ...]:
        if self._journal is None:
            return base.events
        told = journals.events(self._journal, self._anchor)
        return tuple(sorted((*base.events, *told), key=lambda event: event.at_ns))[:MAX_EVENTS]

    def _not_checked(self, *, alone: bool) -> list[NotChecked]:
        rows = []
        if alone:
            why = "the file names no environment (extensions: [{name: finchaos, environment: …}])"
            rows = [NotChecked(what, why) for what in ("load", "money", "faults acted and gone", "build served")]
        for name in self._dropped:
            rows.append(NotChecked(f"violation of {name}", "the experiment that looked for it proved nothing"))
        if self._journal is not None:
            for probe in self._journal.run:
                if probe.kind == "probe" and probe.status != "succeeded" and not probe.tolerance:
                    rows.append(NotChecked(f"probe {probe.name}", probe.problem or "it did not end"))
        return rows
