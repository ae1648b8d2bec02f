"""Probes for experiment files: ``provider: {type: python, module: pytest_finchaos.experiments.probes, func: …}``.

They read the drill while it runs. What they say is preliminary: outcomes that only the ledger knows are read when the
load has ended. Ask for claims among the ``objectives`` of the extension.
"""

from __future__ import annotations

from typing import Any

from pytest_finchaos.experiments.client import ask

__all__ = ["bad_so_far", "component_runs", "component_state", "injections", "load_count", "load_counts", "recovered"]


def bad_so_far(objective: str, during: str | None = None, last_s: float | None = None) -> int:
    """Events of an objective that are bad or unknown, among those that were answered or are overdue.

    Args:
        objective: Name, e.g. ``payment-success``.
        during: Name of an injection: only events intended while it was armed.
        last_s: Only events of the last so many seconds.
    """
    answer: int = ask("events", objective=objective, during=during, last_s=last_s)["not_good"]
    return answer


def component_state(component: str) -> dict[str, Any]:
    """``{"running", "pid", "instance", "address"}`` of a component now."""
    answer: dict[str, Any] = ask("component", name=component)
    return answer


def component_runs(component: str) -> bool:
    """True while a process is that component."""
    answer: bool = ask("component", name=component)["running"]
    return answer


def injections() -> list[dict[str, Any]]:
    """``{"name", "fault", "armed", "acted", "gone"}`` of every injection of this drill."""
    answer: list[dict[str, Any]] = ask("injections")
    return answer


def load_counts() -> dict[str, int]:
    """Exact counts of the load so far: ``planned sent late dropped in_flight ok declined failed unknown``."""
    answer: dict[str, int] = ask("load")
    return answer


def load_count(field: str) -> int:
    """One of `load_counts`."""
    counts = load_counts()
    if field not in counts:
        raise ValueError(f"no count {field!r}; there are {', '.join(counts)}")
    return counts[field]


def recovered() -> bool:
    """Whether the system is seen to be well again after all faults that were removed; needs load."""
    answer: bool = ask("recovered")
    return answer
