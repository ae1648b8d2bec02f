"""Content-addressed, read-only copies of a component's build."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.files import cache_directory

_SKIPPED = ("__pycache__", ".git", ".mypy_cache", ".ruff_cache")
MAX_FILES = 20_000


@dataclass(frozen=True, slots=True)
class Build:
    """A build that is ready to start.

    Args:
        digest: sha256 hex over relative path, executable bit and content of every file.
        folder: The read-only copy; "" as digest and no folder for a component without build.
    """

    digest: str
    folder: Path | None


def digest_of(paths: Sequence[Path]) -> str:
    """The digest of files and folders as they are now.

    Raises:
        UserError: A path does not exist, or there are too many files.
    """
    total = hashlib.sha256()
    for relative, path in _files(paths):
        executable = bool(path.stat().st_mode & 0o111)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{relative}\0{int(executable)}\0{content}\n".encode())
    return total.hexdigest()


def prepare(paths: Sequence[Path]) -> Build:
    """Copy the build into the cache unless an intact copy is there already.

    Returns:
        The build; its folder holds each path under its own name.
    """
    if not paths:
        return Build("", None)
    digest = digest_of(paths)
    root = cache_directory() / "builds"
    root.mkdir(mode=0o711, exist_ok=True)
    target = root / digest
    if target.exists():
        if intact(target, digest):
            return Build(digest, target)
        _remove(target)
    temporary = Path(tempfile.mkdtemp(dir=root, prefix=".new-"))
    for relative, path in _files(paths):
        copy = temporary / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o555 if path.stat().st_mode & 0o111 else 0o444)
    for folder in (temporary, *(path for path in temporary.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    temporary.chmod(0o755)
    try:
        temporary.rename(target)
    except OSError:  # another process was first: the same content under the same name
        _remove(temporary)
    target.chmod(0o555)
    return Build(digest, target)


def intact(folder: Path, digest: str) -> bool:
    """True when the copy still has the content that its name promises."""
    try:
        return digest_of(sorted(folder.iterdir())) == digest
    except (OSError, UserError):
        return False


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """(relative name, file) of every file, in a fixed order."""
    found: list[tuple[str, Path]] = []
    for path in paths:
        if not path.exists():
            raise UserError("build", f"{path} does not exist", cure="paths are relative to finchaos.toml")
        if path.is_file():
            found.append((path.name, path))
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = [name for name in folders if name not in _SKIPPED]
            found.extend(
                (str(Path(path.name) / Path(folder, name).relative_to(path)), Path(folder, name))
                for name in names
                if not name.endswith(".pyc")
            )
        if len(found) > MAX_FILES:
            raise UserError(
                "build", f"{path} holds more than {MAX_FILES} files", cure="name the folders that are the build"
            )
    yield from sorted(found)


def _remove(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
