"""Copies of trees: equal again by writing only what differs; passable folders; logs within bounds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finchaos.environments.folders import manifest, passable, restore
from pytest_finchaos.environments.hashing import file_digest
from pytest_finchaos.environments.tail import bound, tail


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target


def content(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    source = tree(tmp_path / "s", {"a": "1", "b/c": "2", "b/d": "3"})
    target = copied(source, tmp_path / "t")
    assert restore(source, target) == 0
    untouched = (target / "a").stat().st_ino
    (target / "b" / "c").write_text("longer")
    (target / "stray").write_text("x")
    (target / "b" / "d").unlink()
    assert restore(source, target) == 3
    assert content(target) == content(source)
    assert manifest(target) == manifest(source)
    assert (target / "a").stat().st_ino == untouched


def test_a_file_of_equal_size_written_later_is_a_difference(tmp_path: Path) -> None:
    source = tree(tmp_path / "s", {"a": "1"})
    os.utime(source / "a", ns=(1, 1))
    target = copied(source, tmp_path / "t")
    (target / "a").write_text("2")
    assert manifest(target) != manifest(source)
    restore(source, target)
    assert content(target) == {"a": "1"}


NAMES = st.sampled_from(["a", "b", "d/a", "d/e/f", "z"])
TREES = st.dictionaries(NAMES, st.text(alphabet="xyz", max_size=3), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=TREES, found=TREES)
def test_whatever_was_done_to_a_copy_it_is_equal_again(
    tmp_path: Path, wanted: dict[str, str], found: dict[str, str]
) -> None:
    for name in ("s", "t"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        (tmp_path / name).mkdir()
    source, target = tree(tmp_path / "s", wanted), tree(tmp_path / "t", found)
    restore(source, target)
    assert content(target) == content(source)
    assert manifest(target) == manifest(source)


def test_links_and_empty_folders_come_back(tmp_path: Path) -> None:
    source = tree(tmp_path / "s", {"a": "1"})
    (source / "empty").mkdir()
    (source / "link").symlink_to("a")
    target = copied(source, tmp_path / "t")
    (target / "empty").rmdir()
    (target / "link").unlink()
    restore(source, target)
    assert (target / "empty").is_dir()
    assert (target / "link").readlink() == Path("a")


def test_a_passable_folder_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert passable(tmp_path / "x").stat().st_mode & 0o777 == 0o711
    finally:
        os.umask(before)


def test_a_digest_is_taken_again_when_the_file_was_changed_and_its_times_set_back(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("one")
    times = file.stat()
    first = file_digest(file)
    file.write_text("two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file_digest(file) != first


def test_a_log_is_cut_to_its_end_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"".join(b"line %04d\n" % number for number in range(1000)))
        assert not bound(str(log), limit_bytes=20_000, kept_bytes=100)
        assert bound(str(log), limit_bytes=5_000, kept_bytes=100)
        writer.write(b"after\n")
    text = log.read_text()
    assert text.startswith("[cut: 9900 bytes")
    assert text.endswith("line 0999\nafter\n")
    assert tail(str(log), lines=2) == "line 0999 | after"
    assert tail(str(tmp_path / "none")) == ""


@pytest.mark.parametrize("name", ["none", "folder"])
def test_a_log_that_cannot_be_cut_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert not bound(str(tmp_path / name), limit_bytes=10**9)
