"""Looks at this host: kernel, limits, cores, cache folder, what dead runs left."""

from __future__ import annotations

import ctypes
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pytest_finchaos.cli.machine import Program
from pytest_finchaos.environments import tagged
from pytest_finchaos.runtime.files import cache_directory
from pytest_finchaos.runtime.waiting import Not, Waited, wait_for

LANDLOCK_CREATE_RULESET = 444  # one number on every architecture
VERSION_FLAG = 1
MB = 1024 * 1024
SEEN_WITHIN_S = 5.0


def landlock_abi() -> int:
    """The kernel's Landlock ABI, 0 without one (``landlock_create_ruleset(2)`` with the version flag)."""
    if sys.platform != "linux":
        return 0
    abi: int = ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION_FLAG)
    return max(0, abi)


def open_files() -> tuple[int, int]:
    """Soft and hard limit of open files."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def cores(root: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores that this process may use: affinity, cut by the quota of its control group (version 2)."""
    usable = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = (root / "cpu.max").read_text().split()[:2]
        return usable if quota == "max" else min(usable, int(quota) / int(period))
    except (OSError, ValueError):
        return usable


def cache() -> tuple[Program, int]:
    """The cache folder, and free space there in MB."""
    try:
        folder = cache_directory()
        trial = folder / f".doctor-{secrets.token_hex(4)}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        return Program(problem=str(error)), 0
    free_mb = shutil.disk_usage(folder).free // MB
    closed = closed_above(folder) if os.geteuid() == 0 else None
    if closed is not None:
        problem = f"{folder} is below {closed}, which PostgreSQL's unprivileged user cannot enter"
        return Program(problem=problem), free_mb
    return Program(str(folder)), free_mb


def closed_above(folder: Path) -> Path | None:
    """The first folder on the way to ``folder`` that others may not pass."""
    for place in reversed([folder, *folder.resolve().parents]):
        if not place.stat().st_mode & 0o001:
            return place
    return None


def ends_processes() -> str:
    """Start a process with a tag, find it by the tag, end it by pidfd: "" when that works, else why not."""
    tag = f"doctor-{secrets.token_hex(6)}"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"],
        stdin=subprocess.DEVNULL,
        env={tagged.TAG: tag},
    )
    try:
        unseen = Not("not found")
        wait_for(lambda: process.pid in tagged.pids_of(tag) or unseen, what="its tag", within_s=SEEN_WITHIN_S)
        if not tagged.send(process.pid, signal.SIGKILL):
            return "a process of our own could not be signalled through a pidfd"
        process.wait(SEEN_WITHIN_S)
    except Waited:
        return "a process of our own is not found by its environment variables in /proc"
    except subprocess.TimeoutExpired:
        return "a process of our own did not end by SIGKILL"
    finally:
        with suppress(OSError):
            process.kill()
        process.wait()
    return ""


def ptrace_scope(path: Path = Path("/proc/sys/kernel/yama/ptrace_scope")) -> int | None:
    """Yama's setting, None where there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def leftovers() -> tuple[str, ...]:
    """What dead runs left, one line each; nothing is touched."""
    from pytest_finchaos.cli.leftovers import look

    try:
        return tuple(one.describe() for one in look().dead)
    except OSError:  # the cache is not there: that has a finding of its own
        return ()
