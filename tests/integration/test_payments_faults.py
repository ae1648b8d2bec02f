"""Killed, paused and cut off: the correct build answers "unknown", comes back by itself, and loses no payment."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from pytest_finchaos.payments.settlement_file import Row, SettlementFiles
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.payments import HOST, Stand, call, payment_stand

WITHIN_S = 20.0


@pytest.fixture
def stand() -> Iterator[Stand]:
    with payment_stand() as running:
        yield running


class Traffic:
    """Payments from several threads until told to stop; each with a key of its own, never tried again."""

    def __init__(self, stand: Stand, threads: int = 4) -> None:
        self.answers: dict[str, int | None] = {}
        self._stand = stand
        self._stop = threading.Event()
        self._threads = threads

    def _pay(self, thread: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            key = f"traffic-{thread}-{number}"
            try:
                self.answers[key] = self._stand.pay(key, 100 + number, f"cust-{thread + 30:04d}").status
            except (OSError, ValueError, EOFError, http.client.HTTPException):  # cut off at any point
                self.answers[key] = None
            if self.answers[key] != 201:
                self._stop.wait(0.01)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._stand.authorised()
        with ThreadPoolExecutor(self._threads) as pool:
            running = [pool.submit(self._pay, thread) for thread in range(self._threads)]
            try:
                yield
            finally:
                self._stop.set()
        for each in running:
            each.result()

    def acknowledged(self) -> set[str]:
        return {key for key, status in self.answers.items() if status == 201}

    def wait_for_more(self, more: int = 40) -> None:
        before = len(self.acknowledged())

        def probe() -> bool | Not:
            now = len(self.acknowledged())
            return now >= before + more or Not(f"{now - before} payments")

        wait_for(probe, what=f"{more} more payments", within_s=WITHIN_S)


def paid_keys(stand: Stand) -> list[str]:
    return [row[0] for row in stand.database.rows("select idempotency_key from payments")]


def assert_settled_once(stand: Stand) -> None:
    rows, trailer = stand.cut_off()
    assert sorted(row[0] for row in rows) == sorted(paid_keys(stand))
    assert trailer == ["TOTAL", str(len(rows)), str(sum(int(row[2]) for row in rows))]


def test_a_database_killed_with_sigkill_loses_no_acknowledged_payment_and_is_found_again(stand: Stand) -> None:
    traffic = Traffic(stand)
    with traffic.running():
        traffic.wait_for_more()
        stand.database.kill()
        during = stand.pay("while-dead")
        stand.database.start()
        traffic.wait_for_more()

    assert (during.status, during.headers["retry-after"]) == (503, "1")
    keys = paid_keys(stand)
    assert traffic.acknowledged() <= set(keys)
    assert len(keys) == len(set(keys))
    assert set(traffic.answers.values()) <= {201, 503}
    stand.gateway.wait_ready()
    assert_settled_once(stand)


def test_a_proxy_that_accepts_and_closes_at_once_is_no_database(stand: Stand) -> None:
    stand.authorised()
    stand.database.kill()

    with closing_door(stand.database.port):
        replies = [stand.pay(f"door-{number}").status for number in range(5)]
        ready = call(stand.gateway.port, "GET", "/ready")
        fresh = call(stand.settlement.port, "GET", "/freshness")
    stand.database.start()
    stand.gateway.wait_ready()

    assert set(replies) == {503}
    assert (ready.status, fresh.status) == (503, 503)
    assert stand.pay("door-0").status == 201


@contextmanager
def closing_door(port: int) -> Iterator[None]:
    with socket.create_server((HOST, port)) as door:

        def close_all() -> None:
            with suppress(OSError):
                while True:
                    door.accept()[0].close()

        thread = threading.Thread(target=close_all)
        thread.start()
        yield
        door.shutdown(socket.SHUT_RDWR)
        thread.join(WITHIN_S)


def test_a_database_that_does_not_answer_gives_503_before_the_customer_hangs_up(stand: Stand) -> None:
    stand.authorised()
    with stand.database.rows_locked("select 1 from accounts where account = 'cust-0100' for update"):
        reply = stand.pay("locked")

    assert (reply.status, reply.json["error"]) in [(503, "ledger-unavailable"), (503, "too-late")]
    assert stand.pay("locked").status == 201
    assert paid_keys(stand) == ["locked"]


def test_without_a_fraud_decision_nothing_is_paid_and_nothing_is_kept(stand: Stand) -> None:
    stand.authorised()
    stand.fraud.kill()

    reply = stand.pay("undecided")

    assert (reply.status, reply.json["error"]) == (503, "fraud-unavailable")
    assert stand.database.rows("select key from idempotency_keys") == []
    assert stand.gateway.wait_ready()["ready"] is True
    stand.fraud.restart()
    assert stand.pay("undecided").status == 201


def test_a_fraud_service_that_hangs_is_not_waited_for(stand: Stand) -> None:
    stand.pay("warm")
    stand.fraud.signal(signal.SIGSTOP)

    reply = stand.pay("hanging")
    stand.fraud.signal(signal.SIGCONT)

    assert (reply.status, reply.json["error"]) == (503, "fraud-unavailable")
    assert stand.pay("hanging").status == 201


def test_a_killed_gateway_has_paid_all_that_it_acknowledged(stand: Stand) -> None:
    traffic = Traffic(stand)
    with traffic.running():
        for _ in range(2):
            traffic.wait_for_more()
            stand.gateway.restart()

    assert traffic.acknowledged() <= set(paid_keys(stand))
    assert_settled_once(stand)


def test_a_relay_killed_under_load_settles_every_payment_once(stand: Stand) -> None:
    traffic = Traffic(stand)
    with traffic.running():
        for _ in range(4):
            traffic.wait_for_more(25)
            stand.settlement.restart()

    assert_settled_once(stand)
    assert stand.cut_off() == ([], ["TOTAL", "0", "0"])


def test_rows_written_but_not_marked_when_the_relay_died_are_not_written_again(stand: Stand) -> None:
    stand.settlement.kill()
    replies = [stand.pay(f"torn-{number}", 1000 + number) for number in range(6)]
    rows = [Row(f"torn-{n}", reply.json["id"], 1000 + n, "EUR") for n, reply in enumerate(replies)]
    files = SettlementFiles(stand.folder / "work")
    files.append(rows[:3])
    with (stand.folder / "work" / files.current).open("a") as file:
        file.write(f"torn-3,{rows[3].payment_id},10")  # the write that the kill cut short

    stand.settlement.start()
    stand.settlement.wait_ready()

    assert_settled_once(stand)


def test_a_paused_relay_grows_stale_and_goes_on_when_continued(stand: Stand) -> None:
    stand.settlement.signal(signal.SIGSTOP)
    stand.pay("stale")
    waiting = stand.database.rows("select count(*) from outbox where relayed_at is null")

    stand.settlement.signal(signal.SIGCONT)

    def fresh() -> bool | Not:
        reply = call(stand.settlement.port, "GET", "/freshness")
        return (reply.status, reply.json["waiting"], reply.json["age_s"]) == (200, 0, 0.0) or Not(reply.text)

    assert waiting == [(1,)]
    wait_for(fresh, what="a fresh settlement", within_s=WITHIN_S)
    assert_settled_once(stand)
