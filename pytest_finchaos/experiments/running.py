"""One experiment from its start to its end: the child process, the socket, the deadline, the rollbacks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_finchaos.experiments import values, wire
from pytest_finchaos.experiments.process import ChildProcess, variables
from pytest_finchaos.experiments.server import Server
from pytest_finchaos.experiments.spec import ExperimentSpec
from pytest_finchaos.experiments.verdict import Ending
from pytest_finchaos.runtime.clock import NS_PER_S, Clock
from pytest_finchaos.runtime.files import write_atomic

READY_WITHIN_S = 60.0
ROLLBACKS_WITHIN_S = 30
LOOK_EVERY_S = 0.05
MOST_FOLDER = 80
JOURNAL, LOG = "journal.json", "chaos.log"


def _short(folder: str) -> str:
    """A folder whose sockets have names that the system takes: at most 107 bytes."""
    return folder if len(os.fsencode(folder)) <= MOST_FOLDER else "/tmp"  # noqa: S108 - a private folder is made in it


class Running:
    """A child process with an experiment in it.

    Args:
        spec: The file.
        folder: Existing folder that keeps journal and log.
        root: Where the experiment runs: relative paths in it are meant from here.
        given: Values that replace those of its ``configuration``.
        toxiproxy: Base URL of the Toxiproxy that it may use, or "".
        handle: Answers calls that are none of ours.
        progress: Called with one sentence at each step.
        clock: The clock.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        *,
        folder: Path,
        root: Path,
        given: Mapping[str, Any],
        toxiproxy: str,
        handle: Callable[[str, Mapping[str, Any]], Any],
        progress: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.journal = folder / JOURNAL
        self.log = folder / LOG
        self._spec, self._handle, self._progress, self._clock = spec, handle, progress, clock
        self._ready = False
        self._refused = ""
        self._last = ""
        self._home = Path(tempfile.mkdtemp(prefix="finchaos-", dir=_short(tempfile.gettempdir())))
        self._server: Server | None = None
        self._child: ChildProcess | None = None
        try:
            self._server = Server(self._home, self._called)
            self._child = self._start(root, given, toxiproxy)
        except BaseException:
            self.close()
            raise

    def _start(self, root: Path, given: Mapping[str, Any], toxiproxy: str) -> ChildProcess:
        home, extension = self._home / "home", self._spec.extension
        home.mkdir(mode=0o700)
        kubeconfig = str((root / extension.kubeconfig).resolve()) if extension.kubeconfig else ""
        environment = variables(
            os.environ,
            self._spec.document,
            home=home,
            handed_on=extension.variables,
            kubeconfig=kubeconfig,
        )
        assert self._server is not None
        environment |= {wire.SOCKET: str(self._server.path), wire.TOKEN: self._server.token}
        environment |= values.toxiproxy_variables(toxiproxy)
        order = self._home / "order.json"
        content = {
            "experiment": values.with_configuration(self._spec.document, given),
            "journal": str(self.journal),
            "strategy": self._spec.strategy,
            "hypothesis_every_s": extension.hypothesis_every_s,
            "path": [str(self._spec.path.parent), str(root)],
        }
        write_atomic(order, wire.line(content), mode=0o600)  # it may hold secrets
        return ChildProcess(order, environment=environment, folder=root, log=self.log)

    def ready(self) -> Ending | None:
        """Wait until Chaos Toolkit has accepted the file; None then, else why it did not."""
        child = self._here()
        known = self._until(lambda: self._ready or not child.alive, READY_WITHIN_S)
        if self._ready:
            return None
        self._server_here().serve(0)
        if self._refused:
            return Ending("refused", f"Chaos Toolkit refuses the file: {self._refused}")
        if not known:
            return Ending("deadline", f"Chaos Toolkit did not begin within {READY_WITHIN_S:g} s{self._words()}")
        return Ending("died", f"Chaos Toolkit ended before it began{self._words()}")

    def carry_out(self) -> Ending:
        """Run the experiment to its end, or to its deadline; rollbacks are played in every case."""
        child, deadline_s = self._here(), self._spec.extension.deadline_s
        child.go()
        try:
            if not self._until(lambda: not child.alive, deadline_s):
                return self._cut(deadline_s)
        except BaseException:
            self._progress("experiment: interrupted, playing its rollbacks")
            self._roll_back()
            raise
        self._server_here().serve(0)
        if self.journal.is_file():  # written whole, at the very end
            return Ending("ended")
        how = f"signal {-child.code}" if child.code is not None and child.code < 0 else f"exit status {child.code}"
        return Ending("died", f"the process of Chaos Toolkit ended with {how}{self._at()}{self._words()}")

    def _cut(self, deadline_s: float) -> Ending:
        at = self._at()
        self._progress(f"experiment: over its deadline of {deadline_s:g} s, playing its rollbacks")
        played = self._roll_back()
        undone = "its rollbacks were played" if played else "it did not end by itself and was killed"
        return Ending("deadline", f"the experiment was not done within deadline_s = {deadline_s:g} s{at}; {undone}")

    def _roll_back(self) -> bool:
        """Interrupt the child and give its rollbacks their time; True when it ended by itself."""
        child = self._here()
        for _ in range(ROLLBACKS_WITHIN_S):
            child.interrupt()  # again, since Chaos Toolkit may sit in a pause; the child never lets it hit rollbacks
            if self._until(lambda: not child.alive, 1.0):
                return True
        return False

    def close(self) -> None:
        """End the child and what it left behind, take everything temporary away; idempotent."""
        if self._child is not None:
            left = self._child.end()
            if left:
                self._progress(f"experiment: {len(left)} processes that it had left behind were ended")
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _until(self, done: Callable[[], bool], within_s: float) -> bool:
        """Serve the socket and the output until ``done``; False when the time is over before."""
        child, server = self._here(), self._server_here()
        end_ns = self._clock.now_ns() + int(within_s * NS_PER_S)
        while not done():
            if self._clock.now_ns() >= end_ns:
                return False
            server.serve(LOOK_EVERY_S)
            child.read()
        child.read()
        return True

    def _called(self, call: str, arguments: Mapping[str, Any]) -> Any:
        if call == "ready":
            self._ready = True
        elif call == "refused":
            told = " ".join(str(arguments.get("text", "")).split())
            self._refused = self._here().hidden(told)[:600]
        elif call == "secrets":
            self._here().hide([str(value) for value in arguments.get("values", ())])
        elif call == "activity":
            self._last = f"{arguments.get('kind')} {arguments.get('name')!r}"
            self._progress(f"experiment: {self._last}")
        elif call == "rollbacks":
            self._progress(f"experiment: {arguments.get('count')} rollbacks")
        else:
            return self._handle(call, arguments)
        return True

    def _at(self) -> str:
        return f", in {self._last}" if self._last else ""

    def _words(self) -> str:
        words = self._here().last_words()
        return f"; its last words: {words}" if words else ""

    def _here(self) -> ChildProcess:
        assert self._child is not None  # closed at the latest when the constructor fails
        return self._child

    def _server_here(self) -> Server:
        assert self._server is not None
        return self._server
