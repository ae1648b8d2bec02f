"""A pool of database connections, opened ahead, that survives the death of the database.

asyncpg's own pool opens connections within a request and resets them in a round trip of its own. Here a keeper opens
them beside the requests, a few at a time, so that a request finds a connection or learns at once that there is none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import asyncpg

log = logging.getLogger("payments.pool")

FIRST_PAUSE_S = 0.03
LONGEST_PAUSE_S = 0.25
AT_ONCE = 4  # connections opened at the same time while the database answers; one while it does not

# What a connection raises when it, or the server behind it, is at fault.
FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Unavailable(Exception):
    """The ledger did not answer; whether it did what it was asked is unknown."""


class Link(Protocol):
    """A connection in the pool."""

    def is_closed(self) -> bool:
        """Whether it has ended."""
        ...

    def terminate(self) -> None:
        """End it at once."""
        ...


T = TypeVar("T")
L = TypeVar("L", bound=Link)


class Pool(Generic[L]):
    """``size`` connections kept open by a task of their own.

    Args:
        opener: Opens one connection; given a function to call when the connection has ended.
        size: How many to keep.
    """

    def __init__(self, opener: Callable[[Callable[[], None]], Awaitable[L]], size: int) -> None:
        self._opener = opener
        self._size = size
        self._members: list[L] = []
        self._idle: list[L] = []
        self._waiting: deque[asyncio.Future[L]] = deque()
        self._lacking = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._been_full = False
        self._spread = random.Random(os.getpid())  # noqa: S311 — so that several gateways do not knock in step

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._members)

    @property
    def been_full(self) -> bool:
        """Whether all connections were once open at the same time."""
        return self._been_full

    def start(self) -> None:
        """Begin to open connections."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the keeper and all connections."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for link in list(self._members):
            link.terminate()
        self._sweep()

    async def run(self, work: Callable[[L], Awaitable[T]]) -> T:
        """Do ``work`` with a connection of its own; the caller sets the deadline by cancelling.

        Raises:
            Unavailable: When there is no connection, or it failed, or the server refused the statement.
        """
        link = await self._take()
        sound = False
        try:
            result = await work(link)
            sound = True
        except asyncpg.PostgresError as error:
            sound = not link.is_closed()  # the server said no and the connection goes on
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        except FAILURES as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        finally:
            if not sound:
                link.terminate()  # also when cancelled: an answer that comes now belongs to nobody
                self._sweep()
            else:
                self._give(link)
        return result

    async def _take(self) -> L:
        while self._idle:
            link = self._idle.pop()  # the last used one: its plans are warm
            if not link.is_closed():
                return link
            self._sweep()
        if not self._members:
            raise Unavailable("no connection to the ledger")
        waiter: asyncio.Future[L] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give(waiter.result())  # given in the moment of giving up
            raise

    def _give(self, link: L) -> None:
        if link.is_closed():
            self._sweep()
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(link)
                return
        self._idle.append(link)

    def _sweep(self) -> None:
        """Forget connections that ended, tell the keeper, and let nobody wait for a connection that cannot come."""
        had = len(self._members)
        self._members = [link for link in self._members if not link.is_closed()]
        self._idle = [link for link in self._idle if not link.is_closed()]
        if len(self._members) < had:
            self._lacking.set()
        if had and not self._members:
            log.warning("all connections to the ledger are lost")
        if not self._members:
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_exception(Unavailable("all connections to the ledger are lost"))

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            missing = self._size - len(self._members)
            if missing <= 0:
                self._been_full = True
                self._lacking.clear()
                await self._lacking.wait()
                continue
            wanted = min(missing, AT_ONCE) if pause_s == FIRST_PAUSE_S else 1
            opened = await asyncio.gather(*(self._open() for _ in range(wanted)))
            if any(opened):
                pause_s = FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s * self._spread.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _open(self) -> bool:
        try:
            link = await self._opener(self._sweep)
        except FAILURES as error:
            log.debug("no connection to the ledger: %r", error)
            return False
        if link.is_closed():
            return False
        if not self._members:
            log.warning("the ledger answers")
        self._members.append(link)
        self._give(link)
        return True
