"""Backend ``attach``: a system that runs already. Nothing of it is started, stopped or renewed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pytest_finchaos.environments import external
from pytest_finchaos.environments.backend import Ground
from pytest_finchaos.environments.external_backend import ExternalBackend
from pytest_finchaos.environments.folders import passable
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Instance
from pytest_finchaos.runtime import leases
from pytest_finchaos.runtime.files import cache_directory

FOREIGN = "backend attach cannot kill or pause it: its processes are not ours"
CURE = 'use backend = "command" or "processes" for drills that kill or pause'


class AttachedBackend(ExternalBackend):
    """A system that somebody else runs.

    Args:
        ground: Folders, ports, supervisor.
    """

    renewed = "faults swept, everything ready"

    def __init__(self, ground: Ground) -> None:
        for name, spec in ground.spec.components.items():
            external.refuse_host(spec.address, ground.spec, f"component {name}")
        super().__init__(ground)
        self._lease: leases.HostLease | None = None
        self.notes = ("attached: the harness neither started nor stops this system",)

    @property
    def unchecked(self) -> Mapping[str, str]:
        """Beside edges and builds: that data is as new."""
        reset = "backend attach takes faults away and waits for readiness; data stays as drills before left it"
        return {**super().unchecked, "reset of data": reset}

    @property
    def cannot(self) -> Mapping[str, str]:
        """Beside that: components cannot be killed or paused."""
        return {**self.unchecked, **{f"kill or pause {name}": FOREIGN for name in self._spec.components}}

    def start(self) -> None:
        """Everything must be there already; it gets the time that its readiness declares.

        Another run or worker that uses the system is waited for: its faults would be ours.
        """
        self._lease = self._take_lease()
        self.named.find(0.0)
        self.await_ready(self._ground.clock.now_ns())
        self.notes = (*self.notes, *self.named.notes())
        self.tell_ready()

    def _take_lease(self) -> leases.HostLease:
        parts = "\0".join(sorted([*self._addresses.values(), self.named.url]))
        folder = passable(cache_directory() / "systems", 0o711) / hashlib.sha256(parts.encode()).hexdigest()[:16]

        def tell(text: str) -> None:
            self._ground.control.call("note", kind="waiting", subject=self._spec.name, text=text)

        try:
            return leases.take(self._ground.id, tell=tell, folder=folder, slots=1, clock=self._ground.clock)
        except UserError as error:
            cure = "run drills on one attached system one after another, e.g. with --dist loadgroup"
            what = f"is in use by another run: {error.what}"
            raise UserError(f"environment {self._spec.name}", what, cure=cure) from None

    def release(self) -> None:
        """Let the next run have the system."""
        if self._lease is not None:
            self._lease.release()

    def renew(self) -> None:
        """Nothing is renewed: it must be ready."""
        self.await_ready(self._ground.clock.now_ns())

    def heal(self, within_s: float) -> None:
        """Nothing is started: it must become ready by itself."""
        self.await_ready(self._ground.clock.now_ns(), within_s)

    def cure(self) -> str:
        """What to do when a component is not ready."""
        return f"start the system first: backend attach starts nothing; or correct its address in {self._spec.source}"

    def instances(self) -> Mapping[str, Instance]:
        """None that are ours."""
        return {}

    def processes(self, name: str) -> tuple[int, ...]:
        """Never any.

        Raises:
            UserError: Always.
        """
        raise self.missing(name)

    def missing(self, name: str) -> UserError:
        """Its processes are somebody else's."""
        return UserError(f"component {name}", FOREIGN, cure=CURE)
