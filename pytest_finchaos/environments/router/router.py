"""A running router: told by replacing a file, asked through Envoy's admin interface on the loopback."""

from __future__ import annotations

import http.client
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pytest_finchaos.environments.router import configuration
from pytest_finchaos.environments.router.configuration import Upstream, Weights
from pytest_finchaos.environments.router.log import RouterLog
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.clock import Clock, anchor
from pytest_finchaos.runtime.files import write_atomic
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

ANSWER_WITHIN_S = 1.0
TAKEN_WITHIN_S = 10.0
DRAINED_WITHIN_S = 10.0
EVERY_S = 0.005
_TAKEN = f"http.entry.rds.{configuration.TABLE}.version_text"
_REJECTED = f"http.entry.rds.{configuration.TABLE}.update_rejected"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a router is.

    Args:
        component: What it stands in front of.
        entry_port: Where clients reach the component.
        admin_port: Where Envoy is asked.
        ports: Port of each version.
        folder: Folder of its configuration.
        log: Its access log.
        key_headers: Headers that carry the idempotency key.
    """

    component: str
    entry_port: int
    admin_port: int
    ports: dict[str, int]
    folder: Path
    log: Path
    key_headers: tuple[str, ...] = ()

    @property
    def routes(self) -> Path:
        """The file of routes."""
        return self.folder / "routes.json"

    @property
    def bootstrap(self) -> Path:
        """What Envoy is started with."""
        return self.folder / "bootstrap.json"


@dataclass(slots=True)
class Router:
    """One router.

    Args:
        place: Where it is.
        clock: The clock.
        weights: The weights written last.
    """

    place: Place
    clock: Clock
    weights: Weights = field(default_factory=lambda: Weights(0, ""))

    def prepare(self, upstreams: Sequence[Upstream], stable: str) -> None:
        """Write its files before it starts: everything goes to ``stable``."""
        place = self.place
        place.folder.mkdir(parents=True, exist_ok=True)
        self.write(stable)
        text = configuration.bootstrap(
            entry_port=place.entry_port,
            admin_port=place.admin_port,
            upstreams=upstreams,
            routes_file=str(place.routes),
            log=str(place.log),
        )
        write_atomic(place.bootstrap, text)

    def write(self, stable: str, canary: str = "", share: float = 0.0) -> Weights:
        """Replace the file of routes; Envoy takes it by itself, see `taken`."""
        weights = Weights(self.weights.number + 1, stable, canary, share)
        write_atomic(self.place.routes, configuration.routes(weights, self.place.key_headers))
        self.weights = weights
        return weights

    def set(self, stable: str, canary: str = "", share: float = 0.0) -> Weights:
        """Replace the file of routes and wait until Envoy has taken it: what starts afterwards goes by it.

        Raises:
            UserError: Envoy refused it, or did not take it in time.
        """
        weights = self.write(stable, canary, share)
        try:
            wait_for(
                self._taken,
                what=f"the router of {self.place.component} to take weights {weights.label}",
                within_s=TAKEN_WITHIN_S,
                every_s=EVERY_S,
                clock=self.clock,
            )
        except Waited as late:
            raise UserError(f"router of {self.place.component}", str(late), cure="see its log") from None
        return weights

    def in_flight(self, version: str) -> int:
        """Requests that one version is working on.

        Raises:
            OSError: Envoy does not answer.
        """
        name = f"cluster.{version.replace(':', '_')}.upstream_rq_active"
        return int(self._stats(name).get(name, "0"))

    def drained(self, version: str, within_s: float = DRAINED_WITHIN_S) -> bool:
        """Wait until one version works on nothing; False when it still did at the deadline."""

        def probe() -> bool | Not:
            try:
                left = self.in_flight(version)
            except OSError as error:
                return Not(str(error))
            return Not(f"{left} in flight") if left else True

        try:
            return wait_for(probe, what=f"{version} to finish", within_s=within_s, every_s=EVERY_S, clock=self.clock)
        except Waited:
            return False

    def log(self) -> RouterLog:
        """A reader of its log, from the start."""
        return RouterLog(self.place.log, anchor())

    def _taken(self) -> bool | Not:
        try:
            told = self._stats("http.entry.rds")
        except OSError as error:
            return Not(str(error))
        taken = told.get(_TAKEN, "").strip('"')
        if taken == str(self.weights.number):
            return True
        return Not(f"it has {taken or 'none'}; {told.get(_REJECTED, '0')} refused")

    def _stats(self, prefix: str) -> dict[str, str]:
        connection = http.client.HTTPConnection(configuration.HOST, self.place.admin_port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", f"/stats?filter={quote('^' + re.escape(prefix))}")
            text = connection.getresponse().read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"the router's admin interface: {type(error).__name__}") from None
        finally:
            connection.close()
        return {name: value for name, _, value in (line.partition(": ") for line in text.splitlines())}
