"""The router on a real Envoy: shares kept, changes without a failed request, sticky, every request in the log."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from pytest_finchaos.environments.environment import Environment
from pytest_finchaos.environments.router.configuration import ARRIVAL_HEADER
from pytest_finchaos.environments.router.envoy import router_available
from pytest_finchaos.environments.router.log import Routed
from pytest_finchaos.environments.router.versions import Rollout
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.rollout.judge import share_kept
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.environments import running
from tests.systems.nested import tiny_configuration, versioned_configuration

WITHOUT = router_available()
pytestmark = pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    path = tmp_path_factory.mktemp("router") / "finchaos.toml"
    path.write_text(versioned_configuration())
    with running(path, "tiny") as environment:
        yield environment


@pytest.fixture
def rollout(system: Environment) -> Iterator[Rollout]:
    """The api with version 1.0-again beside it, and the old version alone afterwards."""
    rollout = system.rollout("api")
    rollout.start("1.0-again")
    try:
        yield rollout
    finally:
        rollout.share("1.0-again", 0.0)
        rollout.stop()


class Client:
    """One connection that stays open, as the load driver's do."""

    def __init__(self, environment: Environment) -> None:
        self._connection = http.client.HTTPConnection(environment.base_url("api").removeprefix("http://"), timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, headers: dict[str, str] | None = None, path: str = "/pay") -> int:
        self._connection.request("POST", path, body=b"{}", headers=headers or {})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def ask_once(environment: Environment, headers: dict[str, str] | None = None) -> int:
    with Client(environment) as client:
        return client.ask(headers)


@pytest.fixture
def client(system: Environment) -> Iterator[Client]:
    with Client(system) as client:
        yield client


def logged(rollout: Rollout, prefix: str, number: int, *, path: str = "") -> list[Routed]:
    """The lines of one test's arrivals, once ``number`` are there."""

    def probe() -> list[Routed] | Not:
        lines = rollout.log().read()
        lines = [line for line in lines if line.arrival.startswith(prefix) and line.path.startswith(path)]
        return lines if len(lines) >= number else Not(f"{len(lines)} lines")

    return wait_for(probe, what=f"{number} lines of {prefix}", within_s=5)


def test_the_shares_are_those_configured(client: Client, rollout: Rollout) -> None:
    for share in (0.05, 0.5):
        rollout.share("1.0-again", share)
        for number in range(400):
            client.ask({ARRIVAL_HEADER: f"shares{share}-{number}"})

        versions = Counter(line.version for line in logged(rollout, f"shares{share}-", 400))

        assert sum(versions.values()) == 400
        assert share_kept(versions["1.0-again"], 400, share), versions


@pytest.mark.parametrize("header", [ARRIVAL_HEADER, "Idempotency-Key"])
def test_what_went_to_the_new_version_stays_there_while_its_share_grows(
    client: Client, rollout: Rollout, header: str
) -> None:
    before: set[int] = set()
    for step, share in enumerate((0.1, 0.3, 0.6, 1.0)):
        rollout.share("1.0-again", share)
        for number in range(100):
            client.ask({header: f"sticky-{number}"}, f"/{header}/{step}/{number}")
        lines = logged(rollout, "", 100, path=f"/{header}/{step}/")
        now = {int(line.path.rpartition("/")[2]) for line in lines if line.version == "1.0-again"}
        assert before <= now
        before = now
    assert len(before) == 100


