"""As much of PostgreSQL's protocol as it takes to see that a server accepts sessions."""

from __future__ import annotations

import socket

SUPERUSER = "finchaos"


def accepts(
    port: int, timeout_s: float, *, host: str = "127.0.0.1", user: str = SUPERUSER, database: str = "postgres"
) -> bool:
    """True when a start-up packet is answered with a session or with a question for a password (protocol 3.0).

    Args:
        port: Port of the server.
        timeout_s: Deadline to connect, and again to answer, seconds.
        host: Host of the server.
        user: Role that the packet names.
        database: Database that it names.
    """
    body = b"\x00\x03\x00\x00user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as link:
            link.sendall((len(body) + 4).to_bytes(4) + body)
            return link.recv(1) == b"R"  # authentication request; an error would begin with E
    except OSError:
        return False
