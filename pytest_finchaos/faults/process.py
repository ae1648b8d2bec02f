"""Faults on a component: its processes killed, or stopped and continued."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Component, Edge


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to every process of a component; what starts it again is the environment's ``restart``."""

    component: Component

    def __post_init__(self) -> None:
        _needs_component(self, self.component)

    @property
    def target(self) -> str:
        """The component's name."""
        return self.component.name

    def describe(self) -> str:
        """One line."""
        return f"kill -9 of {self.component.name}"


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGSTOP to every process of a component, SIGCONT at the end: its sockets stay open and nobody answers."""

    component: Component

    def __post_init__(self) -> None:
        _needs_component(self, self.component)

    @property
    def target(self) -> str:
        """The component's name."""
        return self.component.name

    def describe(self) -> str:
        """One line."""
        return f"pause of {self.component.name}"


def _needs_component(fault: object, component: object) -> None:
    if isinstance(component, Component):
        return
    if isinstance(component, Edge):
        what, name = f"needs a component, got the edge {component}", repr(component.target)
    else:
        what, name = f"needs a component, got {component!r:.80}", "name"
    raise UserError(f"faults.{type(fault).__name__}(…)", what, cure=f"pass environment.component({name})")