def test_no_request_fails_while_weights_change_and_each_goes_by_the_weights_it_states(
    system: Environment, rollout: Rollout
) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def load(name: int) -> None:
        with Client(system) as client:
            for number in itertools.count():
                if stop.is_set():
                    return
                statuses.append(client.ask({ARRIVAL_HEADER: f"change{name}-{number}"}))

    threads = [threading.Thread(target=load, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    taken = [rollout.share("1.0-again", share) for share in (0.0, 1.0) * 15]
    stop.set()
    for thread in threads:
        thread.join()
    lines = logged(rollout, "change", len(statuses))

    assert set(statuses) == {200}
    assert len(lines) == len(statuses)
    assert len({weights.number for weights in taken}) == 30
    for line in lines:
        if line.number >= taken[0].number:
            assert line.version == ("1.0-again" if line.share == 1.0 else "1.0")


def test_what_starts_after_the_call_goes_by_the_new_weights(client: Client, rollout: Rollout) -> None:
    for number in range(20):
        weights = rollout.share("1.0-again", float(number % 2))
        client.ask({ARRIVAL_HEADER: f"after-{number}-{weights.number}"})

    for line in logged(rollout, "after-", 20):
        assert line.arrival.rpartition("-")[2] == str(line.number)


def test_the_system_never_sees_the_name_of_an_arrival_and_the_log_never_holds_a_key(
    system: Environment, rollout: Rollout
) -> None:
    ask_once(system, {ARRIVAL_HEADER: "secret-1", "Idempotency-Key": "k-very-secret", "Authorization": "Bearer tok"})

    (line,) = logged(rollout, "secret-", 1)

    text = Path(system.directory / "api.router.jsonl").read_text()
    assert line.status == 200
    assert "k-very-secret" not in text
    assert "tok" not in text.replace("/", "")


def test_each_line_names_version_digest_and_instance(system: Environment, rollout: Rollout) -> None:
    rollout.share("1.0-again", 1.0)
    ask_once(system, {ARRIVAL_HEADER: "digest-1"})

    (line,) = logged(rollout, "digest-", 1)

    assert line.version == "1.0-again"
    assert line.digest == rollout.digest("1.0-again") != rollout.digest("1.0")
    assert line.host == system.instances()["api@1.0-again"].address


def test_the_fingerprint_tells_when_a_second_version_runs_and_is_equal_afterwards(system: Environment) -> None:
    rollout = system.rollout("api")
    before = system.fingerprint_now()

    rollout.start("1.0-again")
    during = system.fingerprint_now()
    rollout.stop()

    assert during != before
    assert system.fingerprint_now() == before == system.fingerprint
    assert system.verify_served() == ()


def test_a_promoted_version_serves_under_the_components_name_and_a_reset_takes_it_back(system: Environment) -> None:
    rollout = system.rollout("api")
    rollout.start("1.0-again")
    rollout.share("1.0-again", 1.0)
    assert rollout.drained("1.0")
    rollout.promote()
    system.accept_fingerprint()

    assert rollout.serving == "1.0-again"
    assert system.instance("api").component == "api"
    assert system.processes("api")
    assert "api@1.0-again" not in system.instances()
    assert system.verify_served() == ()
    assert ask_once(system) == 200

    system.reset()
    assert rollout.serving == "1.0"
    assert ask_once(system) == 200
    assert system.verify_served() == ()


def test_a_router_that_dies_comes_back_with_the_weights_it_had(system: Environment, rollout: Rollout) -> None:
    rollout.share("1.0-again", 1.0)
    (pid,) = system._backend.processes("api.router")

    os.kill(pid, signal.SIGKILL)
    system.heal(20)
    status = wait_for(lambda: _asked(system), what="an answer", within_s=10, every_s=0.05)
    rollout.share("1.0-again", 1.0)
    ask_once(system, {ARRIVAL_HEADER: "back-1"})

    assert status == 200
    assert [line.version for line in logged(rollout, "back-", 1)] == ["1.0-again"]


def _asked(system: Environment) -> int | Not:
    try:
        return ask_once(system)
    except OSError as error:
        return Not(str(error))


def test_a_version_that_does_not_start_is_told_with_its_last_words_and_leaves_nothing(system: Environment) -> None:
    before = sorted(system.instances())

    with pytest.raises(UserError, match="no licence"):
        system.rollout("api").start("3.0-dies")

    assert sorted(system.instances()) == before
    assert system.fingerprint_now() == system.fingerprint


@pytest.mark.parametrize(
    ("component", "version", "words"),
    [
        ("api", "9", "no version '9'"),
        ("api", "1.0", "runs already"),
        ("store", "1.0", "fewer than two versions"),
        ("apo", "1.0", "did you mean 'api'"),
    ],
)
def test_what_cannot_be_released_is_told(system: Environment, component: str, version: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        system.rollout(component).start(version)


def test_without_envoy_versions_are_no_hindrance_and_rollout_is_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINCHAOS_ENVOY", "none")
    path = tmp_path / "finchaos.toml"
    path.write_text(versioned_configuration())

    with running(path, "tiny") as environment:
        assert ask_once(environment) == 200
        assert sorted(environment.instances()) == ["api", "store"]
        with pytest.raises(UserError, match="rollout not available: FINCHAOS_ENVOY=none hides Envoy"):
            environment.rollout("api")


def test_an_environment_without_versions_has_no_router(tmp_path: Path) -> None:
    path = tmp_path / "finchaos.toml"
    path.write_text(tiny_configuration())

    with running(path, "tiny") as environment:
        assert sorted(environment.instances()) == ["api", "store"]
        assert environment.routed == ()
        assert environment.edge("clients", "api").upstream == environment.instance("api").address


def test_the_notes_of_an_environment_name_the_router_or_why_there_is_none(
    system: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(note.startswith("router: Envoy 1.") and note.endswith("in front of api") for note in system.notes)

    monkeypatch.setenv("FINCHAOS_ENVOY", "none")
    path = tmp_path / "finchaos.toml"
    path.write_text(versioned_configuration())
    with running(path, "tiny") as environment:
        assert "rollout not available: FINCHAOS_ENVOY=none hides Envoy" in environment.notes
