"""When a dead component is started again; what a ready body must say; what is left to undo at the end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pytest_finchaos.environments import ending, janitor, readiness, shared_memory
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.environments.running import LONGEST_PAUSE_S, MAX_RESTARTS, Running
from pytest_finchaos.runtime.clock import NS_PER_S
from pytest_finchaos.runtime.undo import UndoJournal


@dataclass
class Hands:
    """A clock that is turned by hand."""

    at_ns: int = NS_PER_S

    def now_ns(self) -> int:
        return self.at_ns

    def sleep_s(self, duration_s: float) -> None:
        self.at_ns += int(duration_s * NS_PER_S)


def plan(**fields: str) -> ComponentPlan:
    return ComponentPlan(
        name="api",
        kind="process",
        argv=("true",),
        variables={},
        build="b" * 64,
        port=1,
        workdir="/nowhere",
        restart="always",
        ready_http="/ready",
        ready_fields=fields,
        ready_within_s=1.0,
        log="/dev/null",
    )


def test_pauses_between_restarts_grow_and_end() -> None:
    clock = Hands()
    running = Running(plan(), {}, clock)
    pauses = []
    for deaths in range(1, 9):
        running.deaths = deaths
        assert running.plan_restart()
        pauses.append((running.restart_at_ns - clock.at_ns) / NS_PER_S)
    assert pauses[:4] == [0.05, 0.1, 0.2, 0.4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_restarts_are_used_up_within_a_minute_and_forgiven_after_it_or_on_demand() -> None:
    clock = Hands()
    running = Running(plan(), {}, clock)
    for _ in range(MAX_RESTARTS + 1):
        running._starts.append(clock.at_ns)
    assert not running.plan_restart()
    clock.sleep_s(61)
    assert running.plan_restart()
    for _ in range(MAX_RESTARTS + 1):
        running._starts.append(clock.at_ns)
    assert not running.plan_restart()
    running.forgive()
    assert running.plan_restart()


def said(fields: dict[str, str], body: object) -> str | None:
    return readiness.field_problem(plan(**fields), 42, "/ready", json.dumps(body).encode())


def test_fields_of_the_ready_body_must_equal_what_was_started() -> None:
    wanted = {"process.pid": "{pid}", "build": "{build_digest}"}
    assert said(wanted, {"process": {"pid": 42}, "build": "b" * 64}) is None
    assert "expected '42'" in str(said(wanted, {"process": {"pid": 43}, "build": "b" * 64}))
    assert "build is None" in str(said(wanted, {"process": {"pid": 42}}))
    assert "no JSON" in str(readiness.field_problem(plan(a="b"), 42, "/ready", b"<html>"))


def test_values_compare_as_a_configuration_would_write_them() -> None:
    assert said({"up": "true", "n": "1.5", "none": "null"}, {"up": True, "n": 1.5, "none": None}) is None


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with ``status``; its URL and the paths it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def directory(tmp_path: Path, url: str) -> Path:
    folder = tmp_path / "env-0000-none"
    (folder / "work").mkdir(parents=True)
    (folder / ending.LEASE).write_text("")
    UndoJournal(folder / ending.JOURNAL).intend("delete-proxy", {"url": url, "proxy": "p"})
    return folder


def test_what_could_be_undone_leaves_no_folder(tmp_path: Path) -> None:
    with answering(204) as (url, asked):
        folder = directory(tmp_path, url)
        assert ending.end(folder.name, folder) == []
        assert asked == ["/proxies/p"]
    assert not folder.exists()


def test_what_could_not_be_undone_is_told_kept_and_tried_again(tmp_path: Path) -> None:
    with answering(500) as (url, _):
        folder = directory(tmp_path, url)
        problems = ending.end(folder.name, folder)
        assert "not undone" in problems[0]
        assert {path.name for path in folder.iterdir()} == {ending.JOURNAL, ending.LEASE}
        host = url.removeprefix("http://").partition(":")
    with socket.socket() as silent:  # the port is ours, takes connections and does not answer
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind((host[0], int(host[2])))
        silent.listen()
        assert ending.end(folder.name, folder) != []
    journal = folder / ending.JOURNAL
    with answering(404) as (again, _):
        journal.write_text(journal.read_text().replace(url, again))
        assert janitor.clean_up(folder) == []
    assert not folder.exists()


def test_faults_on_a_proxy_that_is_killed_need_no_undoing(tmp_path: Path) -> None:
    with answering(500) as (url, asked):
        folder = directory(tmp_path, url)
        assert ending.end(folder.name, folder, own_proxy=url) == []
        assert asked == []
    assert not folder.exists()


@pytest.mark.parametrize(
    "text", ["", "1\n2\n", "1\n/d\n0\n0\n\n127.0.0.1\nno numbers\n", "1\n/d\n0\n0\n\nx\n 1 99999999\n"]
)
def test_memory_that_is_not_there_is_not_removed(text: str, tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(text)
    assert not shared_memory.release(tmp_path)
    shared_memory.release_below(tmp_path / "none")
