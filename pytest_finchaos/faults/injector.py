"""Arms a fault on a running environment: undo on disk first, then the act, then proof that it acted and went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finchaos.faults.armed import Armed
from pytest_finchaos.faults.armed_network import ArmedOnEdge
from pytest_finchaos.faults.armed_process import Killed, Paused
from pytest_finchaos.faults.probing import Observation
from pytest_finchaos.faults.process import Kill, Pause
from pytest_finchaos.faults.target import Environment
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.clock import Clock, SystemClock

if TYPE_CHECKING:
    from pytest_finchaos.faults import Fault

__all__ = ["Armed", "Observation", "arm"]


def arm(fault: Fault, *, environment: Environment, injection_id: str, clock: Clock | None = None) -> Armed:
    """Arm ``fault``.

    Args:
        fault: One of `pytest_finchaos.faults`.
        environment: Where its edge or component lives.
        injection_id: Names it in the drill and its toxic in the proxy.
        clock: The clock; the system's by default.

    Returns:
        The armed fault; nothing has been observed yet.

    Raises:
        UserError: It is no fault, or the proxy or component is not there or refused.
        OSError: The undo journal could not be written; then nothing was done.
    """
    clock = clock or SystemClock()
    armed: ArmedOnEdge | Killed | Paused
    if isinstance(fault, Kill):
        armed = Killed(fault, environment, injection_id, clock)
    elif isinstance(fault, Pause):
        armed = Paused(fault, environment, injection_id, clock)
    elif hasattr(fault, "edge"):
        armed = ArmedOnEdge(fault, environment, injection_id, clock)
    else:
        raise UserError("drill.inject(…)", f"needs a fault, got {fault!r:.80}", cure="e.g. faults.Latency(edge, 80)")
    armed.arm()
    return armed
