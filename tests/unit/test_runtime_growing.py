"""What others append is read once, whole lines only, and a pipe is never waited for."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_finchaos.runtime.growing import GrowingFile, chunks


def test_a_file_that_does_not_exist_yet_has_nothing_and_may_come(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = GrowingFile(path)
    assert (file.read(), file.lines()) == (b"", [])

    path.write_bytes(b"one\n")

    assert file.lines() == [b"one"]
    assert file.lines() == []


def test_a_line_that_is_not_whole_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    file = GrowingFile(path)
    assert file.lines() == [b"one"]

    with path.open("ab") as more:
        more.write(b"o\n\nthree\n")

    assert file.lines() == [b"two", b"", b"three"]


def test_a_pipe_gives_what_it_holds_and_does_not_wait() -> None:
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    with os.fdopen(readable, "rb", buffering=0) as pipe:
        assert list(chunks(pipe)) == []
        os.write(writable, b"told")
        assert list(chunks(pipe)) == [b"told"]
        os.close(writable)
        assert list(chunks(pipe)) == []
    assert list(chunks(pipe)) == []
