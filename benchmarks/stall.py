"""A target that holds every reply for two seconds and then answers all at once: who sees it?

``python benchmarks/stall.py`` runs ``SECONDS`` at ``RATE`` requests a second against such a target, first with this
project's driver, then with Locust's own ``constant_throughput``, and prints both 95th percentiles beside the truth,
which is computed from the plan: a request due during the stall waits for its end. Exit status 1 when the driver's
figure is off by more than 10 %.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import Amounts, ArrivalProcess, Profile
from pytest_finchaos.load.session import start_load
from pytest_finchaos.model.history import History
from pytest_finchaos.model.spec import OperationSpec

SECONDS = 20
RATE = 100
STALL_S = 2.0
TOLERANCE = 0.10
USERS = 20  # of the peer: 20 users, five requests a second each
SHARE = 0.95


class Target:
    """Answers at once, except for one stall; says on stdout when the stall began and ended (CLOCK_MONOTONIC)."""

    def __init__(self, stall_after_s: float) -> None:
        self._stall_after_s = stall_after_s
        self._open = asyncio.Event()
        self._open.set()
        self._first = asyncio.Event()
        self.waiting = self.most_waiting = 0

    async def serve(self) -> None:
        """Serve until stdin ends."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        stall = asyncio.create_task(self._stall())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        stall.cancel()
        server.close()

    async def _stall(self) -> None:
        await self._first.wait()
        await asyncio.sleep(self._stall_after_s)
        self._open.clear()
        began_ns = time.monotonic_ns()
        await asyncio.sleep(STALL_S)
        ended_ns = time.monotonic_ns()
        self._open.set()
        print(json.dumps({"began_ns": began_ns, "ended_ns": ended_ns, "held": self.waiting}), flush=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self._first.set()
                self.waiting += 1
                await self._open.wait()
                self.waiting -= 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def target() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A target process and its port."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--target"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline())["port"], process
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


def stall_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """When the target stood still."""
    assert process.stdout
    told: dict[str, int] = json.loads(process.stdout.readline())
    return told


def ours() -> tuple[float, float, History, int]:
    """p95 from our records, the plan's truth (both ms), the history, the number of requests held at once."""
    profile = Profile("stall", ArrivalProcess(), {"read": 1.0}, Amounts("EUR", 100, 0.5))
    operation = OperationSpec("read", "target", path="/", timeout_s=10.0)
    with target() as (port, process), tempfile.TemporaryDirectory() as folder:
        plan = LoadPlan(profile, RATE, "stall", "stall", {"read": operation}, {"target": f"http://127.0.0.1:{port}"})
        with start_load(plan, Path(folder)) as session:
            time.sleep(SECONDS)
            history = session.stop(drain_s=5)
        stall = stall_of(process)
    measured = [op.latency_ns / 1e6 for op in history.operations if op.latency_ns is not None]
    truth = [
        (stall["ended_ns"] - op.intended_ns) / 1e6 if stall["began_ns"] <= op.intended_ns < stall["ended_ns"] else 0.0
        for op in history.operations
    ]
    return quantile(measured), quantile(truth), history, stall["held"]


def peer() -> dict[str, float]:
    """Locust's own closed loop, in a process of its own."""
    with target() as (port, process):
        done = subprocess.run(
            [sys.executable, __file__, "--peer", f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True
        )
        stall_of(process)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def run_peer(url: str) -> None:
    """20 users of FastHttpUser with constant_throughput, as Locust's documentation advises; its own statistics."""
    import gevent
    import locust
    from locust.env import Environment

    class Reader(locust.FastHttpUser):  # type: ignore[misc]
        host = url
        wait_time = locust.constant_throughput(RATE / USERS)

        @locust.task  # type: ignore[untyped-decorator]
        def read(self) -> None:
            self.client.get("/")

    environment = Environment(user_classes=[Reader], events=locust.events)
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS)
    gevent.sleep(SECONDS)
    environment.stop_timeout = 5
    runner.quit()
    total = environment.stats.total
    print(json.dumps({"p95_ms": total.get_response_time_percentile(SHARE), "requests": total.num_requests}))


def quantile(values: list[float]) -> float:
    """The value that ``SHARE`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * SHARE), len(ordered) - 1)]


def main() -> int:
    """Run both and compare."""
    measured, truth, history, held = ours()
    locust_says = peer()
    off = abs(measured - truth) / truth
    counts, generator = history.counts, history.generator
    print(f"stall of {STALL_S:g} s in {SECONDS} s at {RATE} requests/s, {held} requests held at once\n")
    print(f"{'':28} {'sent':>6} {'p95 ms':>9}")
    print(f"{'truth, from the plan':28} {counts.planned:6} {truth:9.1f}")
    print(f"{'pytest-finchaos':28} {counts.sent:6} {measured:9.1f}   off by {off:.2%}")
    print(f"{'Locust constant_throughput':28} {locust_says['requests']:6} {locust_says['p95_ms']:9.1f}")
    lag_ms, most = generator.lag_p99_ns / 1e6, generator.max_in_flight
    print(f"\nlag p99 {lag_ms:.1f} ms, most in flight {most}, driver CPU {generator.cpu_s:.1f} s, {counts}")
    for problem in generator.problems:
        print(f"problem: {problem}")
    return 0 if off <= TOLERANCE and generator.complete else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--target"]:
        asyncio.run(Target(stall_after_s=SECONDS / 2 - STALL_S / 2).serve())
    elif sys.argv[1:2] == ["--peer"]:
        run_peer(sys.argv[2])
    else:
        sys.exit(main())
