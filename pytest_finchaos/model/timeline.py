"""Phases and events of a drill, on one clock."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Phase(enum.Enum):
    """What the drill was doing; load runs through all of them."""

    WARM = "warm"
    STEADY = "steady"
    INJECT = "inject"
    HOLD = "hold"
    REMOVE = "remove"
    RELEASE = "release"
    RECOVER = "recover"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Span:
    """A phase with its bounds, CLOCK_MONOTONIC ns; half-open."""

    phase: Phase
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Args:
        at_ns: CLOCK_MONOTONIC.
        kind: Kebab case: ``armed``, ``acted``, ``disarmed``, ``gone``, ``component-exited``, ``component-ready``,
            ``component-started``, ``load-started``, ``load-stopped``, ``quiet``, ``reset`` …
        subject: Component, edge or injection.
        text: One sentence.
        data: Small JSON-able details.
    """

    at_ns: int
    kind: str
    subject: str
    text: str = ""
    data: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
