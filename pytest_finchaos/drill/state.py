"""What one drill knows, shared by its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finchaos.drill.context import DrillContext
from pytest_finchaos.drill.host import HostSample
from pytest_finchaos.drill.phases import PhaseLog
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import History
from pytest_finchaos.model.money import Extract, MoneyReport
from pytest_finchaos.model.result import ObjectiveResult, RecoveryResult
from pytest_finchaos.model.timeline import Event
from pytest_finchaos.model.verdict import Claim, Defect, Judged
from pytest_finchaos.runtime.leases import HostLease

if TYPE_CHECKING:
    from pytest_finchaos.drill.injection import Injection
    from pytest_finchaos.drill.release import Release
    from pytest_finchaos.environments.environment import Environment
    from pytest_finchaos.load.session import LoadSession
    from pytest_finchaos.slo.catalogue import Objective


@dataclass(slots=True)
class DrillState:
    """Mutable, owned by one `Drill`, touched by the test's thread only."""

    context: DrillContext
    phases: PhaseLog
    started_ns: int
    host_before: HostSample
    environments: list[Environment] = field(default_factory=list)
    environment: Environment | None = None
    fingerprint_before: str = ""
    profile: str = ""
    rate_per_s: float = 0.0
    session: LoadSession | None = None
    history: History | None = None
    objectives: Mapping[str, Objective] = field(default_factory=dict)
    injections: list[Injection] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    asked: list[ObjectiveResult] = field(default_factory=list)
    recoveries: list[RecoveryResult] = field(default_factory=list)
    recover_within_s: float | None = None
    claims: set[Claim] = field(default_factory=set)
    expected: list[str] = field(default_factory=list)
    ledger_before: Extract | None = None  # when the load began, where the ledger may hold payments of others
    money: MoneyReport = field(default_factory=MoneyReport)
    releases: list[Release] = field(default_factory=list)
    fingerprint_due: str = ""  # after a promotion: what must serve at the end in place of what served before
    served_problems: tuple[str, ...] = ()
    fingerprint_after: str = ""
    problems: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)  # faults that the test never removed
    defects: list[Defect] = field(default_factory=list)
    checks: list[tuple[str, Judged]] = field(default_factory=list)
    closed: bool = False
    ended_ns: int = 0
    host: Mapping[str, float] = field(default_factory=dict)
    lease: HostLease | None = None  # held while the load runs

    def record(self, kind: str, subject: str, text: str = "", **data: Any) -> int:
        """Put an event on the timeline; returns its instant in ns."""
        now = self.context.clock.now_ns()
        self.events.append(Event(now, kind, subject, text, data))
        return now

    def bound_environment(self, call: str) -> Environment:
        """The environment of the drill.

        Raises:
            UserError: The test requests none, or several and names none.
        """
        if self.environment is not None:
            return self.environment
        if len(self.environments) == 1:
            self.environment = self.environments[0]
            return self.environment
        names = [environment.name for environment in self.environments]
        if not names:
            raise UserError(
                call,
                "the test requests no environment",
                cure="request the fixture made by environment_fixture(...) beside `drill`",
            )
        raise UserError(
            call, f"the test requests {len(names)} environments", allowed=names, cure="say which: drill.load(…, on=…)"
        )
