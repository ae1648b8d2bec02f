"""Content-addressed, read-only copies of a component's build."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments.folders import passable
from pytest_finchaos.environments.hashing import file_digest
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.files import cache_directory

_SKIPPED = ("__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache")
MAX_FILES = 20_000
NEW = ".new-"  # prefix of a copy that is being made; a sweep removes old ones


@dataclass(frozen=True, slots=True)
class Build:
    """A build that is ready to start.

    Args:
        digest: sha256 hex over relative path, executable bit and content of every file; "" for a component without.
        folder: The read-only copy, or None.
    """

    digest: str
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a build.

    Args:
        name: Path within the build.
        path: Where it is.
        link: Where it leads when it is a link that stays within the build, else "".
    """

    name: str
    path: Path
    link: str = ""


def digest_of(paths: Sequence[Path]) -> str:
    """The digest of files and folders as they are now.

    Raises:
        UserError: A path does not exist, is no file or folder, cannot be read, or there are too many files.
    """
    return _digest(tuple(_entries(paths)))


def _digest(entries: Sequence[Entry]) -> str:
    total = hashlib.sha256()
    for entry in entries:
        try:
            if entry.link:
                total.update(f"{entry.name}\0link\0{entry.link}\n".encode())
                continue
            executable = bool(entry.path.stat().st_mode & 0o111)
            total.update(f"{entry.name}\0{int(executable)}\0{file_digest(entry.path)}\n".encode())
        except OSError as error:
            raise UserError("build", f"{entry.path} cannot be read: {error}") from None
    return total.hexdigest()


def prepare(paths: Sequence[Path]) -> Build:
    """Copy the build into the cache unless an intact copy is there already.

    Returns:
        The build; its folder holds each path under its own name.

    Raises:
        UserError: As `digest_of`; or the build changed while it was copied.
    """
    if not paths:
        return Build("", None)
    entries = tuple(_entries(paths))
    digest = _digest(entries)
    root = passable(cache_directory() / "builds")
    target = root / digest
    if target.exists():
        if intact(target, digest):
            return Build(digest, target)
        _set_aside(target)
    temporary = Path(tempfile.mkdtemp(dir=root, prefix=NEW))
    _copy(entries, temporary)
    if not intact(temporary, digest):
        _remove(temporary)
        raise UserError("build", f"{paths[0]} changed while it was copied", cure="run again when it is at rest")
    temporary.chmod(0o755)
    try:
        temporary.rename(target)
        target.chmod(0o555)
    except OSError:  # another process was first: the same content under the same name
        _remove(temporary)
    return Build(digest, target)


def _copy(entries: Sequence[Entry], into: Path) -> None:
    for entry in entries:
        copy = into / entry.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if entry.link:
            copy.symlink_to(entry.link)
            continue
        shutil.copyfile(entry.path, copy)
        copy.chmod(0o555 if entry.path.stat().st_mode & 0o111 else 0o444)
    for folder in (into, *(path for path in into.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o555)


def intact(folder: Path, digest: str) -> bool:
    """True when the copy still has the content that its name promises."""
    try:
        return digest_of(sorted(folder.iterdir())) == digest
    except (OSError, UserError):
        return False


def _entries(paths: Sequence[Path]) -> Iterator[Entry]:
    """Every file of a build, in a fixed order."""
    found: dict[str, Entry] = {}
    for path in paths:
        if not path.exists():
            raise UserError("build", f"{path} does not exist", cure="paths are relative to finchaos.toml")
        for entry in _walk(path) if path.is_dir() else [Entry(path.name, path)]:
            if entry.name in found:
                raise UserError("build", f"two files would be {entry.name}: {found[entry.name].path} and {entry.path}")
            found[entry.name] = entry
        if len(found) > MAX_FILES:
            raise UserError(
                "build", f"{path} holds more than {MAX_FILES} files", cure="name the folders that are the build"
            )
    yield from (found[name] for name in sorted(found))


def _walk(root: Path) -> Iterator[Entry]:
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in (*names, *links):
            if not name.endswith(".pyc"):
                yield _entry(root, Path(place, name))


def _entry(root: Path, path: Path) -> Entry:
    name = str(Path(root.name) / path.relative_to(root))
    if path.is_symlink():
        text = str(path.readlink())
        if not os.path.isabs(text) and path.exists() and path.resolve().is_relative_to(root.resolve()):  # noqa: PTH117 - text, not a file
            return Entry(name, path, text)
    if not path.is_file():
        what = "a link that leads out of the build or nowhere" if path.is_symlink() else "no file"
        raise UserError("build", f"{path} is {what}", cure="put what the component needs into the build")
    return Entry(name, path)


def _set_aside(folder: Path) -> None:
    """Take a damaged copy out of the way, then remove it."""
    aside = folder.with_name(f"{NEW}damaged-{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.chmod(0o755)
        folder.rename(aside)
    _remove(aside)


def _remove(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
