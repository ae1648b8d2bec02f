"""From what a test asks of `Drill.load` to the plan of its load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_finchaos.drill.served import named, tag_of
from pytest_finchaos.drill.state import DrillState
from pytest_finchaos.environments.environment import Environment
from pytest_finchaos.ledger.adapters import keeps_references, read_data
from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import load_profile
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.verdict import Verdict

MAX_DURATION_S = 3600.0
_NEEDS_OURS = {  # invariants that a locustfile gives nothing to look at
    "nothing-unasked": "keys of a locustfile do not tell which payments in the ledger are this drill's",
    "key-reuse-refused": "a locustfile sends no key-reuse probes",
}


@dataclass(frozen=True, slots=True)
class Script:
    """A locustfile that a test names.

    Args:
        path: As given: absolute, or relative to the working directory, to finchaos.toml or to the rootdir.
        users: Locust users; None for as many as are started in a second.
        component: Where relative URLs go, or None for the one where the load enters.
    """

    path: str
    users: int | None = None
    component: str | None = None


def plan_of(
    state: DrillState, environment: Environment, *, script: Script | None, max_in_flight: int
) -> LoadPlan | LocustPlan:
    """The plan, checked.

    Raises:
        UserError: It cannot be carried out.
    """
    plan = _planned(state, environment, max_in_flight) if script is None else _scripted(state, environment, script)
    plan.check()
    return plan


def _planned(state: DrillState, environment: Environment, max_in_flight: int) -> LoadPlan:
    operations = named(environment.spec.operations, environment.routed, tag_of(state.context.seed))
    profile = load_profile(state.profile, state.context.profile_folders)
    ledger = environment.spec.ledger
    if profile.reads_only and ledger is not None and ledger.operation in profile.operations:
        raise UserError(
            f"load profile {state.profile!r}",
            f"declares reads_only and names {ledger.operation!r}, the operation that moves money",
            cure="take reads_only away",
        )
    return LoadPlan(
        profile=profile,
        rate_per_s=state.rate_per_s,
        seed=state.context.seed,
        key_prefix=state.context.key_prefix,
        operations=operations,
        base_urls={name: environment.base_url(name) for name in {op.component for op in operations.values()}},
        data=read_data(environment.spec, environment),
        references=keeps_references(environment.spec),
        max_in_flight=max_in_flight,
        max_duration_s=MAX_DURATION_S,
        environment=environment.id,
    )


def _scripted(state: DrillState, environment: Environment, script: Script) -> LocustPlan:
    entries = _entries(environment)
    operations = environment.spec.operations
    host = script.component or (entries[0] if len(entries) == 1 else None)
    if host is None:
        raise UserError(
            "drill.load(locustfile=…)",
            f"the load may enter by {len(entries)} components",
            allowed=entries,
            cure='say where relative URLs go: drill.load(locustfile=…, component="NAME")',
        )
    reachable = dict.fromkeys([*(operation.component for operation in operations.values()), *entries])
    return LocustPlan(
        path=str(_found(state, script.path)),
        users=max(1, round(state.rate_per_s)) if script.users is None else script.users,
        spawn_per_s=state.rate_per_s,
        host=host,
        operations=operations,
        base_urls={name: environment.base_url(name) for name in reachable},
        seed=state.context.seed,
        key_prefix=state.context.key_prefix,
        max_duration_s=MAX_DURATION_S,
        environment=environment.id,
        references=keeps_references(environment.spec),
    )


def _entries(environment: Environment) -> Sequence[str]:
    """Components where the load may enter: the targets of edges from clients, else those of the operations."""
    declared = [edge.target for edge in environment.spec.edges if edge.source == "clients"]
    return declared or sorted({operation.component for operation in environment.spec.operations.values()})


def _found(state: DrillState, path: str) -> Path:
    places = [Path.cwd(), *(folder.parent for folder in state.context.profile_folders)]
    for place in places:
        if (place / path).is_file():
            return (place / path).resolve()
    raise UserError(
        f"drill.load(locustfile={path!r})",
        f"no such file (looked into {', '.join(dict.fromkeys(str(place) for place in places))})",
        cure="name it relative to finchaos.toml, to the rootdir or to the working directory",
    )


def without_probes(money: MoneyReport) -> MoneyReport:
    """The findings on a locustfile's payments: what needs keys and probes of ours is not checked, rather than open."""
    open_ones = {found.invariant for found in money.findings if found.verdict is Verdict.INCONCLUSIVE}
    moved = {name: why for name, why in _NEEDS_OURS.items() if name in open_ones}
    return replace(
        money,
        findings=tuple(found for found in money.findings if found.invariant not in moved),
        not_checked={**money.not_checked, **moved},
    )
