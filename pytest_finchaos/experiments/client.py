"""The experiment's side of the socket: asks the drill, waits for its answer, at most until the call's deadline."""

from __future__ import annotations

import os
import socket
from typing import Any

from pytest_finchaos.experiments import wire

ANSWER_WITHIN_S = 60.0


class Refused(Exception):
    """The drill could not do what it was asked, or there is no drill; the message says why."""


def ask(call: str, *, within_s: float = ANSWER_WITHIN_S, **arguments: Any) -> Any:
    """Ask the drill and return its answer.

    Args:
        call: Name of the call.
        within_s: Seconds to wait for the answer.
        arguments: JSON values.

    Raises:
        Refused: The drill said no, does not answer, or is not there.
    """
    path, token = os.environ.get(wire.SOCKET), os.environ.get(wire.TOKEN)
    if not path or not token:
        raise Refused(
            f"{call}: no drill is listening: these actions and probes work in experiments that pytest-finchaos runs "
            "(pytest --finchaos-experiments PATH), not under the command chaos"
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within_s)
            connection.connect(path)
            connection.sendall(wire.line({"token": token, "call": call, "arguments": arguments}))
            answer = wire.table(_read(connection))
    except (OSError, wire.WireError) as error:
        raise Refused(f"{call}: the drill does not answer: {error}") from None
    if not answer.get("ok"):
        raise Refused(str(answer.get("error", "no reason")))
    return answer.get("value")


def tell(call: str, **arguments: Any) -> None:
    """Say something to the drill without waiting; a drill that is gone is no concern of the speaker."""
    path, token = os.environ.get(wire.SOCKET), os.environ.get(wire.TOKEN)
    if not path or not token:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(path)
            connection.sendall(wire.line({"token": token, "call": call, "arguments": arguments}))
    except OSError:
        return


def _read(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = connection.recv(65_536)
        if not part:
            raise OSError("it closed the connection")
        data += part
        if len(data) > wire.MOST_BYTES:
            raise OSError("its answer is too long")
    return data
