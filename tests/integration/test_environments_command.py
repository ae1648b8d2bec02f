"""Systems behind a start and a stop command: ready, disturbed, renewed, stopped by whoever is left to do it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_finchaos import faults
from pytest_finchaos.environments import janitor, listeners, tagged
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import Environment, start_environment
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.faults.injector import arm
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.environments import traces, wait_until_gone
from tests.systems.nested import run_nested
from tests.systems.own import COMMAND, DOWN, OPERATIONS, RETURNS, STAYS, TINY, write_command

RUN = "20260101T000000-0000"

ONE = """
[environments.tiny]
backend = "command"
allowed_hosts = ["127.0.0.1"]
start = ["{python}", "TINY_PY", "api", "--port", "{port.api}"]
stop = ["true"]
variables = { TINY_BUILD = "one" }

[environments.tiny.components.api]
ready = { http = "/ready", within_s = 20 }
identity = { http = "/ready", field = "build" }

"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another run's sweep must not stop what is to be seen stopped here."""
    monkeypatch.setenv("FINCHAOS_CACHE", str(tmp_path / "cache"))


@contextmanager
def commanded(path: Path) -> Iterator[Environment]:
    spec = load_configuration(path).environments["tiny"]
    environment = start_environment(spec, directory=path.parent / "run", run_id=RUN)
    try:
        yield environment
    finally:
        environment.close()


def stops(folder: Path) -> int:
    """How often the stop command ran."""
    file = folder / "stops"
    return len(file.read_text().splitlines()) if file.exists() else 0


def get(url: str) -> int:
    with urllib.request.urlopen(f"{url}/value", timeout=5) as answer:
        return int(answer.status)


@pytest.mark.parametrize("up", [RETURNS, STAYS], ids=["a start command that returns", "one that stays"])
def test_a_system_is_started_reached_and_stopped(up: str, tmp_path: Path) -> None:
    with commanded(write_command(tmp_path, up=up)) as environment:
        assert get(environment.base_url("api")) == 200
        assert environment.edge("api", "store").listen != environment.direct_address("store")
        assert environment.verify_served() == ()
        assert environment.unproven == ()
        assert environment.unchecked == {}
        assert "store" in environment.instances()
        ports = [int(environment.direct_address(name).rpartition(":")[2]) for name in ("store", "api")]
        assert stops(tmp_path) == 0
    assert stops(tmp_path) == 1
    assert str(ports[0]) in (tmp_path / "stops").read_text(), "placeholders are filled in the stop command too"
    assert all(not listeners.inodes_on(port) for port in ports), "also of processes that the stop command left"
    assert traces(environment.id) == ""


def test_a_toxic_on_an_edge_that_was_handed_over_acts(tmp_path: Path) -> None:
    with commanded(write_command(tmp_path)) as environment:
        fault = faults.Latency(environment.edge("api", "store"), latency_ms=150)
        armed = arm(fault, environment=environment, injection_id="1-latency")
        get(environment.base_url("api"))
        assert armed.observe(5).seen, armed.result().evidence
        armed.disarm()
        assert armed.prove_gone(5).seen is False


def kill(environment: Environment, name: str) -> None:
    killed = arm(faults.Kill(environment.component(name)), environment=environment, injection_id="2-kill")
    assert killed.observe(5).seen
    killed.disarm()


def test_a_component_whose_listener_is_ours_is_killed_paused_and_healed(tmp_path: Path) -> None:
    with commanded(write_command(tmp_path)) as environment:
        before = environment.instance("store")
        assert environment.processes("store") == (before.pid,)
        component = environment.component("store")
        paused = arm(faults.Pause(component), environment=environment, injection_id="1-pause")
        assert paused.observe(5).seen, paused.result().evidence
        paused.disarm()
        assert paused.prove_gone(5).seen is False
        kill(environment, "store")
        with pytest.raises(UserError, match="does not run now: nobody listens"):
            environment.instance("store")
        assert environment.processes("store") == ()
        assert any("component store" in problem for problem in environment.verify_served())
        environment.heal(20)
        assert environment.instance("store").pid != before.pid
        assert get(environment.base_url("api")) == 200


def test_a_foreground_command_that_is_the_component_itself_is_started_again_by_healing(tmp_path: Path) -> None:
    text = ONE.replace("TINY_PY", str(TINY))
    with commanded(write_command(tmp_path, text=text)) as environment:
        before = environment.instance("api")
        kill(environment, "api")
        wait_for(
            lambda: True if environment.events()[-1].kind == "start-command-ended" else Not("no end is told"),
            what="the end of the start command to be told",
            within_s=10,
        )
        assert any("SIGKILL" in problem for problem in environment.verify_served())
        environment.heal(20)
        assert environment.instance("api").pid != before.pid
        assert environment.verify_served() == ()


def test_what_a_running_start_command_does_not_start_again_is_told(tmp_path: Path) -> None:
    with commanded(write_command(tmp_path, up=STAYS)) as environment:
        kill(environment, "store")
        with pytest.raises(UserError, match=r"component store: is not ready.*the start command still runs"):
            environment.heal(1)


