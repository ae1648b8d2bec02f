"""The drill's side of the socket: served in the test's own thread, between two looks at the child process."""

from __future__ import annotations

import hmac
import os
import secrets
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finchaos.experiments import wire
from pytest_finchaos.model.errors import UserError

MOST_CONNECTIONS = 64


class Later:
    """An answer that is given when ``done`` says so; it is asked again and again, and must not wait itself.

    Args:
        done: Returns the answer, or None while there is none.
    """

    def __init__(self, done: Callable[[], Any]) -> None:
        self.done = done


@dataclass(slots=True)
class _Caller:
    """A connection: what it has said so far, and the answer that it waits for."""

    connection: socket.socket
    heard: bytes = b""
    waits: Later | None = None


class Server:
    """A Unix socket that hands calls to ``handle``.

    Args:
        folder: Private folder; the socket is made there.
        handle: Gets the call and its arguments; returns JSON data or a `Later`.
    """

    def __init__(self, folder: Path, handle: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self.path = folder / "s"
        self.token = secrets.token_urlsafe(24)
        self._handle = handle
        self._selector = selectors.DefaultSelector()
        self._callers: list[_Caller] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(os.fspath(self.path))
            self._listener.listen(MOST_CONNECTIONS)
        except OSError:
            self._listener.close()
            self._selector.close()
            raise
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, None)

    def serve(self, for_s: float) -> None:
        """Hear and answer what is there; wait at most ``for_s`` seconds for something."""
        for key, _ in self._selector.select(for_s):
            if key.data is None:
                self._accept()
            else:
                self._hear(key.data)
        for caller in list(self._callers):
            if caller.waits is not None:
                self._answer(caller, caller.waits)

    def close(self) -> None:
        """Hang up; idempotent."""
        for caller in list(self._callers):
            self._hang_up(caller)
        if self._listener.fileno() >= 0:
            self._selector.unregister(self._listener)
            self._listener.close()
        self._selector.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        caller = _Caller(connection)
        if len(self._callers) >= MOST_CONNECTIONS:
            connection.close()
            return
        self._callers.append(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)

    def _hear(self, caller: _Caller) -> None:
        try:
            part = caller.connection.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        caller.heard += part
        if not part or len(caller.heard) > wire.MOST_BYTES:
            self._hang_up(caller)  # whoever hangs up before the answer does not want it
        elif caller.heard.endswith(b"\n") and caller.waits is None:
            self._called(caller)

    def _called(self, caller: _Caller) -> None:
        try:
            asked = wire.table(caller.heard)
        except wire.WireError as error:
            self._send(caller, {"ok": False, "error": str(error)})
            return
        if not hmac.compare_digest(str(asked.get("token", "")).encode(), self.token.encode()):
            self._send(caller, {"ok": False, "error": "wrong token"})
            return
        arguments = asked.get("arguments")
        call = str(asked.get("call", ""))
        self._try(caller, lambda: self._handle(call, arguments if isinstance(arguments, dict) else {}))

    def _answer(self, caller: _Caller, later: Later) -> None:
        self._try(caller, later.done, again=later)

    def _try(self, caller: _Caller, step: Callable[[], Any], again: Later | None = None) -> None:
        try:
            value = step()
        except UserError as error:
            self._send(caller, {"ok": False, "error": error.render()})
            return
        except (OSError, ValueError, TypeError, KeyError) as error:
            self._send(caller, {"ok": False, "error": f"{type(error).__name__}: {error}"})
            return
        if isinstance(value, Later):
            caller.waits = value
        elif again is None or value is not None:
            self._send(caller, {"ok": True, "value": value})

    def _send(self, caller: _Caller, answer: Mapping[str, Any]) -> None:
        try:
            caller.connection.setblocking(True)
            caller.connection.settimeout(5.0)
            caller.connection.sendall(wire.line(answer))
        except OSError:
            pass  # it hung up; what it asked for was done
        self._hang_up(caller)

    def _hang_up(self, caller: _Caller) -> None:
        if caller in self._callers:
            self._callers.remove(caller)
            self._selector.unregister(caller.connection)
            caller.connection.close()
