"""As much of PostgreSQL's protocol (3.0) as it takes to see that a server accepts sessions."""

from __future__ import annotations

import socket

SUPERUSER = "finchaos"
ANSWER_BYTES = 1000
NOBODY = "no PostgreSQL answers there"
_WELCOME = b"\0\0\0\0"


def accepts(port: int, timeout_s: float) -> bool:
    """True when a server of ours on 127.0.0.1:``port`` answers a start-up packet with a session."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as link:
            link.sendall(_start_up(SUPERUSER, "postgres"))
            return link.recv(1) == b"R"  # authentication request; an error would begin with E
    except OSError:
        return False


def refusal(host: str, port: int, timeout_s: float, *, user: str, database: str) -> str | None:
    """Why a server gives neither a session nor asks for a password, in its own words; None when it does.

    Args:
        host: Host of the server.
        port: Its port.
        timeout_s: Deadline to connect, and again for each part of the answer, seconds.
        user: Role of the session.
        database: Its database.
    """
    answer = b""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as link:
            link.sendall(_start_up(user, database))
            while len(answer) < ANSWER_BYTES:
                part = link.recv(ANSWER_BYTES)
                answer += part
                if (verdict := judge(answer)) is not None:
                    return verdict or None
                if not part:
                    break
    except OSError as error:
        return str(error.strerror or error)
    return NOBODY


def judge(answer: bytes) -> str | None:
    """What the beginning of an answer means: "" for a session or a question, else the refusal; None for too little.

    With ``trust`` a welcome comes before the role is looked up, so that the message after it decides.
    """
    while len(answer) >= 5:
        kind, length = answer[:1], int.from_bytes(answer[1:5])
        if kind not in b"RESKZNv" or length < 4:
            return NOBODY
        if len(answer) < length + 1:
            return None
        content, answer = answer[5 : length + 1], answer[length + 1 :]
        if kind == b"E":
            fields = {part[:1]: part[1:].decode(errors="replace") for part in content.split(b"\0")}
            return fields.get(b"M", "refused without a word")
        if kind != b"R" or content[:4] != _WELCOME:
            return ""
    return None


def _start_up(user: str, database: str) -> bytes:
    body = b"\x00\x03\x00\x00user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
    return (len(body) + 4).to_bytes(4) + body
