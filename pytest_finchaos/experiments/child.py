"""The child process: the only module that imports Chaos Toolkit. ``python -m pytest_finchaos.experiments.child ORDER``.

It reads its order from a private file, says "ready" over the socket, begins when its standard input says so, and
interrupts itself, with rollbacks, when that input ends: then pytest is gone.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from chaoslib.configuration import load_configuration
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.hypothesis import within_tolerance
from chaoslib.run import RunEventHandler
from chaoslib.secret import load_secrets
from chaoslib.types import Dry, Schedule, Strategy

from pytest_finchaos.experiments import redaction
from pytest_finchaos.experiments.client import ask, tell
from pytest_finchaos.experiments.journal import OURS
from pytest_finchaos.runtime.files import write_atomic

REFUSED, INTERRUPTED = 2, 130
ORPHAN_WITHIN_S = 30  # what rollbacks may take when pytest is gone
MOST_OUTPUT = 200_000


def main() -> int:
    """Run one experiment; 0 when a journal was written, 2 when Chaos Toolkit refuses the file."""
    path = Path(sys.argv[1])
    order = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()  # it may hold secrets
    signal.signal(signal.SIGINT, _interrupted())  # a shell's background job would inherit "ignored"
    begin, orphaned = threading.Event(), threading.Event()
    threading.Thread(target=_watch, args=(begin, orphaned, path.parent), name="finchaos-watch", daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.path[:0] = order["path"]
    try:
        return _carry_out(order, begin)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if orphaned.is_set():
            shutil.rmtree(path.parent, ignore_errors=True)


def _interrupted() -> Callable[[int, FrameType | None], None]:
    """A handler that is called again and again, and never costs the rollbacks.

    Chaos Toolkit still makes the pause after an activity that was interrupted, and waits for activities in the
    background: the next signal gets it out of there. Outside the method and the hypothesis its own `_run` does not
    catch an interrupt, which would skip the rollbacks: there a signal does nothing, they come by themselves.
    """
    caught = {"apply_activities", "run_steady_state_hypothesis", "begin"}

    def end(_number: int, frame: FrameType | None) -> None:
        names = set()
        while frame is not None:
            names.add(frame.f_code.co_name)
            frame = frame.f_back
        if "_run" not in names or ("apply_rollbacks" not in names and caught & names):
            raise KeyboardInterrupt

    return end


def _watch(begin: threading.Event, orphaned: threading.Event, folder: Path) -> None:
    """The first line of standard input lets the experiment begin; its end means that nobody waits for it any more."""
    if sys.stdin.readline().strip() == "go":
        begin.set()
        if sys.stdin.readline():
            return
    orphaned.set()
    begin.set()
    for _ in range(ORPHAN_WITHIN_S):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(1.0)
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _carry_out(order: Mapping[str, Any], begin: threading.Event) -> int:
    experiment = order["experiment"]
    _dry(experiment)
    strategy = Strategy(order["strategy"])
    try:
        secrets = load_secrets(experiment.get("secrets") or {}, load_configuration(_configuration(experiment)))
        values = redaction.values_of(secrets)
        ask("secrets", values=list(values))
        ensure_experiment_is_valid(experiment)
    except ChaosException as error:
        tell("refused", text=str(error))
        return REFUSED
    except Exception as error:  # noqa: BLE001 - whatever Chaos Toolkit stumbles over in a file refuses that file
        tell("refused", text=f"{type(error).__name__}: {error}")
        return REFUSED
    ask("ready")
    begin.wait()
    reporter = Reporter()
    journal = run_experiment(
        experiment,
        settings={"runtime": {"rollbacks": {"strategy": "always"}}},
        strategy=strategy,
        schedule=Schedule(continuous_hypothesis_frequency=order["hypothesis_every_s"]),
        event_handlers=[reporter],
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # rollbacks are played; what is left is to write it down
    for run in (*journal.get("run", ()), *journal.get("rollbacks", ())):
        reporter.measure(run)
    journal[OURS] = {"strategy": strategy.value, "python": sys.version.split()[0]}
    kept = redaction.redact_journal(_plain(journal), values)
    write_atomic(Path(order["journal"]), json.dumps(_bounded(kept), indent=1, ensure_ascii=True), mode=0o600)
    return INTERRUPTED if journal.get("status") == "interrupted" else 0


class Reporter(RunEventHandler):  # type: ignore[misc]
    """Tells the drill what is going on, and keeps what tolerances need."""

    def __init__(self) -> None:
        self._configuration: Any = {}
        self._secrets: Any = {}

    def running(self, *arguments: Any) -> None:
        """Remember what tolerances are filled in with: experiment, journal, configuration, secrets, …"""
        self._configuration, self._secrets = arguments[2:4]

    def start_activity(self, activity: Any) -> None:
        """One line of progress."""
        tell("activity", kind=str(activity.get("type", "")), name=str(activity.get("name", "")))

    def start_rollbacks(self, experiment: Any) -> None:
        """One line of progress."""
        tell("rollbacks", count=len(experiment.get("rollbacks") or ()))

    def measure(self, run: dict[str, Any]) -> None:
        """Hold the output of an activity against its tolerance, which Chaos Toolkit does in the hypothesis only."""
        activity = run.get("activity") or {}
        if "tolerance" not in activity or run.get("status") != "succeeded":
            return
        tolerance = copy.deepcopy(activity["tolerance"])
        try:
            met = within_tolerance(
                tolerance, run.get("output"), configuration=self._configuration, secrets=self._secrets
            )
        except Exception as error:  # noqa: BLE001 - a tolerance that cannot be applied is told, and never counts as met
            run[OURS] = {"doubt": f"the tolerance could not be applied: {type(error).__name__}: {error}"}
            return
        if met is None:
            run[OURS] = {"doubt": f"Chaos Toolkit knows no tolerance of type {type(tolerance).__name__}"}
        else:
            run[OURS] = {"met": bool(met)}


def _configuration(experiment: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(experiment.get("configuration") or {})


def _dry(experiment: dict[str, Any]) -> None:
    """``dry`` in a file is text, which Chaos Toolkit ignores: it would act although the file says not to."""
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    groups = (hypothesis.get("probes"), experiment.get("method"), experiment.get("rollbacks"))
    for table in (experiment, *(activity for group in groups for activity in group or ())):
        if isinstance(table.get("dry"), str):
            table["dry"] = Dry.from_string(table["dry"])


def _plain(journal: dict[str, Any]) -> dict[str, Any]:
    """The journal as JSON data; an output that is none, e.g. one that holds itself, is kept as text."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(journal, default=_text, skipkeys=True))
    except ValueError:
        for run in _runs(journal):
            run["output"] = _text(run.get("output"))
        plain = json.loads(json.dumps(journal, default=_text, skipkeys=True))
    return plain


def _runs(journal: Mapping[str, Any]) -> list[dict[str, Any]]:
    states = journal.get("steady_states") or {}
    looks = [states.get("before"), states.get("after"), *(states.get("during") or ())]
    probes = [run for look in looks if look for run in look.get("probes") or ()]
    return [*(journal.get("run") or ()), *(journal.get("rollbacks") or ()), *probes]


def _text(value: Any) -> Any:
    """What a journal may hold and JSON does not know."""
    if isinstance(value, Dry):
        return value.value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return repr(value)[:MOST_OUTPUT]


def _bounded(journal: dict[str, Any]) -> dict[str, Any]:
    """The journal with huge outputs cut, so that one log file in an output does not fill the run's folder."""
    for run in _runs(journal):
        text = json.dumps(run.get("output"))
        if len(text) > MOST_OUTPUT:
            run["output"] = f"{text[:2000]}… ({len(text):,} characters, cut)"
    return journal


if __name__ == "__main__":
    status = main()
    if status == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # a plain exit waits for activities in the background, which may never end
    sys.exit(status)
