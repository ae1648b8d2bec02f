"""Actions for experiment files: ``provider: {type: python, module: pytest_finchaos.experiments.actions, func: …}``.

They speak to the drill that runs the experiment, so a file can do what a drill in Python can.
"""

from __future__ import annotations

from typing import Any

from pytest_finchaos.experiments.client import ANSWER_WITHIN_S, ask

__all__ = ["expect_violation", "hold", "inject", "recover", "remove", "steady", "wait"]


def inject(
    fault: str, edge: str | None = None, component: str | None = None, name: str | None = None, **arguments: Any
) -> dict[str, Any]:
    """Arm a fault and look whether it acts; it stays until `remove`, or until the experiment ends.

    Args:
        fault: Name of a class of `pytest_finchaos.faults`, e.g. ``Latency``.
        edge: ``SOURCE→TARGET`` (or ``SOURCE->TARGET``), for faults on an edge.
        component: Name of a component, for faults on a component.
        name: How the injection is called later; without it ``1-latency`` and the like.
        arguments: The fault's own, e.g. ``latency_ms: 80``.

    Returns:
        ``{"name", "fault", "acted"}``.
    """
    answer: dict[str, Any] = ask("inject", fault=fault, edge=edge, component=component, name=name, arguments=arguments)
    return answer


def remove(name: str | None = None) -> list[str]:
    """Remove an injection and prove that it is gone; without a name all that are armed.

    Returns:
        The names of those that were removed; none when they were gone already.
    """
    removed: list[str] = ask("remove", name=name)
    return removed


def steady(duration_s: float) -> bool:
    """Let undisturbed load run for ``duration_s`` seconds, marked as a steady phase."""
    return _wait("steady", duration_s)


def hold(duration_s: float) -> bool:
    """Keep what is armed for ``duration_s`` seconds, marked as a hold phase."""
    return _wait("hold", duration_s)


def wait(duration_s: float) -> bool:
    """Wait ``duration_s`` seconds while the load runs, without beginning a phase."""
    return _wait("wait", duration_s)


def recover(within_s: float) -> bool:
    """Watch until the system has recovered from all faults, at most ``within_s`` seconds and the window that proves it.

    Returns:
        Whether that was seen. It ends nothing by itself; ask ``recovered`` among the objectives.
    """
    answer: bool = ask("recover", duration_s=within_s, within_s=within_s + ANSWER_WITHIN_S)
    return answer


def expect_violation(name: str) -> bool:
    """Declare beforehand that a violation of the invariant ``name`` is looked for; not finding it fails the drill."""
    answer: bool = ask("expect_violation", name=name)
    return answer


def _wait(call: str, duration_s: float) -> bool:
    answer: bool = ask(call, duration_s=duration_s, within_s=duration_s + ANSWER_WITHIN_S)
    return answer
