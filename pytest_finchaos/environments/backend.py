"""What the environments of all kinds have in common: one small interface, which `environment.Environment` stands on."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_finchaos.environments.control import Control
from pytest_finchaos.environments.plan import ComponentPlan, SystemPlan
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.environments.router.versions import Rollout
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.model.topology import Edge, Instance
from pytest_finchaos.proxy.launcher import ServerChoice
from pytest_finchaos.runtime.clock import Clock
from pytest_finchaos.runtime.undo import UndoJournal


@dataclass(frozen=True, slots=True)
class Ground:
    """What a backend is given.

    Args:
        spec: What was declared.
        id: Environment id.
        run_id: Id of the run.
        directory: Data directory, in the cache.
        logs: Folder of logs and events, in the run folder.
        ports: Claims ports.
        choice: Which server makes the harness's own proxies.
        undo: Journal of what must be undone.
        control: The supervisor.
        clock: The clock.
    """

    spec: EnvironmentSpec
    id: str
    run_id: str
    directory: Path
    logs: Path
    ports: Ports
    choice: ServerChoice
    undo: UndoJournal
    control: Control
    clock: Clock


@dataclass(frozen=True, slots=True)
class Share:
    """What the supervisor keeps for a backend.

    Args:
        proxy_argv: Command of the fault proxy, or empty when none is started.
        proxy_port: Port of its API.
        components: Components that it starts.
        system: A system that it starts and stops by commands, or None.
    """

    proxy_argv: tuple[str, ...] = ()
    proxy_port: int = 0
    components: tuple[ComponentPlan, ...] = ()
    system: SystemPlan | None = None


class Proxies(Protocol):
    """The proxies on an environment's edges."""

    def make(self) -> None:
        """Make those of the harness that are missing."""

    def sweep(self) -> None:
        """Take away every fault of ours; others' toxics are never touched."""

    def problems(self) -> list[str]:
        """What is not as it was made or found, in sentences."""
        ...


class Backend(abc.ABC):
    """How the system of an environment is started, asked, renewed.

    It ends without its help: the supervisor carries out the undo journal and kills what carries the environment's tag.

    Attributes:
        proxies: The proxies on its edges.
        proxy_url: API of the fault proxy, "" when there is none.
        routed: Components that stand behind a router.
        built: True when its fingerprint is known before anything runs.
        notes: What a reader of the report must know.
        unproven: Components of which nobody can say which build serves.
        renewed: What a reset gives, for the timeline.
    """

    proxies: Proxies
    proxy_url: str
    built = False
    routed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    renewed = "as new"

    @property
    @abc.abstractmethod
    def edges(self) -> tuple[Edge, ...]:
        """All declared edges."""

    @property
    def unchecked(self) -> Mapping[str, str]:
        """What no drill here can prove, with the reason."""
        return {}

    @property
    def cannot(self) -> Mapping[str, str]:
        """What cannot be done or proven here, with the reason."""
        return self.unchecked

    @abc.abstractmethod
    def share(self) -> Share:
        """What the supervisor keeps for it."""

    @abc.abstractmethod
    def start(self) -> None:
        """Everything ready; the supervisor has its share, and the proxies are made.

        Raises:
            UserError: Something is not ready in time, with what was seen last.
        """

    def release(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what others wait for; safe to call twice, and before a start."""

    @abc.abstractmethod
    def renew(self) -> None:
        """As new, on the same addresses, as far as that lies in the harness's power.

        Raises:
            UserError: Something did not come up.
        """

    @abc.abstractmethod
    def heal(self, within_s: float) -> None:
        """Start what does not run where that is possible, and wait until everything is ready.

        Raises:
            UserError: Something was not ready in time, with what was seen last.
        """

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Digest over what was declared and what is there now."""

    @abc.abstractmethod
    def problems(self) -> list[str]:
        """Why what was declared is not what serves now, in sentences; the proxies and the fingerprint apart."""

    @abc.abstractmethod
    def instances(self) -> Mapping[str, Instance]:
        """The processes that are components now, as far as they are the environment's own."""

    @abc.abstractmethod
    def processes(self, name: str) -> tuple[int, ...]:
        """Pids of a component's process tree, its root first; empty when it does not run.

        Raises:
            UserError: The component has no processes of this environment.
        """

    @abc.abstractmethod
    def address(self, name: str) -> str:
        """``host:port`` where a component itself listens."""

    def rollout(self, component: str) -> Rollout:
        """The versions of a component.

        Raises:
            UserError: Rollout is not available, with the reason.
        """
        what = "rollout not available: the harness starts no versions of a system that it does not start itself"
        raise UserError(f"component {component}", what, cure='use backend = "processes"')

    @abc.abstractmethod
    def missing(self, name: str) -> UserError:
        """Why a component has no instance now."""
