"""The synchronous client against servers that answer, drip, hang up, or are not there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pytest_finchaos.load.client import send
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules

LOOK_UP = OperationSpec(
    "look-up", "g", "GET", "/p/{key}", outcomes=OutcomeRules(ok=("200",), refused=("404",)), timeout_s=5, reference="id"
)


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serves one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                serve(connection)

        thread = threading.Thread(target=once)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(10)


def answering(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def http_answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_an_answer_is_read_by_the_operations_rules() -> None:
    with server(answering(http_answer("200 OK", b'{"id": "p-1", "token": "s3cret"}'))) as url:
        answer = send(LOOK_UP, {"key": "k"}, url)
    assert (answer.outcome, answer.status, answer.json["id"]) == (Outcome.OK, 200, "p-1")
    assert answer.reference
    assert answer.done_ns >= answer.sent_ns
    assert "s3cret" not in repr(answer)


@pytest.mark.parametrize(
    ("data", "outcome", "detail"),
    [
        (http_answer("404 Not Found", b"{}"), Outcome.REFUSED, "http"),
        (http_answer("302 Found\r\nLocation: http://127.0.0.1:1/", b""), Outcome.UNKNOWN, "http"),
        (http_answer("200 OK", b"no json"), Outcome.UNKNOWN, "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", Outcome.UNKNOWN, "malformed"),
        (b"rubbish\r\n\r\n", Outcome.UNKNOWN, "malformed"),
        (b"", Outcome.UNKNOWN, "reset"),
    ],
)
def test_other_ends_are_told_apart(data: bytes, outcome: Outcome, detail: str) -> None:
    with server(answering(data)) as url:
        answer = send(LOOK_UP, {"key": "k"}, url)
    assert (answer.outcome, answer.detail) == (outcome, detail)


def test_an_answer_that_drips_ends_at_the_deadline() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b" ")

    with server(drip) as url:
        answer = send(LOOK_UP, {"key": "k"}, url, timeout_s=0.4)
        over.set()
    assert (answer.outcome, answer.detail) == (Outcome.UNKNOWN, "timeout")


def test_nobody_listening_is_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = send(LOOK_UP, {"key": "k"}, f"http://127.0.0.1:{port}")
    assert (answer.outcome, answer.detail, answer.status) == (Outcome.FAILED, "refused-connection", 0)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1", "http://u:p@127.0.0.1:1"])
def test_anything_but_host_and_port_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="http://host:port"):
        send(LOOK_UP, {"key": "k"}, url)
