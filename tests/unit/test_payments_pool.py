"""The pool: a connection, or the word that there is none; never an endless wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from pytest_finchaos.payments.pool import AT_ONCE, LONGEST_PAUSE_S, Pool, Unavailable

WITHIN_S = 10


class FakeLink:
    """A connection that ends when told to."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self.closed = False
        self._ended = ended

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True
        self._ended()


class FakeServer:
    """Hands out connections while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.tries = 0
        self.links: list[FakeLink] = []

    async def open(self, ended: Callable[[], None]) -> FakeLink:
        self.tries += 1
        await asyncio.sleep(0)
        if not self.up:
            raise ConnectionRefusedError
        self.links.append(FakeLink(ended))
        return self.links[-1]

    def die(self) -> None:
        self.up = False
        for link in self.links:
            link.closed = True
        for link in self.links:
            link.terminate()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 — the fakes ring no bell
            await asyncio.sleep(0.001)


async def the_link(link: FakeLink) -> FakeLink:
    await asyncio.sleep(0)
    return link


def drill(work: Callable[[Pool[FakeLink], FakeServer], object], size: int = 3) -> None:
    """Run ``work`` with a pool that has been filled."""

    async def run() -> None:
        server = FakeServer()
        pool: Pool[FakeLink] = Pool(server.open, size)
        pool.start()
        await until(lambda: pool.been_full)
        try:
            result = work(pool, server)
            assert asyncio.iscoroutine(result)
            await result
        finally:
            await pool.stop()
        assert all(link.closed for link in server.links)

    asyncio.run(run())


def test_it_opens_all_connections_ahead_and_uses_the_last_used_one_again() -> None:
    async def work(pool: Pool[FakeLink], server: FakeServer) -> None:
        used = [await pool.run(the_link) for _ in range(5)]

        assert (pool.open, server.tries, len(set(used))) == (3, 3, 1)

    drill(work)


def test_who_finds_all_connections_busy_waits_for_the_next_one() -> None:
    async def work(pool: Pool[FakeLink], server: FakeServer) -> None:
        links = await asyncio.gather(*(pool.run(the_link) for _ in range(20)))

        assert set(links) == set(server.links)
        assert server.tries == 3

    drill(work)


def test_without_a_server_it_says_so_at_once_and_is_full_again_when_the_server_is_back() -> None:
    async def work(pool: Pool[FakeLink], server: FakeServer) -> None:
        server.die()
        with pytest.raises(Unavailable):
            await pool.run(the_link)

        server.up = True
        await until(lambda: pool.open == 3)
        assert not (await pool.run(the_link)).closed

    drill(work)


def test_who_waits_when_the_server_dies_is_told() -> None:
    async def work(pool: Pool[FakeLink], server: FakeServer) -> None:
        async def hold(link: FakeLink) -> None:
            await until(lambda: link.closed)
            raise ConnectionResetError

        tasks = [asyncio.create_task(pool.run(hold)) for _ in range(5)]
        await asyncio.sleep(0)
        server.die()

        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), WITHIN_S)
        assert [type(result) for result in results] == [Unavailable] * 5

    drill(work)


def test_a_connection_whose_work_was_given_up_is_not_used_again() -> None:
    async def work(pool: Pool[FakeLink], server: FakeServer) -> None:
        async def hang(_link: FakeLink) -> None:
            await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.run(hang), 0.01)

        assert sum(link.closed for link in server.links) == 1
        await until(lambda: pool.open == 3)

    drill(work)


def test_a_statement_that_the_server_refuses_leaves_the_connection_in_use() -> None:
    async def work(pool: Pool[FakeLink], server: FakeServer) -> None:
        async def refused(_link: FakeLink) -> None:
            raise asyncpg.QueryCanceledError("statement timeout")

        with pytest.raises(Unavailable, match="statement timeout"):
            await pool.run(refused)

        assert (pool.open, any(link.closed for link in server.links)) == (3, False)

    drill(work)


def test_who_gives_up_waiting_does_not_take_a_connection_along() -> None:
    async def work(pool: Pool[FakeLink], _server: FakeServer) -> None:
        gate = asyncio.Event()

        async def hold(_link: FakeLink) -> None:
            await gate.wait()

        holder = asyncio.create_task(pool.run(hold))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(pool.run(the_link)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.set()
        await holder
        for task in waiting[:2]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        assert not (await asyncio.wait_for(pool.run(the_link), WITHIN_S)).closed

    drill(work, size=1)


def test_a_dead_server_is_asked_by_one_at_a_time_and_ever_less_often() -> None:
    async def run() -> list[float]:
        times_s: list[float] = []
        running = most = 0

        async def refuse(_ended: Callable[[], None]) -> FakeLink:
            nonlocal running, most
            times_s.append(asyncio.get_running_loop().time())
            running += 1
            most = max(most, running) if len(times_s) > AT_ONCE else 0
            await asyncio.sleep(0)
            running -= 1
            raise ConnectionRefusedError

        pool: Pool[FakeLink] = Pool(refuse, 32)
        pool.start()
        await until(lambda: len(times_s) == AT_ONCE + 6)
        await pool.stop()
        assert most == 1
        return times_s

    times_s = asyncio.run(run())

    assert times_s[-1] - times_s[-2] >= LONGEST_PAUSE_S / 2
