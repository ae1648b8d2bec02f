"""What a toxic does to one direction of one connection: bounded queues with at most one timer each.

Bytes are pushed from stage to stage; a stage emits only while the next one has room, so that a slow reader
stops the source and nothing grows. Removal is synchronous: what is held moves on at once and nothing can hang.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections import deque
from typing import TYPE_CHECKING

from pytest_finchaos.proxy.server.toxics import Toxic
from pytest_finchaos.runtime.clock import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from pytest_finchaos.proxy.server.link import Link

HELD_BYTES = 64 * 1024
HELD_BYTES_LATENCY = 16 * 1024 * 1024  # delay × bandwidth must fit, else a delay would also throttle
SLICE_NS = 100 * NS_PER_MS
BANDWIDTH_UNIT = 1000  # the API's kilobyte


class End(enum.Enum):
    """How a stream ends: HALF passes the source's FIN on, WHOLE closes the connection."""

    HALF = 1
    WHOLE = 2


class Stage:
    """Base: passes everything on at once; also the ``noop`` toxic.

    Args:
        link: The direction that it stands in.
        toxic: Its settings, live.
        draws: Source of its random decisions.
    """

    limit_bytes = HELD_BYTES

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        self.link = link
        self.toxic = toxic
        self.draws = draws
        self.after: Stage | None = None
        self.queue: deque[bytes] = deque()
        self.held_bytes = 0
        self.ending: End | None = None
        self.over = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def room(self) -> bool:
        """True while it takes more."""
        return self.held_bytes < self.limit_bytes

    @property
    def clear(self) -> bool:
        """True while what comes next takes more."""
        return not self.link.blocked if self.after is None else self.after.room

    def feed(self, data: bytes) -> None:
        """Take bytes from before."""
        if self.over:
            return
        self.take(data)
        self.pump()

    def end(self, how: End) -> None:
        """The stream before has ended."""
        if self.over or self.ending is End.WHOLE:
            return
        self.ending = how
        self.pump()

    def take(self, data: bytes) -> None:
        """Queue bytes."""
        self.queue.append(data)
        self.held_bytes += len(data)

    def pump(self) -> None:
        """Emit what may be emitted now."""
        while self.queue and self.clear and not self.over:
            self.emit(self.next_chunk())
        self.settle()

    def next_chunk(self) -> bytes:
        """The oldest queued bytes, taken out."""
        data = self.queue.popleft()
        self.held_bytes -= len(data)
        return data

    def emit(self, data: bytes) -> None:
        """Hand bytes on."""
        if self.after is None:
            self.link.deliver(data)
        else:
            self.after.feed(data)

    def settle(self) -> None:
        """Hand the end on once nothing is held."""
        if self.ending is not None and not self.queue and not self.over:
            self.finish(self.ending)

    def finish(self, how: End) -> None:
        """Nothing more comes from here."""
        self.over = True
        self.stop_timer()
        if self.after is None:
            self.link.finish(how)
        else:
            self.after.end(how)

    def started(self) -> None:
        """It has been put into the chain."""

    def changed(self) -> None:
        """Its attributes were updated."""
        self.pump()

    def release(self) -> None:
        """It is being taken out: everything held moves on now."""
        self.stop_timer()
        while self.queue and not self.over:
            self.emit(self.next_chunk())
        if self.ending is not None and not self.over:
            self.finish(self.ending)

    def wake_in(self, delay_ns: int) -> None:
        """Pump the chain again after ``delay_ns``; loops count milliseconds, so never sooner than one."""
        self.stop_timer()
        delay_s = max(delay_ns, NS_PER_MS) / NS_PER_S
        self._timer = self.link.loop.call_later(delay_s, self._woken)

    def stop_timer(self) -> None:
        """Forget the pending wake."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _woken(self) -> None:
        self._timer = None
        if not self.over:
            self.on_time()

    def on_time(self) -> None:
        """The timer fired."""
        self.link.pump()


class LatencyStage(Stage):
    """Each chunk leaves at its arrival + latency + U[−jitter, jitter), in order."""

    limit_bytes = HELD_BYTES_LATENCY

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        super().__init__(link, toxic, draws)
        self._due_ns: deque[int] = deque()

    def take(self, data: bytes) -> None:
        """Queue bytes with the instant at which they leave."""
        super().take(data)
        attributes = self.toxic.attributes
        delay_ms, jitter_ms = attributes["latency"], attributes["jitter"]
        if jitter_ms:
            delay_ms += self.draws.randrange(2 * jitter_ms) - jitter_ms
        self._due_ns.append(self.link.now_ns() + max(0, delay_ms) * NS_PER_MS)

    def next_chunk(self) -> bytes:
        """The oldest queued bytes."""
        self._due_ns.popleft()
        return super().next_chunk()

    def pump(self) -> None:
        """Emit what is due."""
        while self.queue and self.clear and not self.over:
            wait_ns = self._due_ns[0] - self.link.now_ns()
            if wait_ns > 0:
                self.wake_in(wait_ns)
                return
            self.emit(self.next_chunk())
        self.settle()


class BandwidthStage(Stage):
    """Bytes leave at ``rate`` kB/s (1 kB = 1000 B) in slices of at most 100 ms; rate 0 holds everything."""

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        super().__init__(link, toxic, draws)
        self._free_ns = 0  # when the line is free again

    def pump(self) -> None:
        """Emit slices whose time on the line is over."""
        rate = self.toxic.attributes["rate"] * BANDWIDTH_UNIT
        while self.queue and self.clear and not self.over:
            if rate == 0:
                return
            now_ns = self.link.now_ns()
            if self._free_ns == 0:
                self._free_ns = now_ns + self._slice(rate) * NS_PER_S // rate
            wait_ns = self._free_ns - now_ns
            if wait_ns > 0:
                self.wake_in(wait_ns)
                return
            size = self._slice(rate)
            data = self.next_chunk()
            if len(data) > size:
                self.queue.appendleft(data[size:])
                self.held_bytes += len(data) - size
                data = data[:size]
            # Late timers are made up for while more is queued; an idle line earns no credit.
            self._free_ns = self._free_ns + self._slice(rate) * NS_PER_S // rate if self.queue else 0
            self.emit(data)
        self.settle()

    def _slice(self, rate: int) -> int:
        return min(len(self.queue[0]), max(1, rate * SLICE_NS // NS_PER_S))

    def changed(self) -> None:
        """A new rate counts from now."""
        self._free_ns = 0
        self.pump()


class SlowCloseStage(Stage):
    """The end leaves ``delay`` ms after it came."""

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        super().__init__(link, toxic, draws)
        self._ended_ns: int | None = None

    def settle(self) -> None:
        """Hand the end on when its time has come."""
        if self.ending is None or self.queue or self.over:
            return
        if self._ended_ns is None:
            self._ended_ns = self.link.now_ns()
        wait_ns = self._ended_ns + self.toxic.attributes["delay"] * NS_PER_MS - self.link.now_ns()
        if wait_ns > 0:
            self.wake_in(wait_ns)
        else:
            self.finish(self.ending)


class TimeoutStage(Stage):
    """Drops everything; closes after ``timeout`` ms of silence (0: never), and when it is removed: bytes are lost."""

    def started(self) -> None:
        """Silence counts from the start."""
        self._rearm()

    def _rearm(self) -> None:
        timeout_ms = self.toxic.attributes["timeout"]
        if timeout_ms and not self.over:
            self.wake_in(timeout_ms * NS_PER_MS)

    def take(self, data: bytes) -> None:  # noqa: ARG002 - dropped
        """Drop bytes; silence counts anew."""
        self._rearm()

    def settle(self) -> None:
        """An end is swallowed like bytes, unless the other direction has ended too: then nothing can follow."""
        if self.ending is End.WHOLE or (self.ending is End.HALF and self.link.other_source_ended):
            self.finish(End.WHOLE)

    def changed(self) -> None:
        """The new timeout counts from now."""
        self.stop_timer()
        self._rearm()

    def on_time(self) -> None:
        """Silence lasted."""
        self.finish(End.WHOLE)

    def release(self) -> None:
        """Bytes were lost: the connection cannot go on."""
        if not self.over:
            self.finish(End.WHOLE)


class ResetPeerStage(Stage):
    """From the first chunk on everything is dropped; ``timeout`` ms later both sides get a RST."""

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        super().__init__(link, toxic, draws)
        self._triggered = False

    def take(self, data: bytes) -> None:  # noqa: ARG002 - dropped
        """The first bytes start the clock."""
        self._trigger()

    def settle(self) -> None:
        """An end starts the clock too."""
        if self.ending is not None:
            self._trigger()

    def changed(self) -> None:
        """The new timeout counts from the next first chunk on."""

    def _trigger(self) -> None:
        if self._triggered:
            return
        self._triggered = True
        timeout_ms = self.toxic.attributes["timeout"]
        if timeout_ms:
            self.wake_in(timeout_ms * NS_PER_MS)
        else:
            self.on_time()

    def on_time(self) -> None:
        """Reset."""
        self.over = True
        self.link.reset()

    def release(self) -> None:
        """Bytes were dropped when it was triggered: then it must not look like a whole stream."""
        self.stop_timer()
        if self._triggered and not self.over:
            self.on_time()


class SlicerStage(Stage):
    """Bytes leave in pieces of ``average_size`` ± ``size_variation``, ``delay`` µs apart."""

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        super().__init__(link, toxic, draws)
        self._next_ns = 0

    def pump(self) -> None:
        """Emit the pieces that are due; several at once when timers are coarser than the delay."""
        delay_ns = self.toxic.attributes["delay"] * 1000
        while self.queue and self.clear and not self.over:
            now_ns = self.link.now_ns()
            if self._next_ns > now_ns:
                self.wake_in(self._next_ns - now_ns)
                return
            data = self.next_chunk()
            size = self._size()
            if len(data) > size:
                self.queue.appendleft(data[size:])
                self.held_bytes += len(data) - size
                data = data[:size]
            if delay_ns:
                self._next_ns = (self._next_ns or now_ns) + delay_ns if self.queue else now_ns + delay_ns
            self.emit(data)
        self.settle()

    def _size(self) -> int:
        average, variation = self.toxic.attributes["average_size"], self.toxic.attributes["size_variation"]
        return max(1, average + (self.draws.randrange(2 * variation + 1) - variation if variation else 0))


class LimitDataStage(Stage):
    """Passes exactly ``bytes`` bytes, then closes."""

    def __init__(self, link: Link, toxic: Toxic, draws: random.Random) -> None:
        super().__init__(link, toxic, draws)
        self._passed_bytes = 0

    def pump(self) -> None:
        """Pass what the limit allows."""
        while self.queue and self.clear and not self.over:
            data = self.next_chunk()[: max(0, self.toxic.attributes["bytes"] - self._passed_bytes)]
            self._passed_bytes += len(data)
            if data:
                self.emit(data)
            if self._passed_bytes >= self.toxic.attributes["bytes"]:
                self.queue.clear()
                self.held_bytes = 0
                if not self.over:
                    self.finish(End.WHOLE)
                return
        self.settle()


STAGES: dict[str, type[Stage]] = {
    "noop": Stage,
    "latency": LatencyStage,
    "bandwidth": BandwidthStage,
    "slow_close": SlowCloseStage,
    "timeout": TimeoutStage,
    "reset_peer": ResetPeerStage,
    "slicer": SlicerStage,
    "limit_data": LimitDataStage,
}
