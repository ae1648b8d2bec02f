"""How the gateway speaks to its database: one round trip a payment, and no patience with a link that swallows all."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from tests.systems.payments import HOST, Stand, payment_stand

CHUNK = 65536
LOOK_S = 0.05


class Line:
    """A relay between gateway and database that counts questions, and can swallow what is sent."""

    def __init__(self) -> None:
        self.swallows = threading.Event()
        self.questions = 0
        self._peers: dict[socket.socket, socket.socket] = {}
        self._asking: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._door = socket.create_server((HOST, 0))
        self._stop = threading.Event()
        self._target = 0
        self._thread = threading.Thread(target=self._relay)

    def open(self, target: int) -> int:
        """Begin to relay to the port ``target``; returns the port to use instead."""
        self._target = target
        self._selector.register(self._door, selectors.EVENT_READ)
        self._thread.start()
        port: int = self._door.getsockname()[1]
        return port

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for each in (self._door, *self._peers):
            each.close()
        self._selector.close()

    def _relay(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(LOOK_S):
                assert isinstance(key.fileobj, socket.socket)
                with suppress(OSError):
                    self._join() if key.fileobj is self._door else self._pass_on(key.fileobj)

    def _join(self) -> None:
        asking, _ = self._door.accept()
        try:
            answering = socket.create_connection((HOST, self._target))
        except OSError:
            asking.close()
            return
        self._asking.add(asking)
        for end, other in ((asking, answering), (answering, asking)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket) -> None:
        other = self._peers.get(end)
        if other is None:
            return  # the other end's close, in the same look, ended both
        try:
            data = end.recv(CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            for each in (end, other):
                self._selector.unregister(each)
                self._peers.pop(each).close()
        elif not self.swallows.is_set():
            self.questions += end in self._asking
            other.sendall(data)


@pytest.fixture
def line() -> Iterator[Line]:
    relay = Line()
    yield relay
    relay.close()


@pytest.fixture
def stand(line: Line) -> Iterator[Stand]:
    with ExitStack() as stack:
        running = stack.enter_context(payment_stand(link=line.open))
        running.authorised()
        yield running


@pytest.mark.parametrize(
    ("key", "amount_minor", "status"),
    [("new", 1200, 201), ("old", 1200, 201), ("old", 1300, 422), ("much", 900_000, 402)],
)
def test_a_payment_is_one_round_trip_whether_new_repeated_refused_or_declined(
    stand: Stand, line: Line, key: str, amount_minor: int, status: int
) -> None:
    stand.pay("old", debtor="cust-0001")
    before = line.questions

    reply = stand.pay(key, amount_minor, debtor="cust-0001")

    assert (reply.status, line.questions - before) == (status, 1)


def test_a_link_that_swallows_everything_gives_503_and_the_same_key_pays_once_afterwards(
    stand: Stand, line: Line
) -> None:
    keys = [f"swallowed-{number}" for number in range(40)]

    line.swallows.set()
    with ThreadPoolExecutor(len(keys)) as pool:
        swallowed = {reply.status for reply in pool.map(stand.pay, keys)}
    line.swallows.clear()
    stand.gateway.wait_ready()
    statuses = {stand.pay(key).status for key in keys}

    assert (swallowed, statuses) == ({503}, {201})
    assert sorted(row[0] for row in stand.database.rows("select idempotency_key from payments")) == sorted(keys)
