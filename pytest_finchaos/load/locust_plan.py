"""A load by a team's existing locustfile, as data that crosses to the driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_finchaos.load.client import host_and_port
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Arrival
from pytest_finchaos.model.spec import OperationSpec

OTHER = "(locustfile)"  # in records: a request that no declared operation describes; its name stands beside them
MOST_USERS = 10_000
CLOSED_LOOP = (
    "the load is a closed loop: users of the locustfile wait for an answer before they send again, so a slow system is "
    "asked less often and its worst times are under-counted"
)


@dataclass(frozen=True, slots=True)
class LocustPlan:
    """What is to be run; requests are recorded like those of a `LoadPlan`.

    Args:
        path: The locustfile, absolute.
        users: Locust users.
        spawn_per_s: Users started a second.
        host: Component that the users' relative URLs go to.
        operations: The environment's operations, that requests are recognised by.
        base_urls: Component to ``http://host:port``; nothing else is contacted.
        seed: Seed text; the locustfile's own draws are not bound to it.
        key_prefix: For set-up operations.
        max_duration_s: The driver stops by itself after this.
        environment: Environment id, a tag of the driver's process.
        references: As in `LoadPlan`.
        late_limit_ms, max_in_flight: As in `LoadPlan`; a closed loop is never late.
        setup_values: Placeholder values known beforehand.
    """

    path: str
    users: int
    spawn_per_s: float
    host: str
    operations: Mapping[str, OperationSpec]
    base_urls: Mapping[str, str]
    seed: str
    key_prefix: str
    max_duration_s: float = 300.0
    environment: str = ""
    references: bool = False
    late_limit_ms: float = 10.0
    max_in_flight: int = MOST_USERS * 10
    setup_values: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """What stands in reports in place of a profile's name."""
        return f"{Path(self.path).name} ({self.users} users)"

    @property
    def rate_per_s(self) -> float:
        """Unknown beforehand: the users make it."""
        return 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """What may stand in records; the number is the position."""
        return (*self.operations, OTHER)

    @property
    def not_mapped(self) -> tuple[str, ...]:
        """Nothing: the locustfile says itself what it sends."""
        return ()

    @property
    def setup(self) -> tuple[OperationSpec, ...]:
        """Operations that run once before the load; look-ups of the harness need what they provide."""
        return tuple(operation for operation in self.operations.values() if operation.setup)

    def arrivals(self) -> Iterator[Arrival]:
        """None are planned: see `load.recorded`."""
        return iter(())

    def check(self) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            UserError: No such file, an impossible number of users, a component without address.
        """
        if not Path(self.path).is_file():
            raise UserError("drill.load(locustfile=…)", f"no file {self.path}", cure="name an existing locustfile")
        if not 1 <= self.users <= MOST_USERS:
            raise UserError("drill.load(…, users=…)", f"users = {self.users}", allowed=(f"1 to {MOST_USERS}",))
        if not self.spawn_per_s > 0:
            raise UserError("drill.load(…)", f"rate_per_s = {self.spawn_per_s}", allowed=("more than 0",))
        if self.host not in self.base_urls:
            raise UserError(
                "drill.load(…, component=…)",
                f"no component {self.host!r} that the load may enter by",
                allowed=sorted(self.base_urls),
                got=self.host,
            )
        for url in self.base_urls.values():
            host_and_port(url)
