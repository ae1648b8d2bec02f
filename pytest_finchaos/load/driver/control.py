"""The driver's line to its parent: JSON lines on stdin and stdout, never blocking the load."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import gevent
from gevent import os as gevent_os

PATIENCE_S = 5.0


class Control:
    """Reads orders and tells events.

    Args:
        orders: File descriptor that orders come from.
        events: File descriptor that events go to.
    """

    def __init__(self, orders: int = 0, events: int = 1) -> None:
        self._orders = orders
        self._events = events
        gevent_os.make_nonblocking(orders)
        gevent_os.make_nonblocking(events)

    def orders(self) -> Iterator[dict[str, Any]]:
        """Orders as they come; ends when the parent closes the pipe or dies."""
        rest = b""
        while data := gevent_os.nb_read(self._orders, 1 << 20):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def tell(self, event: str, **content: Any) -> None:
        """Send an event that must arrive; waits for a slow parent up to `PATIENCE_S`."""
        data = memoryview(json.dumps({"event": event, **content}).encode() + b"\n")
        with gevent.Timeout(PATIENCE_S):
            while data:
                data = data[gevent_os.nb_write(self._events, data) :]

    def hint(self, event: str, **content: Any) -> None:
        """Send an event that may get lost: when the parent does not read, the load must not wait for it."""
        data = json.dumps({"event": event, **content}).encode() + b"\n"
        try:
            os.write(self._events, data)  # shorter than PIPE_BUF: all or nothing
        except BlockingIOError:
            return
