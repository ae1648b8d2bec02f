"""A system of two small HTTP services, for tests of the harness: ``api`` asks ``store`` for every request.

Its defects are switches, so that each automatic check has something real to find.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Keep-alive HTTP/1.1 without Nagle."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    role = "store"
    store = ""
    local = threading.local()
    asked = itertools.count()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Quiet."""

    def answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/ready":
            build = os.environ.get("TINY_BUILD") or os.environ.get("FINCHAOS_BUILD", "")
            self.answer(200, {"pid": os.getpid(), "build": build})
            return
        if os.environ.get("TINY_BLACK_HOLE"):
            threading.Event().wait(60)
        if self.role == "store":
            self.answer(200, {"value": 1})
            return
        every = int(os.environ.get("TINY_ERRORS", "0"))
        if every and next(self.asked) % every == 0:
            self.answer(500, {"error": "broken"})
            return
        try:
            self.answer(200, {"id": self.path, "value": self.ask()})
        except OSError:
            self.answer(503, {"error": "store unreachable"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def ask(self) -> object:
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection(self.store, timeout=1.5)
        try:
            connection.request("GET", "/value")
            return json.loads(connection.getresponse().read())["value"]
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise OSError(str(error)) from error


def start_daemon() -> None:
    """A grandchild in a session of its own that ignores SIGTERM: what a rude service leaves behind."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            threading.Event().wait(600)
        os._exit(0)
    os.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["api", "store"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", default="")
    options = parser.parse_args()
    if os.environ.get("TINY_DAEMON") and options.role == "store":
        start_daemon()
    meeting = os.environ.get("TINY_MEETING")  # a file through which api learns the store's real port: a bypass
    if meeting and options.role == "store":
        Path(meeting).write_text(f"127.0.0.1:{options.port}")
    Handler.role = options.role
    Handler.store = options.store
    if meeting and options.role == "api":
        path = Path(meeting)
        while not path.exists():
            threading.Event().wait(0.02)
        Handler.store = path.read_text()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
