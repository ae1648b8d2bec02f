"""Everything that a load needs, in one object that crosses to the driver."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_finchaos.load import arrivals, data, request
from pytest_finchaos.load.client import host_and_port
from pytest_finchaos.load.profile import Profile
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Arrival
from pytest_finchaos.model.spec import DataSpec, OperationSpec


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A load, as data; crosses to the driver by pipe, never by command line or file.

    Args:
        profile: What clients do.
        rate_per_s: Mean rate of the mix; polls come on top.
        seed: Seed text; equal seeds give equal arrivals.
        key_prefix: Start of every idempotency key; should name run and drill.
        operations: The environment's operations by name.
        base_urls: Component to ``http://host:port``; nothing else is contacted.
        data: The environment's test data by name.
        max_in_flight: Requests in flight at most; arrivals beyond it wait, late, up to ``drop_after_s``.
        max_duration_s: The driver stops by itself after this.
        late_limit_ms: A first send that is later than this counts as late.
        drop_after_s: An arrival that the cap kept back for longer is dropped.
        setup_values: Placeholder values known beforehand; setup operations add to them.
        environment: Environment id, carried as a tag by the driver's process; "" for none.
        references: True to keep the system's own ids beside the records (see `load.references`).
    """

    profile: Profile
    rate_per_s: float
    seed: str
    key_prefix: str
    operations: Mapping[str, OperationSpec]
    base_urls: Mapping[str, str]
    data: Mapping[str, DataSpec] = field(default_factory=dict)
    max_in_flight: int = 512
    max_duration_s: float = 300.0
    late_limit_ms: float = 10.0
    drop_after_s: float = 5.0
    setup_values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    environment: str = ""
    references: bool = False

    @property
    def mapped(self) -> Profile:
        """The profile without what the environment does not map, and without probes that would act instead of probe."""
        left_out = self._impossible_probes()
        return replace(
            self.profile.restricted_to(list(self.operations)),
            late_replay=None if "late_replay" in left_out else self.profile.late_replay,
            key_reuse=None if "key_reuse" in left_out else self.profile.key_reuse,
        )

    @property
    def not_mapped(self) -> tuple[str, ...]:
        """What of the profile this environment does not allow: operations, in the profile's order, then probes."""
        missing = [name for name in self.profile.operations if name not in self.operations]
        return (*missing, *self._impossible_probes())

    def _impossible_probes(self) -> list[str]:
        """A replay without a key would pay twice; a reuse without another amount would be a replay."""
        found = []
        for name, probe, needed in (
            ("late_replay", self.profile.late_replay, (request.carries_key,)),
            ("key_reuse", self.profile.key_reuse, (request.carries_key, request.states_amount)),
        ):
            operation = None if probe is None else self.operations.get(probe.operation)
            if probe is not None and (operation is None or not all(has(operation) for has in needed)):
                found.append(name)
        return found

    @property
    def title(self) -> str:
        """What stands in reports."""
        return self.profile.name

    @property
    def names(self) -> tuple[str, ...]:
        """Operations that may stand in records: those of the profile, then setup; the number is the position."""
        setup = [operation.name for operation in self.setup]
        return tuple(dict.fromkeys([*self.mapped.operations, *setup]))

    @property
    def setup(self) -> tuple[OperationSpec, ...]:
        """Operations that run once before the load, in the order of the configuration."""
        return tuple(operation for operation in self.operations.values() if operation.setup)

    def arrivals(self) -> Iterator[Arrival]:
        """The planned operations, endless and pure."""
        return arrivals.arrivals(
            self.mapped, rate_per_s=self.rate_per_s, seed=self.seed, data=self.data, key_prefix=self.key_prefix
        )

    def check(self) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            UserError: Nothing mapped, an impossible rate, an unknown placeholder, a component without base URL, what
                looks like a card number.
        """
        if not self.mapped.mix:
            raise UserError(
                f"load profile {self.profile.name!r}",
                f"none of its operations is mapped by the environment: {', '.join(self.profile.mix)}",
                allowed=sorted(self.operations),
                cure="add [environments.NAME.operations.OPERATION] to finchaos.toml",
            )
        if not (math.isfinite(self.rate_per_s) and self.rate_per_s > 0):
            raise UserError("load: rate_per_s", f"must be a number above 0, not {self.rate_per_s!r}")
        if self.max_in_flight < 1:
            raise UserError("load: max_in_flight", f"must be 1 or more, not {self.max_in_flight!r}")
        for url in self.base_urls.values():
            host_and_port(url)
        for name in data.unfilled(self.data.values()):
            raise UserError(f"data {name!r}", "was not read before the load")
        for name, source in self.data.items():
            request.refuse_card_number(source.format.format(n=1), f"data {name!r}: format")
        provided = set(self.setup_values)
        for operation in self.setup:  # each may use what the ones before it brought
            request.check_template(operation, {*request.IN_SETUP, *provided}, f"setup operation {operation.name!r}")
            provided |= set(operation.provides)
        filled = {name for source in self.data.values() for name in data.placeholders(source)}
        allowed = {*request.BUILT_IN, *filled, *provided}
        for name in self.names:
            operation = self.operations[name]
            if not operation.setup:
                request.check_template(operation, allowed, f"operation {name!r}")
            if operation.component not in self.base_urls:
                raise UserError(
                    f"operation {name!r}",
                    f"component {operation.component!r} has no address",
                    allowed=sorted(self.base_urls),
                    got=operation.component,
                )
