"""An experiment file as it was read: what Chaos Toolkit gets, and what the file asks of us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXTENSION = "finchaos"
DEADLINE_S = 300.0
RECOVER_S = 5.0
EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class LoadAsk:
    """The load that runs around the experiment.

    Args:
        profile: Name of a load profile.
        rate_per_s: Mean arrivals a second.
        steady_s: Undisturbed load before the experiment begins, seconds.
        recover_s: How long recovery is watched after it, seconds; 0 watches none.
    """

    profile: str
    rate_per_s: float
    steady_s: float
    recover_s: float = RECOVER_S


@dataclass(frozen=True, slots=True)
class ObjectiveAsk:
    """One question of the file, asked when the load has ended.

    Args:
        question: ``spent``, ``recovered`` or ``demonstrates``.
        subject: The objective; for ``recovered`` the name of the injection.
        during: For ``spent``: name of the injection; "" when there is one only.
        limits: ``at_most_bad``, ``at_most_bad_slices``, ``within_s``, ``at_least``.
    """

    question: str
    subject: str
    during: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extension:
    """``extensions: [{name: finchaos, …}]``.

    Args:
        environment: Name of the environment, or "" when the experiment runs alone.
        load: The load around it, or None.
        deadline_s: Seconds that the experiment may take, its rollbacks not counted.
        objectives: Questions that are merged into the verdict.
        expect_violation: Invariants that the experiment looks for.
        configuration: Values for the experiment's ``configuration``, with placeholders.
        variables: Names of environment variables that are handed on.
        kubeconfig: Path of the one kubeconfig that the experiment may use, or "".
        hypothesis_every_s: Seconds between two samples while the hypothesis is checked continuously.
    """

    environment: str = ""
    load: LoadAsk | None = None
    deadline_s: float = DEADLINE_S
    objectives: tuple[ObjectiveAsk, ...] = ()
    expect_violation: tuple[str, ...] = ()
    configuration: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    variables: tuple[str, ...] = ()
    kubeconfig: str = ""
    hypothesis_every_s: float = EVERY_S


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """One file.

    Args:
        path: The file.
        title: Its title.
        slug: The title as a short name.
        tags: Its tags.
        document: All of it, as JSON has it.
        strategy: When the hypothesis is looked at, as Chaos Toolkit's ``Strategy`` spells it.
        extension: What it asks of us.
    """

    path: Path
    title: str
    slug: str
    tags: tuple[str, ...]
    document: Mapping[str, Any]
    strategy: str
    extension: Extension

    @property
    def activities(self) -> tuple[Mapping[str, Any], ...]:
        """Every probe and action of the file."""
        hypothesis = self.document.get("steady-state-hypothesis") or {}
        groups = (hypothesis.get("probes"), self.document.get("method"), self.document.get("rollbacks"))
        return tuple(activity for group in groups for activity in group or () if isinstance(activity, Mapping))
