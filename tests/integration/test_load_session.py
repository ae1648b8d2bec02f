"""Every way to lose the driver is told, and none leaves a process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.load.session import start_load
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import DataSpec
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.http_target import OPERATIONS, TOKEN, Seen, plan_for, target, until_planned


@pytest.fixture
def seen() -> Iterator[Seen]:
    with target() as state:
        yield state


def test_killing_the_driver_loses_no_record_and_is_told(seen: Seen, tmp_path: Path) -> None:
    with start_load(plan_for(seen), tmp_path) as session:
        until_planned(session, 60)
        os.kill(session.pid, signal.SIGKILL)
        wait_for(lambda: Not("alive") if session.alive else True, what="the driver to die", within_s=10)
        at_death = len(seen.payments)
        until_planned(session, session.progress().planned + 30)  # the plan goes on without anybody to carry it out
        assert session.progress().alive is False
        assert session.history().generator.complete is False
        history = session.stop()
    assert not history.generator.complete
    assert "generator exited with signal 9 (SIGKILL)" in history.generator.problems
    assert history.counts.unsent >= 30
    assert sum(op.arrival.operation == "authorise" and op.sent for op in history.operations) >= at_death


def test_a_stopped_driver_is_noticed_while_it_stands_and_after_it_went_on(seen: Seen, tmp_path: Path) -> None:
    with start_load(plan_for(seen), tmp_path) as session:
        until_planned(session, 30)
        os.kill(session.pid, signal.SIGSTOP)
        wait_for(
            lambda: True if session.progress().stalled_s > 1.5 else Not("not noticed"),
            what="the stall to be noticed",
            within_s=20,
            every_s=0.1,
        )
        assert any("stalled" in problem for problem in session.history().generator.problems)
        os.kill(session.pid, signal.SIGCONT)
        until_planned(session, session.progress().planned + 30)
        history = session.stop()
    assert history.counts.unsent == 0
    assert any(problem.startswith("the generator stalled for") for problem in history.generator.problems)
    assert not history.generator.complete


def test_a_driver_that_does_not_answer_the_stop_is_ended(
    seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_finchaos.load.session.ANSWER_S", 0.3)
    with start_load(plan_for(seen), tmp_path) as session:
        os.kill(session.pid, signal.SIGSTOP)
        history = session.stop(drain_s=0.2)
        assert not session.alive
    assert any("did not answer the stop" in problem for problem in history.generator.problems)


def test_the_plans_longest_duration_ends_the_driver(seen: Seen, tmp_path: Path) -> None:
    with start_load(plan_for(seen, max_duration_s=0.6), tmp_path) as session:
        wait_for(lambda: Not("alive") if session.alive else True, what="the driver to end by itself", within_s=20)
        history = session.stop()
    assert any("longest duration" in problem for problem in history.generator.problems)
    assert not history.generator.complete


PARENT = """
import os, pickle, sys
from pathlib import Path
from pytest_finchaos.load.session import start_load
session = start_load(pickle.loads(bytes.fromhex(sys.stdin.readline().strip())), Path(sys.argv[1]))
print(session.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_parent_takes_its_driver_along(seen: Seen, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(pickle.dumps(plan_for(seen)).hex() + "\n")
        parent.stdin.flush()
        driver = int(parent.stdout.readline())
        assert Path(f"/proc/{driver}").exists()
        parent.kill()
    wait_for(lambda: Not("alive") if lives(driver) else True, what="the driver to end", within_s=10)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_end_of_stdin_alone_ends_the_driver(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "pytest_finchaos.load.driver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    ) as driver:
        assert driver.stdin
        driver.stdin.close()
        assert driver.wait(30) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate_per_s": 0.0}, "rate_per_s"),
        ({"rate_per_s": float("nan")}, "rate_per_s"),
        ({"operations": {"login": OPERATIONS["login"], "pay": OPERATIONS["authorise"]}}, None),
        ({"operations": {"pay": OPERATIONS["authorise"]}}, "none of its operations is mapped"),
        ({"base_urls": {}}, "has no address"),
        ({"base_urls": {"g": "https://127.0.0.1:1"}}, "must be http://host:port"),
        ({"data": {}}, "unknown placeholder {customer}"),
        ({"data": {"customer": DataSpec("customer", "411111111111111{n}", 9)}}, "card number"),
    ],
)
def test_an_impossible_plan_is_refused_before_anything_starts(
    seen: Seen, tmp_path: Path, changes: dict[str, Any], said: str | None
) -> None:
    if said is None:
        plan_for(seen, **changes).check()  # a setup operation that is in the mix is a mapped one
        return
    with pytest.raises(UserError) as caught:
        start_load(plan_for(seen, **changes), tmp_path)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_setup_that_fails_is_told_and_leaves_no_process(seen: Seen, tmp_path: Path) -> None:
    operations = {**OPERATIONS, "login": replace(OPERATIONS["login"], provides={"token": "nothing.here"})}
    with pytest.raises(UserError, match="setup operation 'login'"):
        start_load(plan_for(seen, operations=operations), tmp_path)


def test_locust_is_never_imported_by_the_parents_side() -> None:
    code = (
        "import sys, pytest_finchaos.load.session, pytest_finchaos.load.client, pytest_finchaos.load.history;"
        "print([name for name in ('locust', 'gevent', 'geventhttpclient', 'requests', 'jsonschema') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_driver_is_not_told_what_is_pytests_own(
    monkeypatch: pytest.MonkeyPatch, seen: Seen, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCUST_USERS", "9")
    with start_load(plan_for(seen, environment="env-1"), tmp_path) as session:
        variables = Path(f"/proc/{session.pid}/environ").read_bytes().split(b"\0")
        command = Path(f"/proc/{session.pid}/cmdline").read_bytes()
        assert Path(f"/proc/{session.pid}/cwd").resolve() == tmp_path.resolve()
    assert not [name for name in variables if name.startswith((b"PYTEST_", b"LOCUST_"))]
    assert b"FINCHAOS_ENVIRONMENT=env-1" in variables
    assert TOKEN.encode() not in command
