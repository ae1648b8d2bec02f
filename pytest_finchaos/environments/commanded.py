"""Backend ``command``: a system that a command of the team starts, and another one stops.

The supervisor runs both. A component is known by its address; where its listener belongs to a process that came of
the start command, it can be killed and paused too.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_finchaos.environments import external, fingerprint, listeners, stopping, tagged
from pytest_finchaos.environments.backend import Ground
from pytest_finchaos.environments.external_backend import POLL_S, ExternalBackend
from pytest_finchaos.environments.folders import passable
from pytest_finchaos.environments.placeholders import EDGE, PORT, fill
from pytest_finchaos.environments.plan import SystemPlan
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Instance
from pytest_finchaos.runtime.clock import NS_PER_S
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

CANNOT = "backend command cannot kill or pause it"
LOG = "system.log"
WORKDIR = "system"
HANDED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
HANDED_ON_TOO = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
FREE_WITHIN_S = 10.0
BY_ITSELF_S = 3.0  # how long a system may take to start a component again before its start command is run again
MORE_S = 30.0  # how much longer than its stop command a stop may take: processes are killed after it


class CommandBackend(ExternalBackend):
    """A system behind a start and a stop command.

    Args:
        ground: Folders, ports, supervisor.
    """

    renewed = "stopped and started"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._plan, self._program = self._planned()
        self._untouchable: dict[str, str] = {}

    def _planned(self) -> tuple[SystemPlan, Path]:
        spec, ground = self._spec, self._ground
        workdir = passable(ground.directory / "work" / WORKDIR, 0o755)  # emptied by nobody but the stop command
        places = {"python": sys.executable, "workdir": str(workdir)}
        places |= {f"{PORT}{name}": address.rpartition(":")[2] for name, address in self._addresses.items()}
        places |= {f"{EDGE}{source}.{target}": listen for (source, target), listen in self._listens.items()}
        where = f"environment {spec.name}"
        handed_on = (*HANDED_ON, *HANDED_ON_TOO)
        variables = {name: os.environ[name] for name in handed_on if name in os.environ} | {
            name: fill(text, places, f"{where}: variables.{name}") for name, text in spec.variables.items()
        }
        plan = SystemPlan(
            start=tuple(fill(word, places, f"{where}: start") for word in spec.start),
            stop=tuple(fill(word, places, f"{where}: stop") for word in spec.stop),
            variables=variables | {tagged.TAG: ground.id},
            folder=str(Path(spec.source).parent),
            log=str(ground.logs / LOG),
            stop_within_s=spec.stop_within_s,
        )
        path = variables.get("PATH", os.defpath)
        for key, words in (("stop", plan.stop), ("start", plan.start)):
            found = shutil.which(words[0], path=path) if words else ""
            if found is None:
                cure = "name it by its full path, or declare PATH in the environment's variables"
                raise UserError(f"{where}: {key}", f"{words[0]} is no executable file in {path}", cure=cure)
        assert found
        return plan, Path(found).resolve()

    def system(self) -> SystemPlan | None:
        """The commands."""
        return self._plan

    @property
    def unchecked(self) -> Mapping[str, str]:
        """Beside edges and builds: that a system without a stop command is gone, and as new, after a stop."""
        if self._spec.stop:
            return super().unchecked
        text = "there is no stop command: what the start command left outside its own processes stays"
        return {**super().unchecked, "stop of the system": text}

    @property
    def cannot(self) -> Mapping[str, str]:
        """Beside that: components whose processes are not ours cannot be killed or paused."""
        return {**self.unchecked, **{f"kill or pause {name}": text for name, text in self._untouchable.items()}}

    def start(self) -> None:
        """The stop command into the journal, then the start command, then readiness at every address."""
        for name, address in self._addresses.items():
            external.refuse_host(address, self._spec, f"component {name}")
        self._refuse_taken(0.0)
        stopping.intend(self._ground.undo, self._plan)
        self._run(self._ground.clock.now_ns())
        self.notes = tuple(self.named.notes())
        for name in self._spec.components:
            if why := self._why_not_alone(name):
                self._untouchable[name] = why

    def _run(self, started_ns: int) -> None:
        self._ground.control.call("system-start")
        if self.named.edges:
            self.named.find(max(spec.ready.within_s for spec in self._spec.components.values()))
        self.await_ready(started_ns)
        self.tell_ready()

    def _refuse_taken(self, within_s: float) -> None:
        """Nobody may listen where the system will: readiness would be somebody else's."""
        clock = self._ground.clock
        try:
            wait_for(self._free, what="every address to be free", within_s=within_s, every_s=POLL_S, clock=clock)
        except Waited:
            for name, address in self._addresses.items():
                if external.accepts(address):
                    owner = listeners.describe_owner(external.split(address)[1])
                    cure = 'stop it; or, if that is the system, use backend = "attach"'
                    what = f"something listens at {address} already: {owner}"
                    raise UserError(f"component {name}", what, cure=cure) from None

    def _free(self) -> bool | Not:
        taken = [address for address in self._addresses.values() if external.accepts(address)]
        return Not(f"{', '.join(taken)} accepts connections") if taken else True

    def why_not(self) -> str:
        """How the start command fares."""
        state = self._ground.control.call("system-state")
        text = "the start command still runs" if state["running"] else f"the start command {state['ended']}"
        told = f"\n  its log ends: {state['log']}" if state["log"] else ""
        return f"; {text}{told}"

    def cure(self) -> str:
        """What to do when a component is not ready."""
        return f"see {self._plan.log}; is ready.within_s long enough?"

    def hopeless(self) -> None:
        """A start command that failed ends the waiting.

        Raises:
            UserError: It ended with another status than 0.
        """
        state = self._ground.control.call("system-state")
        if state["code"]:
            told = f"\n  its log ends: {state['log']}" if state["log"] else ""
            what = f"the start command {state['ended']}{told}"
            raise UserError(f"environment {self._spec.name}", what, cure=f"see {self._plan.log}")

    def renew(self) -> None:
        """Stop, and start again; whether data is as new is the commands' business."""
        problems = self._ground.control.call("system-stop", within_s=self._spec.stop_within_s + MORE_S)
        if problems:
            raise UserError(f"environment {self._spec.name}", "; ".join(problems), cure=f"see {self._plan.log}")
        self._refuse_taken(FREE_WITHIN_S)
        self._run(self._ground.clock.now_ns())

    def heal(self, within_s: float) -> None:
        """Wait; when something stays down and the start command has ended, run it again."""
        clock = self._ground.clock
        started_ns = clock.now_ns()
        try:
            self.await_ready(started_ns, min(BY_ITSELF_S, within_s))
        except UserError:
            state = self._ground.control.call("system-state")
            if not state["running"]:
                self._ground.control.call("system-start")
            left_s = within_s - (clock.now_ns() - started_ns) / NS_PER_S
            self.await_ready(clock.now_ns(), max(0.0, left_s))

    def fingerprint(self) -> str:
        """Commands, the files that they name, and what each component says it is now."""
        system = fingerprint.system_digest(self._spec, self._program)
        return fingerprint.environment_digest(self._spec, {**self.digests(), "(system)": system}, self.proxy_facts())

    def problems(self) -> list[str]:
        """As of every external system, and a start command that failed."""
        found = super().problems()
        state = self._ground.control.call("system-state")
        if state["code"]:
            found.append(f"the start command {state['ended']}")
        return found

    def instances(self) -> Mapping[str, Instance]:
        """Components whose listener belongs to a process that came of the start command."""
        return {name: found for name in self._spec.components if (found := self._instance(name)) is not None}

    def _instance(self, name: str) -> Instance | None:
        roots = [] if self._why_not_alone(name) else self._roots(name)
        ticks = tagged.start_ticks(roots[0]) if roots else None
        if ticks is None:
            return None
        address = self._addresses[name]
        return Instance(name, f"{roots[0]}-{ticks}", roots[0], ticks, "", address, self._ground.clock.now_ns())

    def _roots(self, name: str) -> Sequence[int]:
        """Processes of ours that listen for a component, without those that inherited the socket from another."""
        host, port = external.split(self._addresses[name])
        if host not in external.LOCAL_HOSTS:
            return ()
        supervisor = self._ground.control.pid
        ours = {*tagged.pids_of(self._ground.id, self._ground.directory), *tagged.tree_of(supervisor)} - {supervisor}
        owners = listeners.owners_of(port, sorted(ours))
        below = {pid for owner in owners for pid in tagged.tree_of(owner)[1:]}
        return [owner for owner in owners if owner not in below]

    def processes(self, name: str) -> tuple[int, ...]:
        """The tree of whoever listens for a component; empty when nobody does.

        Raises:
            UserError: The listener is not of this environment, or started that of another component.
        """
        roots = self._roots(name)
        if why := self._why_not_alone(name):
            raise UserError(f"component {name}", why)
        return tuple(dict.fromkeys(pid for root in roots for pid in tagged.tree_of(root)))

    def _why_not_alone(self, name: str) -> str:
        """Why the processes of a component that listens cannot be ended by themselves; "" when they can."""
        host, port = external.split(self._addresses[name])
        if host not in external.LOCAL_HOSTS:
            return f"{CANNOT}: it is on host {host}"
        if not listeners.inodes_on(port):
            return ""
        if roots := self._roots(name):
            tree = {pid for root in roots for pid in tagged.tree_of(root)}
            others = [other for other in self._addresses if other != name and tree & set(self._roots(other))]
            return f"{CANNOT}: its process {roots[0]} started that of {', '.join(others)} too" if others else ""
        owner = listeners.describe_owner(port)
        return f"{CANNOT}: {owner} listens there and did not come of the start command"

    def missing(self, name: str) -> UserError:
        """Nobody listens, or somebody who is not ours, or not by himself."""
        what = self._why_not_alone(name) or f"does not run now: nobody listens at {self._addresses[name]}"
        return UserError(f"component {name}", what, cure=f"see {self._plan.log}")
