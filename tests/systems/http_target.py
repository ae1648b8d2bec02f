"""A payment API of one process, in a thread of the test: counts what it sees and misbehaves as told."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import Profile, load_profile
from pytest_finchaos.load.session import LoadSession
from pytest_finchaos.model.spec import DataSpec, OperationSpec, OutcomeRules
from pytest_finchaos.runtime.waiting import Not, wait_for

TOKEN = "t0ken-of-this-test"
RULES = OutcomeRules(("2xx",), ("402",), ("4xx",), ("409", "5xx", "timeout", "reset", "malformed"))
KEYED = {"Idempotency-Key": "{key}", "Authorization": "Bearer {token}"}
OPERATIONS = {
    "login": OperationSpec("login", "g", "POST", "/login", body={"u": "x"}, setup=True, provides={"token": "token"}),
    "authorise": OperationSpec(
        "authorise",
        "g",
        "POST",
        "/payments",
        headers=KEYED,
        body={"amount_minor": "{amount_minor}", "from": "{customer}"},
        outcomes=RULES,
        timeout_s=1.0,
        reference="id",
        answer=("id",),
    ),
    "balance": OperationSpec("balance", "g", "GET", "/balance/{customer}", outcomes=RULES),
    "freshness": OperationSpec("freshness", "g", "GET", "/freshness", outcomes=RULES, value="age_s"),
}


@dataclass
class Seen:
    """What the server saw, and what it does: ``act`` may answer a payment by its status, or "hang", "cut" or None."""

    payments: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    act: Callable[[str, int], int | str] = lambda _key, _nth: 201
    per_key: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    base_url: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: Seen

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self.reply(200, {"age_s": 0.25})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/login":
            return self.reply(200, {"token": TOKEN})
        key = self.headers["Idempotency-Key"]
        assert self.headers["Authorization"] == f"Bearer {TOKEN}"
        with self.seen.lock:
            self.seen.payments.append((key, body))
            self.seen.per_key[key] += 1
            nth = self.seen.per_key[key]
        action = self.seen.act(key, nth)
        if action == "hang":
            self.seen.over.wait(30)
        if isinstance(action, int):
            return self.reply(action, {"id": f"of-{key}"})
        self.close_connection = True
        if action == "half":
            self.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"id"')
        return None

    def reply(self, status: int, body: dict[str, Any]) -> None:
        with self.seen.lock:
            self.seen.counts[self.path.split("/")[1]] += 1
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        return  # clients that are killed leave broken connections


@contextmanager
def target() -> Iterator[Seen]:
    """A running target."""
    state = Seen()
    handler = type("OneHandler", (Handler,), {"seen": state})
    server = Server(("127.0.0.1", 0), handler)
    state.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    state.over.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


PLAIN = replace(load_profile("card_pos_auth"), late_replay=None, key_reuse=None, polls={"freshness": 0.5})


def plan_for(seen: Seen, profile: Profile = PLAIN, **changes: Any) -> LoadPlan:
    plan = LoadPlan(
        profile=profile,
        rate_per_s=60.0,
        seed="7/test",
        key_prefix="run-test",
        operations=OPERATIONS,
        base_urls={"g": seen.base_url},
        data={"customer": DataSpec("customer", "c-{n}", 10)},
        max_in_flight=64,
    )
    return replace(plan, **changes)


def until_planned(session: LoadSession, number: int) -> None:
    def probe() -> bool | Not:
        progress = session.progress()
        return True if progress.planned >= number else Not(str(progress))

    wait_for(probe, what=f"{number} planned arrivals", within_s=30, every_s=0.05)
