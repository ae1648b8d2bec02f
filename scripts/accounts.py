"""A temporary unprivileged account for `make fresh-check`, and which processes belong to whom; Linux, root only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

GONE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine."""

    name: str
    uid: int
    gid: int
    home: Path


def create(home: Path) -> Account:
    """A new user with a group of its own; a real one, since PostgreSQL looks its name up."""
    if shutil.which("useradd") is None:
        raise SystemExit("fresh-check: useradd is missing\n  next: apt-get install passwd")
    name = f"finchaos{os.getpid()}"
    command = [
        "useradd",
        "--create-home",
        "--home-dir",
        str(home),
        "--user-group",
        "--no-log-init",
        "--shell",
        "/bin/sh",
    ]
    subprocess.run([*command, name], check=True, stdin=subprocess.DEVNULL)
    entry = pwd.getpwnam(name)
    home.chmod(0o700)
    return Account(name, entry.pw_uid, entry.pw_gid, home)


def remove(account: Account) -> None:
    """End what the account still runs, by process id, then remove it by name."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while (left := _pids_of(account.uid)) and time.monotonic() < deadline_s:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    for entry in Path(tempfile.gettempdir()).iterdir():  # what its programs left in the shared temporary folder
        if entry.lstat().st_uid == account.uid:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    subprocess.run(["userdel", "--remove", account.name], check=False, capture_output=True, stdin=subprocess.DEVNULL)


def give(folder: Path, account: Account) -> None:
    """Make the account the owner of a folder and of all in it."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)


def processes_of(uid: int) -> list[str]:
    """The processes of a user, one line each."""
    return [_describe(pid) for pid in _pids_of(uid)]


def processes_with(variable: str, value: str) -> list[str]:
    """The processes that were started with an environment variable of this value, one line each."""
    wanted = f"{variable}={value}".encode()
    return [_describe(pid) for pid in _pids() if wanted in _content(pid, "environ").split(b"\0")]


def _pids() -> list[int]:
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()
    ]


def _pids_of(uid: int) -> list[int]:
    """Living processes only: a zombie waits for its parent and cannot be ended."""
    found = []
    for pid in _pids():
        status = dict(
            line.split(":", 1) for line in _content(pid, "status").decode(errors="replace").splitlines() if ":" in line
        )
        if status.get("Uid", "").split()[:1] == [str(uid)] and not status.get("State", "").strip().startswith("Z"):
            found.append(pid)
    return found


def _describe(pid: int) -> str:
    words = _content(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return f"{pid} {words[:160]}"


def _content(pid: int, name: str) -> bytes:
    """A file of a process; empty when the process is gone or another's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
