"""What can be done to a running environment, as plain frozen objects; `injector` does it and proves it."""

from __future__ import annotations

from pytest_finchaos.faults.network import (
    Bandwidth,
    Down,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
)
from pytest_finchaos.faults.process import Kill, Pause

Fault = Latency | Bandwidth | Timeout | ResetPeer | SlowClose | Slicer | LimitData | Down | Kill | Pause

__all__ = [
    "Bandwidth",
    "Down",
    "Fault",
    "Kill",
    "Latency",
    "LimitData",
    "Pause",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
]
