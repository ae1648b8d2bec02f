"""Which bytes crossed an edge while a fault was armed: the proxy's client-side sockets, sampled from the kernel."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

from pytest_finchaos.faults import sockdiag
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.runtime.clock import Clock

EVERY_S = 0.1
JOIN_WITHIN_S = 3.0
CLOSING_BYTES = 2  # the kernel counts a FIN as a byte, one each way


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen between two marks.

    Args:
        bytes_crossed: In and out, of everybody but the harness's own probes.
        connections: Connections that carried them.
    """

    bytes_crossed: int
    connections: int


class Sampler:
    """Samples the sockets of one edge's proxy in a thread of its own.

    Sockets are known by their cookie, so that a closed connection keeps what it last showed; the thread is a
    daemon with nothing to lose.

    Args:
        edge: The edge.
        clock: The clock.
    """

    def __init__(self, edge: Edge, clock: Clock) -> None:
        self._port = int(edge.listen.rpartition(":")[2])
        self._clock = clock
        self._own_ports: set[int] = set()
        self._own_cookies: set[int] = set()
        self._last: dict[int, int] = {}
        self._mark: dict[int, int] = {}
        self._live: frozenset[int] = frozenset()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.unable = ""

    def start(self) -> None:
        """Begin; `unable` says why when nothing can be seen (a proxy on another host or in another namespace)."""
        try:
            if not sockdiag.listens(self._port):
                self.unable = "the proxy's sockets are not on this host"
        except OSError as error:
            self.unable = f"the kernel shows no sockets: {error}"
        if self.unable:
            return
        self.sample()
        self.mark()
        self._thread = threading.Thread(target=self._run, name=f"finchaos-traffic-{self._port}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end."""
        if self._thread is None:
            return
        self.sample()
        self._stopped.set()
        self._thread.join(JOIN_WITHIN_S)
        self._thread = None

    def exclude(self, local_port: int) -> None:
        """A probe of ours speaks from ``local_port``."""
        with self._lock:
            self._own_ports.add(local_port)

    def mark(self) -> None:
        """Count from here on."""
        with self._lock:
            self._mark = dict(self._last)

    def reading(self) -> Reading:
        """Traffic since the last mark, after a fresh sample."""
        if self._thread is not None:
            self.sample()
        with self._lock:
            deltas = [
                count - self._mark.get(cookie, 0)
                for cookie, count in self._last.items()
                if cookie not in self._own_cookies
            ]
        moved = [delta for delta in deltas if delta > CLOSING_BYTES]
        return Reading(sum(moved), len(moved))

    def live(self) -> frozenset[int]:
        """Cookies of open connections that are not ours, after a fresh sample."""
        if self._thread is not None:
            self.sample()
        with self._lock:
            return self._live - self._own_cookies

    def sample(self) -> None:
        """Look once."""
        with contextlib.suppress(OSError):  # one look that failed is made up for by the next
            found = sockdiag.connections(self._port)
            with self._lock:
                for each in found:
                    if each.peer_port in self._own_ports:
                        self._own_cookies.add(each.cookie)
                    self._last[each.cookie] = each.bytes_in + each.bytes_out
                self._live = frozenset(each.cookie for each in found if each.state == sockdiag.ESTABLISHED)

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            self.sample()
