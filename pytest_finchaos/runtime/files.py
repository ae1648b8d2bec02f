"""The one way to write a file: temporary file, fsync, rename; and append-only lines."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Replace ``path`` with ``content`` so that a reader sees the old or the new, never a part.

    Args:
        path: Target file; its folder must exist.
        content: Bytes, or text written as UTF-8.
        mode: Permission bits of the new file.

    Raises:
        OSError: As the system says.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def append_line(path: Path, line: str, *, durable: bool = False) -> None:
    """Append one line in one write; ``durable`` adds an fsync before returning.

    A last line that a crash left torn is ended first, so that it does not swallow the new one.

    Raises:
        OSError: As the system says; also when it took a part of the line only (disk full).
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        data = b"\n" * torn + line.encode() + b"\n"
        if (written := os.write(handle, data)) != len(data):
            raise OSError(errno.EIO, f"only {written} of {len(data)} bytes of a line were written", str(path))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def cache_directory() -> Path:
    """The cache outside the checkout: root ``/var/cache/finchaos``, a user ``$XDG_CACHE_HOME/finchaos``; mode 0711.

    ``FINCHAOS_CACHE`` overrides it. Created when missing; 0711 so that an unprivileged PostgreSQL can pass through.
    """
    named = os.environ.get("FINCHAOS_CACHE")
    if named:
        path = Path(named)
    elif os.geteuid() == 0:
        path = Path("/var/cache/finchaos")
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finchaos"
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    if path.stat().st_uid == os.geteuid():
        path.chmod(0o711)
    return path
