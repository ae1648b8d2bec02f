"""The supervisor's part: a component that is added while others run, and one that is taken away gently."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_finchaos.environments import tagged
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.environments.tail import tail
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import NS_PER_S, SystemClock

if TYPE_CHECKING:
    from pytest_finchaos.environments.supervisor import Supervisor

TICK_S = 0.02
BOOT_DEATHS = 4  # in a row before a start is given up
LEAVE_WITHIN_S = 3.0  # from SIGTERM to SIGKILL


def add(supervisor: Supervisor, command: Mapping[str, Any]) -> str:
    """Start one more component and wait until it is ready; returns "" or why it is not, and then it is gone again."""
    plan: ComponentPlan = codec.from_plain(ComponentPlan, command["plan"])
    running = supervisor.keep(plan)
    supervisor.launch(running)
    clock = SystemClock()
    deadline_ns = clock.now_ns() + int(plan.ready_within_s * NS_PER_S)
    while not running.ready:
        given_up = not running.alive and (running.deaths >= BOOT_DEATHS or not running.restart_at_ns)
        if given_up or clock.now_ns() > deadline_ns:
            running.check_ready()
            told = tail(plan.log)
            ended = f"; it {running.exit_text}" if running.exit_text not in ("", running.last_seen) else ""
            why = f"component {plan.name} is not ready: {running.last_seen}{ended}"
            retire(supervisor, {"name": plan.name})
            return f"{why}; its log ends: {told}" if told else why
        supervisor.tick(TICK_S)
    return ""


def retire(supervisor: Supervisor, command: Mapping[str, Any]) -> list[int]:
    """SIGTERM, a while to leave, SIGKILL to what is left; the component is not kept any more.

    Returns:
        Pids that could not be ended.
    """
    running = supervisor.components.pop(command["name"], None)
    if running is None:
        return []
    clock = SystemClock()
    deadline_ns = clock.now_ns() + int(LEAVE_WITHIN_S * NS_PER_S)
    if running.process is not None and running.alive:
        tagged.send(running.process.pid, signal.SIGTERM)
    while running.alive and clock.now_ns() < deadline_ns:
        supervisor.tick(TICK_S)
    how = "left by itself" if not running.alive else f"was killed after {LEAVE_WITHIN_S:g} s"
    left = running.stop()
    supervisor.event("component-stopped", running.name, how, instance=running.instance)
    return list(left)


def arrange(supervisor: Supervisor, command: Mapping[str, Any]) -> None:
    """Keep other components from now on; those that go must have been stopped, those that come are not started."""
    for name in command["forget"]:
        supervisor.components.pop(name, None)
    for plain in command["keep"]:
        plan: ComponentPlan = codec.from_plain(ComponentPlan, plain)
        if plan.name not in supervisor.components:
            supervisor.keep(plan)
