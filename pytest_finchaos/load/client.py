"""One request, synchronously: look-ups, replays and cut-offs, never load."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pytest_finchaos.load import request as requests
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.runtime.clock import NS_PER_S, Clock, SystemClock

MAX_BODY = 64 * 1024 * 1024  # a settlement file is the largest thing that is read


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        outcome, detail, reference, answer, value: As in `Attempt`, by the operation's rules.
        status: HTTP status, 0 without a complete answer.
        sent_ns, done_ns: CLOCK_MONOTONIC.
        body: The bytes; not in the repr, they may hold a token.
    """

    outcome: Outcome
    detail: str
    status: int
    reference: str
    answer: str
    value: float | None
    sent_ns: int
    done_ns: int
    body: bytes = field(default=b"", repr=False)

    @property
    def json(self) -> Any:
        """The parsed body, or None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def host_and_port(base_url: str) -> tuple[str, int]:
    """Host and port of ``http://host:port``.

    Raises:
        UserError: Anything else, e.g. https or a path.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname or parts.port is None or parts.path.strip("/") or parts.username:
        raise UserError(f"base URL {base_url!r}", "must be http://host:port", cure="name host and port, nothing more")
    return parts.hostname, parts.port


def send(
    operation: OperationSpec,
    values: Mapping[str, Any],
    base_url: str,
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> Answer:
    """Send one request on a connection of its own; no retry, no redirect.

    Args:
        operation: What to send.
        values: Placeholder values, with those that setup operations provided.
        base_url: ``http://host:port`` of its component.
        timeout_s: Deadline of the whole exchange in seconds; the operation's own by default.
        clock: The clock; the system's by default.

    Returns:
        The answer, also when there was none: see ``outcome`` and ``detail``.

    Raises:
        UserError: The operation cannot be rendered with these values, or the base URL is no ``http://host:port``.
    """
    clock = clock or SystemClock()
    ready = requests.render(operation, values)
    host, port = host_and_port(base_url)
    sent_ns = clock.now_ns()
    deadline_ns = sent_ns + int((operation.timeout_s if timeout_s is None else timeout_s) * NS_PER_S)
    status, detail, body, headers = _exchange(ready, host, port, deadline_ns, clock)
    reading = requests.classify(operation, status, detail, body, headers)
    return Answer(
        outcome=reading.outcome,
        detail=reading.detail,
        status=status or 0,
        reference=reading.reference,
        answer=reading.answer,
        value=reading.value,
        sent_ns=sent_ns,
        done_ns=clock.now_ns(),
        body=body,
    )


class _DeadlineSocket(socket.socket):
    """A socket whose every read ends at one deadline, so that an answer that drips cannot outlast it."""

    deadline_ns = 0
    clock: Clock = SystemClock()

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(max((self.deadline_ns - self.clock.now_ns()) / NS_PER_S, 0.001))
        return super().recv_into(*arguments, **options)


def _exchange(
    ready: requests.Request, host: str, port: int, deadline_ns: int, clock: Clock
) -> tuple[int | None, str, bytes, list[tuple[str, str]]]:
    try:
        plain = socket.create_connection((host, port), timeout=max((deadline_ns - clock.now_ns()) / NS_PER_S, 0.001))
    except TimeoutError:
        return None, requests.TIMEOUT, b"", []
    except OSError:
        return None, requests.REFUSED_CONNECTION, b"", []
    connection = http.client.HTTPConnection(host, port)
    guarded = _DeadlineSocket(fileno=plain.detach())
    guarded.deadline_ns, guarded.clock = deadline_ns, clock
    guarded.settimeout(max((deadline_ns - clock.now_ns()) / NS_PER_S, 0.001))
    connection.sock = guarded
    try:
        headers = {**dict(ready.headers), "Connection": "close"}
        connection.request(ready.method, ready.path, body=ready.body, headers=headers)
        with connection.getresponse() as answer:
            body = answer.read(MAX_BODY + 1)
            if len(body) > MAX_BODY:
                return None, requests.MALFORMED, b"", []
            return answer.status, requests.HTTP, body, answer.getheaders()
    except TimeoutError:
        return None, requests.TIMEOUT, b"", []
    except (ConnectionError, http.client.RemoteDisconnected):
        return None, requests.RESET, b"", []
    except (http.client.HTTPException, OSError, ValueError):
        return None, requests.MALFORMED, b"", []
    finally:
        connection.close()
        guarded.close()
