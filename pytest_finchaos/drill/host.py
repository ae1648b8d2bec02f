"""How busy the host was during a drill: the measured cause that an undecided drill must name."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from pytest_finchaos.runtime.leases import HostLease


@dataclass(frozen=True, slots=True)
class HostSample:
    """CPU seconds of all cores since boot.

    Args:
        busy_s: User, system, interrupts.
        steal_s: Taken by the hypervisor for others.
        idle_s: Idle and waiting for disks.
    """

    busy_s: float
    steal_s: float
    idle_s: float


def sample() -> HostSample:
    """The counters now."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    steal = getattr(times, "steal", 0.0)
    busy = times.user + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return HostSample(busy, steal, idle)


def load_between(start: HostSample, end: HostSample) -> dict[str, float]:
    """Shares of all cores between two samples: ``cpu_busy_share`` and ``cpu_steal_share``, 0 to 1."""
    busy, steal, idle = end.busy_s - start.busy_s, end.steal_s - start.steal_s, end.idle_s - start.idle_s
    total = busy + steal + idle
    if total <= 0:
        return {"cpu_busy_share": 0.0, "cpu_steal_share": 0.0}
    return {"cpu_busy_share": round(busy / total, 3), "cpu_steal_share": round(steal / total, 3)}


def give_back(lease: HostLease | None) -> None:
    """Let the next drill be measured."""
    if lease is not None:
        lease.release()


def lease_facts(lease: HostLease | None) -> dict[str, float]:
    """``host_slots`` and ``waited_s`` of a drill that was measured; empty without load."""
    return {} if lease is None else {"host_slots": float(lease.slots), "waited_s": lease.waited_s}
