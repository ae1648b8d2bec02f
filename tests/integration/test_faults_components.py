"""Components killed and paused: proven by the kernel and by a probe, and never more than was seen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_finchaos import faults
from pytest_finchaos.faults.injector import arm
from pytest_finchaos.faults.processes import Process, signal_process, tree
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Component, Instance
from pytest_finchaos.proxy.undo import carry_out, descendants, started_ticks
from pytest_finchaos.runtime.undo import UndoRecord
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.proxies import HOST, Place, free_port, place

BANK = Component("e-1", "bank", "process", "always", "/")
PARENT = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import threading; print('up', flush=True); threading.Event().wait(60)"])
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


class Bank:
    """A component of two processes, that the test starts and starts again."""

    def __init__(self, here: Place) -> None:
        self.port = free_port()
        self.started: list[subprocess.Popen[str]] = []
        self.children: set[Process] = set()
        here.running["bank"] = self.instance
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", PARENT, str(self.port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        self.started.append(process)
        self.children.update(tree(process.pid)[1:])

    def instance(self) -> Instance:
        pid = self.started[-1].pid
        ticks = started_ticks(pid)
        if ticks is None:
            raise UserError("component bank", "does not run now")
        return Instance("bank", f"i-{pid}", pid, ticks, "", f"{HOST}:{self.port}", 0)

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()
        for child in self.children:
            signal_process(child, signal.SIGKILL)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


@pytest.fixture
def bank(here: Place) -> Iterator[Bank]:
    with contextlib.closing(Bank(here)) as made:
        answers(made)
        yield made


def answers(bank: Bank) -> None:
    import urllib.request

    def probe() -> bool | Not:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{bank.port}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError as error:
            return Not(str(error))

    wait_for(probe, what="the component to answer", within_s=10)


def test_a_kill_takes_the_whole_tree_and_is_gone_once_another_process_answers(bank: Bank, here: Place) -> None:
    members = tree(bank.started[0].pid)

    armed = arm(faults.Kill(BANK), environment=here, injection_id="1-kill")
    seen = armed.observe(3)
    bank.started[0].wait(10)
    bank.start()
    armed.disarm()
    gone = armed.prove_gone(10)

    assert len(members) == 2
    assert seen.seen is True, seen.evidence
    assert [process.alive for process in members] == [False, False]
    assert gone.seen is False, gone.evidence
    assert (armed.result().acted, armed.result().gone) == (True, True)
    assert here.undo.pending() == ()


def test_a_killed_component_that_nobody_starts_again_is_not_back(bank: Bank, here: Place) -> None:
    armed = arm(faults.Kill(BANK), environment=here, injection_id="1-kill")
    armed.observe(3)
    armed.disarm()

    assert armed.prove_gone(0.3).seen is True
    assert armed.result().gone is False


def test_a_killed_component_that_comes_back_without_answering_is_not_back(bank: Bank, here: Place) -> None:
    armed = arm(faults.Kill(BANK), environment=here, injection_id="1-kill")
    armed.observe(3)
    bank.started[0].wait(10)
    bank.start()
    answers(bank)
    bank.started[-1].send_signal(signal.SIGSTOP)
    armed.disarm()

    gone = armed.prove_gone(0.3)

    assert gone.seen is True
    assert any("no answer" in line for line in gone.evidence)


def test_nothing_is_said_of_the_return_of_a_component_that_is_never_started_again(bank: Bank, here: Place) -> None:
    armed = arm(faults.Kill(replace(BANK, restart="never")), environment=here, injection_id="1-kill")
    armed.observe(3)
    armed.disarm()

    gone = armed.prove_gone(5)

    assert gone.seen is None
    assert "restart = 'never'" in gone.evidence[0]
    assert armed.result().gone is None


@pytest.mark.parametrize("kind", [faults.Kill, faults.Pause])
def test_a_component_that_has_ended_is_told_and_no_stranger_is_hit(bank: Bank, here: Place, kind: type) -> None:
    stale = replace(bank.instance(), started_ticks=bank.instance().started_ticks - 1)
    here.running["bank"] = lambda: stale

    with pytest.raises(UserError, match="has ended already"):
        arm(kind(BANK), environment=here, injection_id="1-x")

    assert bank.started[0].poll() is None
    answers(bank)


def test_a_pause_stops_the_whole_tree_and_is_gone_once_it_answers(bank: Bank, here: Place) -> None:
    members = tree(bank.started[0].pid)

    armed = arm(faults.Pause(BANK), environment=here, injection_id="1-pause")
    pending = here.undo.pending()
    seen = armed.observe(3)
    armed.disarm()
    gone = armed.prove_gone(5)

    assert seen.seen is True, seen.evidence
    assert {record.arguments["pid"] for record in pending} == {process.pid for process in members}
    assert gone.seen is False, gone.evidence
    assert (armed.result().acted, armed.result().gone) == (True, True)
    assert here.undo.pending() == ()
    answers(bank)


def test_a_pause_ended_behind_our_back_is_noticed(bank: Bank, here: Place) -> None:
    armed = arm(faults.Pause(BANK), environment=here, injection_id="1-pause")
    assert armed.observe(3).seen is True
    bank.started[0].send_signal(signal.SIGCONT)
    wait_for(lambda: tree(bank.started[0].pid)[0].state != "T" or Not("T"), what="it to run", within_s=5)

    again = armed.observe(0.2)
    armed.disarm()

    assert again.seen is False
    assert armed.result().acted is False
    assert any("not stopped" in line for line in armed.result().evidence)


def test_a_pause_that_stays_is_not_gone(bank: Bank, here: Place) -> None:
    armed = arm(faults.Pause(BANK), environment=here, injection_id="1-pause")
    armed.disarm()
    bank.started[0].send_signal(signal.SIGSTOP)
    wait_for(lambda: tree(bank.started[0].pid)[0].state == "T" or Not("runs"), what="it to stop", within_s=5)

    assert armed.prove_gone(0.3).seen is True
    assert here.undo.pending() != ()


def test_the_record_alone_continues_the_process_and_its_tree(bank: Bank) -> None:
    members = tree(bank.started[0].pid)
    for process in members:
        signal_process(process, signal.SIGSTOP)
    root = members[0]
    arguments = {"pid": root.pid, "started_ticks": root.ticks, "tree": True}

    carry_out(UndoRecord("r", "continue-process", arguments))
    carry_out(UndoRecord("r", "continue-process", arguments))

    assert not {"T"} & {process.state for process in members}
    answers(bank)


def test_a_record_of_an_ended_process_touches_nobody_who_has_its_number(bank: Bank) -> None:
    (root, *_) = tree(bank.started[0].pid)
    signal_process(root, signal.SIGSTOP)
    wait_for(lambda: root.state == "T" or Not(root.state), what="it to stop", within_s=5)

    carry_out(UndoRecord("r", "continue-process", {"pid": root.pid, "started_ticks": root.ticks - 1}))

    assert root.state == "T"


def test_a_process_is_known_by_its_start_and_finds_its_children(bank: Bank) -> None:
    root, child = tree(bank.started[0].pid)

    assert descendants(root.pid) == (child.pid,)
    assert root.alive
    assert not replace(root, ticks=root.ticks + 1).alive
    assert not signal_process(replace(root, ticks=root.ticks + 1), signal.SIGKILL)
    assert os.getpid() not in {process.pid for process in tree(os.getpid())}
