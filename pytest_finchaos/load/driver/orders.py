"""What the parent told the driver so far."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import gevent.event

PARENT_DIED = 3


class Orders:
    """What the parent said so far."""

    def __init__(self) -> None:
        self.start = gevent.event.Event()
        self.stop = gevent.event.Event()
        self.drain_s = 5.0

    def follow(self, orders: Iterator[dict[str, Any]]) -> None:
        """Take orders in; when the parent is gone, be gone."""
        for order in orders:
            if order["do"] == "start":
                self.start.set()
            elif order["do"] == "stop":
                self.drain_s = float(order["drain_s"])
                self.stop.set()
        os._exit(PARENT_DIED)
