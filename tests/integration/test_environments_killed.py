"""SIGKILL of an environment's owner: nothing is left, and the check that says so finds what is left without a supervisor."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_finchaos.environments import janitor, tagged
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for
from tests.systems.environments import data_of, owner_process, start_owner, traces, wait_until_gone, write_one

# Forks twice into a session of its own, deaf to SIGTERM and without a tag in its variables, then serves.
RUDE = (
    '["/bin/sh", "-c", "(trap \'\' TERM HUP INT; setsid env -i sleep 600 &) ; '
    'exec {python} -m http.server {port} --bind 127.0.0.1"]'
)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another run's sweep must not do what is to be seen here; outside tmp_path, which no other user may enter."""
    cache = Path(tempfile.mkdtemp(prefix="finchaos-test-", dir="/var/tmp"))
    cache.chmod(0o711)
    monkeypatch.setenv("FINCHAOS_CACHE", str(cache))
    yield
    for process in psutil.process_iter():  # not by the code under test: when that is broken, its survivors are many
        try:
            if process.cwd().startswith(str(cache)):
                process.kill()
        except psutil.Error:
            continue
    shutil.rmtree(cache, ignore_errors=True)


def test_a_killed_owner_leaves_no_process_no_busy_backend_and_no_folder(tmp_path: Path) -> None:
    write_one(tmp_path, command=RUDE)
    owner = start_owner(tmp_path)
    assert owner.busy in tagged.pids_of(owner.id, data_of(owner.id)), "the check sees what hides from the tag"
    assert traces(owner.id)
    owner.process.kill()
    owner.process.communicate()
    wait_until_gone(owner.id)
    assert not tagged.lives(owner.busy)


def test_without_its_supervisor_the_same_check_finds_survivors_and_a_sweep_removes_them(tmp_path: Path) -> None:
    write_one(tmp_path, command=RUDE)
    owner = start_owner(tmp_path)
    tagged.send(owner.supervisor, signal.SIGKILL)
    owner.process.kill()
    owner.process.communicate()
    try:
        with pytest.raises(Waited, match=f"process {owner.busy}"):
            wait_until_gone(owner.id)
    finally:
        swept = janitor.sweep()
    assert owner.id in swept.environments
    assert swept.problems == ()
    wait_until_gone(owner.id)


def test_an_owner_killed_while_the_database_template_is_made_leaves_nothing(tmp_path: Path) -> None:
    write_one(tmp_path, schema=f"select '{tmp_path}'; select pg_sleep(30);")  # a template that nobody has made yet
    before = {path.name for path in janitor.environments_folder().iterdir()}
    process = owner_process(tmp_path)

    def making() -> str | Not:
        for data in janitor.environments_folder().glob("one-*"):
            if data.name not in before and list(data.glob("template-db/data/postmaster.pid")):
                return data.name
        return Not("no server of a template")

    environment = wait_for(making, what="the template to be made", within_s=60)
    assert traces(environment)
    process.kill()
    process.communicate()
    wait_until_gone(environment)


def test_a_lease_is_never_seen_free_while_its_owner_lives() -> None:
    mine = janitor.environments_folder() / "mine-0000"
    mine.mkdir()
    assert janitor.sweep().environments == (), "being made: not ours to remove"
    assert mine.exists()
    lease = janitor.take_lease(mine)
    assert janitor.sweep().environments == ()
    os.close(lease)
    assert janitor.sweep().environments == ("mine-0000",)
    assert not mine.exists()
