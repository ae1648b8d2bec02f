"""The child process from its drill's side: what it is given, its output, its end and that of all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_finchaos.experiments.redaction import redact_text
from pytest_finchaos.runtime.growing import chunks

KEPT = ("PATH", "LANG", "LANGUAGE", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")
MOST_LOG = 2_000_000
LEFT_WITHIN_S = 5.0


def variables(
    caller: Mapping[str, str], document: Mapping[str, Any], *, home: Path, handed_on: Iterable[str], kubeconfig: str
) -> dict[str, str]:
    """The environment variables of the child: nothing of the caller's but what is harmless or named by the file.

    Args:
        caller: The caller's variables.
        document: The experiment; what its ``configuration`` and ``secrets`` take from the environment is handed on.
        home: Its HOME.
        handed_on: Further names, from the extension.
        kubeconfig: Path of the one that it may use, or "".
    """
    named = {*KEPT, *handed_on, *taken_from_environment(document.get("configuration"))}
    named.update(taken_from_environment(document.get("secrets")))
    kept = {name: value for name, value in caller.items() if name in named or name.startswith("LC_")}
    ours = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "KUBECONFIG": kubeconfig or str(home / "no-kubeconfig"),
        "PYTHONUNBUFFERED": "1",
    }
    return kept | ours


def taken_from_environment(section: Any) -> tuple[str, ...]:
    """Names of the variables that a section reads: ``{type: env, key: NAME}``, however deep."""
    if not isinstance(section, Mapping):
        return ()
    if section.get("type") == "env" and isinstance(section.get("key"), str):
        return (section["key"],)
    return tuple(name for value in section.values() for name in taken_from_environment(value))


class ChildProcess:
    """A running child; made by giving it its order.

    Args:
        order: File with the order.
        environment: Its variables.
        folder: Where it runs.
        log: Where its output goes, redacted.
    """

    def __init__(self, order: Path, *, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self._log, self._written = log, 0
        self._secrets: tuple[str, ...] = ()
        self._pending = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_finchaos.experiments.child", str(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit status; negative for a signal."""
        return self._process.poll()

    def hide(self, values: Sequence[str]) -> None:
        """Replace these values in its output from now on."""
        self._secrets = tuple(values)

    def hidden(self, text: str) -> str:
        """``text`` without the values that `hide` was given."""
        return redact_text(text, self._secrets)

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: whoever looks at its exit status says so
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()

    def interrupt(self) -> None:
        """Ask it to end, with rollbacks. SIGINT: Chaos Toolkit 1.44 swallows SIGTERM while a Python activity runs."""
        if self.alive:
            self._process.send_signal(signal.SIGINT)

    def read(self) -> None:
        """Move its output to the log, whole lines only, until the log is full."""
        assert self._process.stdout is not None
        for data in chunks(self._process.stdout):
            *lines, self._pending = (self._pending + data).split(b"\n")
            self._write(lines)
            if len(self._pending) > MOST_LOG:
                self._pending = b""

    def _write(self, lines: Sequence[bytes]) -> None:
        if not lines or self._written > MOST_LOG:
            return
        text = "".join(self.hidden(line.decode(errors="replace")) + "\n" for line in lines)
        self._written += len(text)
        if self._written > MOST_LOG:
            text += "… the rest is not kept\n"
        with self._log.open("a", encoding="utf-8") as log:
            log.write(text)

    def last_words(self) -> str:
        """The last line of its log."""
        if not self._log.exists():
            return ""
        lines = [line for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else ""

    def end(self) -> list[int]:
        """Kill it if it lives, and everything that it left behind in its session; idempotent.

        Returns:
            Pids of what it had left behind.
        """
        left = [pid for pid in session_members(self.pid) if pid != self.pid]
        for pid in (*left, *((self.pid,) if self.alive else ())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=LEFT_WITHIN_S)
        self.read()
        if self._pending:
            self._write([self._pending])
            self._pending = b""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return left


def session_members(session: int) -> list[int]:
    """Pids of the processes in a session, whoever their parent is now."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found
