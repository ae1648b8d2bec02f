"""The host lease: never more holders than slots, released by death, a deadline that names who holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.leases import slots_of_host, take

HOLDER = """
import sys
from pathlib import Path
from pytest_finchaos.runtime.leases import take
lease = take("the other drill", folder=Path(sys.argv[1]), slots=1)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_slot_is_held_by_one_at_a_time_and_given_back(tmp_path: Path) -> None:
    first = take("first", folder=tmp_path, slots=1)
    with pytest.raises(UserError, match="first"):
        take("second", folder=tmp_path, slots=1, within_s=0.0)
    first.release()
    first.release()
    second = take("second", folder=tmp_path, slots=1, within_s=0.0)
    assert second.slots == 1
    second.release()


def test_as_many_hold_at_once_as_there_are_slots(tmp_path: Path) -> None:
    held = [take(f"drill {number}", folder=tmp_path, slots=2, within_s=0.0) for number in range(2)]
    with pytest.raises(UserError, match=r"drill 0.*drill 1") as told:
        take("third", folder=tmp_path, slots=2, within_s=0.0)
    assert "FINCHAOS_SLOTS" in str(told.value)
    for lease in held:
        lease.release()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"held\n"
    told: list[str] = []
    with pytest.raises(UserError, match="the other drill"):
        take("mine", folder=tmp_path, slots=1, within_s=0.1, tell=told.append)
    assert len(told) == 1  # at once, then every 15 s
    assert f"process {process.pid}" in told[0]

    process.kill()
    process.wait(10)
    process.stdin.close()
    process.stdout.close()

    take("mine", folder=tmp_path, slots=1, within_s=5.0).release()


def test_a_child_of_the_holder_does_not_keep_the_slot(tmp_path: Path) -> None:
    lease = take("parent", folder=tmp_path, slots=1)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False
    )
    lease.release()
    take("next", folder=tmp_path, slots=1, within_s=10.0).release()  # exec closes descriptors a moment after it began
    child.communicate(b"", timeout=10)


def test_the_setting_overrides_half_of_the_cores() -> None:
    assert slots_of_host({}) >= 1
    assert slots_of_host({"FINCHAOS_SLOTS": "3"}) == 3
    for wrong in ("0", "-1", "many", "65", "1.5"):
        with pytest.raises(UserError, match="FINCHAOS_SLOTS"):
            slots_of_host({"FINCHAOS_SLOTS": wrong})


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="FINCHAOS_CACHE"):
        take("mine", folder=tmp_path / "file", slots=1)