def test_a_component_whose_process_started_that_of_another_cannot_be_ended_alone(tmp_path: Path) -> None:
    with commanded(write_command(tmp_path, up=STAYS)) as environment:
        assert set(environment.cannot) == {"kill or pause api"}
        with pytest.raises(UserError, match="started that of store too"):
            arm(faults.Kill(environment.component("api")), environment=environment, injection_id="1-kill")
        assert set(environment.instances()) == {"store"}
        assert get(environment.base_url("api")) == 200


def test_a_reset_stops_and_starts_and_proves_the_same_build(tmp_path: Path) -> None:
    path = write_command(tmp_path)
    with commanded(path) as environment:
        before, fingerprint = environment.instances(), environment.fingerprint
        address = environment.direct_address("api")
        environment.reset()
        after = environment.instances()
        assert stops(tmp_path) == 1
        assert all(before[name].pid != after[name].pid for name in before)
        assert environment.fingerprint == fingerprint
        assert environment.direct_address("api") == address
        (tmp_path / "up").write_text(RETURNS.replace("TINY_BUILD=one", "TINY_BUILD=two"))
        with pytest.raises(UserError, match="after the reset: fingerprint"):
            environment.reset()


FAILING = {
    "a start command that fails": ("#!/bin/sh\necho no licence >&2\nexit 3\n", "exited with status 3"),
    "a start command that starts nothing": ("#!/bin/sh\necho nothing to do\n", "is not ready: waited"),
    "a start command that hangs": ("#!/bin/sh\necho waiting for a disk\nexec sleep 600\n", "still runs"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_system_that_does_not_come_up_is_told_with_its_last_words_and_stopped(name: str, tmp_path: Path) -> None:
    up, told = FAILING[name]
    path = write_command(tmp_path, up=up, text=COMMAND.replace("within_s = 20 }\nidentity", "within_s = 1 }\nidentity"))
    with pytest.raises(UserError, match=told) as caught, commanded(path):
        pass
    words = {"exited": "no licence", "is not": "nothing to do", "still ": "waiting for a disk"}[told[:6]]
    assert words in str(caught.value)
    assert stops(tmp_path) == 1
    assert [item.name for item in janitor.environments_folder().iterdir()] == []


def test_a_program_that_does_not_exist_is_told_before_anything_starts(tmp_path: Path) -> None:
    path = write_command(tmp_path)
    (tmp_path / "down").unlink()
    with pytest.raises(UserError, match=r"stop: .*/down is no executable file"), commanded(path):
        pass
    assert stops(tmp_path) == 0


def test_somebody_who_listens_already_is_told_and_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        address = f'address = "127.0.0.1:{theirs.getsockname()[1]}"'
        text = COMMAND.replace("[environments.tiny.components.api]", f"[environments.tiny.components.api]\n{address}")
        with (
            pytest.raises(UserError, match=f"listens at .* already: process {os.getpid()}") as caught,
            commanded(write_command(tmp_path, text=text)),
        ):
            pass
        assert 'backend = "attach"' in str(caught.value)
        assert not (tmp_path / "system.log").exists()
        assert stops(tmp_path) == 0, "what was not started is not stopped"


def test_a_component_outside_the_start_commands_processes_cannot_be_killed(tmp_path: Path) -> None:
    """As with containers: another process, which the command only asked, starts what listens."""
    ports = Ports()
    port = ports.claim()
    asked, started = tmp_path / "asked", []

    def serve_when_asked() -> None:
        wait_for(lambda: True if asked.exists() else Not("not asked"), what="the start command", within_s=20)
        started.append(subprocess.Popen([sys.executable, str(TINY), "store", "--port", str(port)]))

    daemon = threading.Thread(target=serve_when_asked)
    daemon.start()
    text = f"""
[environments.tiny]
backend = "command"
allowed_hosts = ["127.0.0.1"]
start = ["touch", "{asked}"]
[environments.tiny.components.store]
address = "127.0.0.1:{port}"
ready = {{ http = "/ready", within_s = 20 }}
"""
    path = tmp_path / "finchaos.toml"
    path.write_text(text)
    try:
        with commanded(path) as environment:
            assert set(environment.cannot) == {"build of store", "stop of the system", "kill or pause store"}
            assert environment.instances() == {}
            for ask in (environment.instance, environment.processes):
                with pytest.raises(UserError, match="backend command cannot kill or pause it: process"):
                    ask("store")
        assert started[0].poll() is None, "not ours to end"
    finally:
        daemon.join()
        for process in started:
            process.kill()
            process.wait()
        ports.release()


def test_a_stop_command_that_fails_is_told_and_tried_again_by_the_next_run(tmp_path: Path) -> None:
    path = write_command(tmp_path, down="#!/bin/sh\necho volume in use >&2\nexit 5\n")
    spec = load_configuration(path).environments["tiny"]
    environment = start_environment(spec, directory=tmp_path / "run", run_id=RUN)
    with pytest.raises(UserError, match="ended with status 5") as caught:
        environment.close()
    assert "volume in use" in str(caught.value)
    assert tagged.pids_of(environment.id) == [], "its processes are ended all the same"
    assert environment.undo.path.exists()
    (tmp_path / "down").write_text(DOWN)
    swept = janitor.sweep()
    assert (swept.environments, swept.problems) == ((environment.id,), ())
    assert stops(tmp_path) == 1
    assert traces(environment.id) == ""


def test_a_stop_command_that_hangs_is_ended_at_its_deadline(tmp_path: Path) -> None:
    text = COMMAND.replace("stop_within_s = 20", "stop_within_s = 0.5")
    path = write_command(tmp_path, down="#!/bin/sh\nsleep 600 &\nwait\n", text=text)
    environment = start_environment(
        load_configuration(path).environments["tiny"], directory=tmp_path / "run", run_id=RUN
    )
    with pytest.raises(UserError, match=r"did not end within 0\.5 s"):
        environment.close()
    assert tagged.pids_of(environment.id) == []


# Starts the environment, says its id, waits to be killed.
OWNER = """
import sys, threading
from pathlib import Path
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.environment import start_environment
folder = Path(sys.argv[1])
spec = load_configuration(folder / "finchaos.toml").environments["tiny"]
environment = start_environment(spec, directory=folder / "run", run_id="x-0000")
print(environment.id, environment._control.pid, flush=True)
threading.Event().wait(600)
"""


def test_a_toxiproxy_that_the_start_command_brings_along_is_found_and_used(tmp_path: Path) -> None:
    ports = Ports()
    api, link, store = (ports.claim() for _ in range(3))
    proxies = [{"name": "store-link", "listen": f"127.0.0.1:{link}", "upstream": f"127.0.0.1:{store}"}]
    (tmp_path / "proxies.json").write_text(json.dumps(proxies))
    server = f"-m pytest_finchaos.proxy.server --host 127.0.0.1 --port {api} --config proxies.json"
    text = COMMAND.replace("{edge.api.store}", f"127.0.0.1:{link}")
    text = text.replace('backend = "command"', f'backend = "command"\ntoxiproxy = "http://127.0.0.1:{api}"')
    text = text.replace("components.store]", f'components.store]\naddress = "127.0.0.1:{store}"')
    text = text.replace('target = "store"', 'target = "store"\nproxy = "store-link"')
    path = write_command(tmp_path, up=f'{RETURNS}setsid "$PYTHON" {server} &\n', text=text)
    try:
        with commanded(path) as environment:
            edge = environment.edge("api", "store")
            assert (edge.proxy, edge.listen) == ("store-link", f"127.0.0.1:{link}")
            armed = arm(faults.Latency(edge, latency_ms=150), environment=environment, injection_id="1-latency")
            get(environment.base_url("api"))
            assert armed.observe(5).seen, armed.result().evidence
            armed.disarm()
            assert armed.prove_gone(5).seen is False
            environment.reset()
            assert environment.verify_served() == ()
        assert traces(environment.id) == ""
    finally:
        ports.release()


@contextmanager
def owner(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A process that owns the environment; its id, and the pid of its supervisor."""
    words = [sys.executable, "-c", OWNER, str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    identity, supervisor = process.stdout.readline().split()
    try:
        yield process, identity, int(supervisor)
    finally:
        process.kill()
        process.communicate()
        tagged.kill_all(identity)


@pytest.mark.parametrize("up", [RETURNS, STAYS], ids=["a start command that returns", "one that stays"])
def test_sigkill_of_the_owner_runs_the_stop_command_and_leaves_nothing(up: str, tmp_path: Path) -> None:
    write_command(tmp_path, up=up)
    with owner(tmp_path) as (process, identity, _):
        assert traces(identity)
        assert stops(tmp_path) == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until_gone(identity)
        assert stops(tmp_path) == 1


def test_without_its_supervisor_the_next_run_stops_the_system_by_the_record_alone(tmp_path: Path) -> None:
    write_command(tmp_path)
    with owner(tmp_path) as (process, identity, supervisor):
        tagged.send(supervisor, signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert traces(identity), "a system that returned outlives both"
        assert stops(tmp_path) == 0
        swept = janitor.sweep()
        assert (swept.environments, swept.problems) == ((identity,), ())
        assert stops(tmp_path) == 1
        wait_until_gone(identity)


DRILL = """
from pytest_finchaos import environment_fixture, faults
system = environment_fixture("tiny", scope="module")

def test_killed_store(system, drill):
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1.5)
        with drill.inject(faults.Kill(system.component("store"))) as killed:
            traffic.hold(duration_s=0.5)
    assert killed.acted
    assert traffic.failed + traffic.unknown > 0

def test_after_a_reset(system, drill):
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1.5)
    assert traffic.failed + traffic.unknown == 0
"""


def test_whole_drills_on_a_system_behind_commands(tmp_path: Path) -> None:
    write_command(tmp_path)
    code, output, report = run_nested(tmp_path, DRILL, COMMAND + OPERATIONS)
    assert code == 0, output
    assert [drill["verdict"] for drill in report["drills"]] == ["PASS", "PASS"]
    assert report["drills"][0]["environment"]["backend"] == "command"
    assert stops(tmp_path) == 2, "between the drills, and at the end"
