"""Carries out undo records alone: standard library only, idempotent, each within two seconds."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pytest_finchaos.runtime.undo import UndoRecord

SOCKET_TIMEOUT_S = 1.0  # to connect, and again to answer: two seconds in all
GONE = 404


class UndoFailed(OSError):
    """An undo that was tried and did not succeed: which one, and why."""


def carry_out(record: UndoRecord) -> None:
    """Undo one act; done before, or never done, counts as done.

    Args:
        record: ``remove-toxic`` {url, proxy, toxic}, ``enable-proxy`` {url, proxy}, ``delete-proxy`` {url, proxy} or
            ``continue-process`` {pid, started_ticks, tree?}: with ``tree`` true every descendant is continued too.

    Raises:
        UndoFailed: When the server cannot be reached (save one on loopback that has ended) or refuses, or the record
            is malformed or of an unknown kind.
    """
    try:
        arguments = record.arguments
        if record.kind == "remove-toxic":
            path = f"/proxies/{_quoted(arguments['proxy'])}/toxics/{_quoted(arguments['toxic'])}"
            _call(arguments["url"], "DELETE", path)
        elif record.kind == "enable-proxy":
            _call(arguments["url"], "POST", f"/proxies/{_quoted(arguments['proxy'])}", {"enabled": True})
        elif record.kind == "delete-proxy":
            _call(arguments["url"], "DELETE", f"/proxies/{_quoted(arguments['proxy'])}")
        elif record.kind == "continue-process":
            _continue(int(arguments["pid"]), int(arguments["started_ticks"]), tree=bool(arguments.get("tree")))
        else:
            raise UndoFailed(f"{record.id}: nothing is known of undoing {record.kind!r}")
    except UndoFailed:
        raise
    except ConnectionRefusedError as error:
        if not _is_loopback(str(record.arguments.get("url", ""))):
            raise UndoFailed(f"{record.id}: {error}") from None
        return  # nobody listens on this machine's port: the server ended, and what it held in memory with it
    except (OSError, http.client.HTTPException) as error:
        raise UndoFailed(f"{record.id}: {error or type(error).__name__}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UndoFailed(f"{record.id}: malformed record: {error!r}") from None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _quoted(name: Any) -> str:
    return quote(str(name), safe="")


def _call(url: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 8474, timeout=SOCKET_TIMEOUT_S)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", "User-Agent": "finchaos-undo"})
        response = connection.getresponse()
        text = response.read(500).decode("utf-8", "replace").strip()
    finally:
        connection.close()
    if response.status != GONE and not 200 <= response.status < 300:
        raise OSError(f"{method} {url}{path}: status {response.status}: {text}")


def started_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (``/proc/PID/stat`` field 22), None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])  # the name before it may hold blanks and brackets


def descendants(pid: int) -> tuple[int, ...]:
    """Every living process below ``pid``, parents first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return tuple(found)


def _continue(pid: int, ticks: int, *, tree: bool) -> None:
    if started_ticks(pid) != ticks:
        return  # it has ended; whoever has its number now is someone else
    for each in (pid, *(descendants(pid) if tree else ())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGCONT)
