"""The router's log: one line for each request that has ended, read while it grows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finchaos.environments.router.configuration import share_of_label
from pytest_finchaos.runtime.clock import NS_PER_MS, NS_PER_S, Anchor
from pytest_finchaos.runtime.growing import GrowingFile


@dataclass(frozen=True, slots=True)
class Routed:
    """One request as the router saw it.

    Args:
        started_ns: CLOCK_MONOTONIC of its first byte.
        ended_ns: CLOCK_MONOTONIC of the answer's last byte, to a millisecond.
        arrival: Name of the arrival, or "" when the client sent none.
        version: The version that it was sent to, or "".
        digest: Digest of that version.
        host: ``host:port`` of the instance, or "".
        status: HTTP status; 0 without one.
        flags: Envoy's response flags, ``-`` for none.
        method, path: Of the request, without its query.
        weights: Label of the weights in force.
        share: The canary's share in force, or None when the request met no route.
    """

    started_ns: int
    ended_ns: int
    arrival: str
    version: str
    digest: str
    host: str
    status: int
    flags: str
    method: str
    path: str
    weights: str
    share: float | None

    @property
    def number(self) -> int:
        """Number of the weights in force, 0 without."""
        head = self.weights.partition("/")[0]
        return int(head) if head.isdigit() else 0


class RouterLog:
    """An incremental reader: each `read` gives what was appended since the last.

    Args:
        path: The file; it need not exist yet.
        anchor: Both clocks at one instant; Envoy dates by the wall clock.
    """

    def __init__(self, path: Path, anchor: Anchor) -> None:
        self._file, self._anchor = GrowingFile(path), anchor
        self.lines = 0
        self.damaged = 0

    def read(self) -> list[Routed]:
        """What ended since the last call; a line that is not whole yet waits."""
        found = []
        for line in self._file.lines():
            self.lines += 1
            routed = parse(line, self._anchor)
            if routed is None:
                self.damaged += 1
            else:
                found.append(routed)
        return found


def parse(line: bytes, anchor: Anchor) -> Routed | None:
    """The request that a line tells of, or None when it is no such line."""
    try:
        told: dict[str, Any] = json.loads(line)
        seconds, _, fraction = str(told["started"]).partition(".")
        wall_ns = int(seconds) * NS_PER_S + int(fraction[:9].ljust(9, "0") or 0)
        started_ns = wall_ns - anchor.wall_ns + anchor.monotonic_ns
        label = str(told.get("weights") or "")
        return Routed(
            started_ns=started_ns,
            ended_ns=started_ns + int(told.get("duration_ms") or 0) * NS_PER_MS,
            arrival=str(told.get("arrival") or ""),
            version=str(told.get("version") or ""),
            digest=str(told.get("digest") or ""),
            host=str(told.get("host") or ""),
            status=int(told.get("status") or 0),
            flags=str(told.get("flags") or "-"),
            method=str(told.get("method") or ""),
            path=str(told.get("path") or ""),
            weights=label,
            share=share_of_label(label),
        )
    except (ValueError, KeyError, TypeError):
        return None
