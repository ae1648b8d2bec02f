"""As much of PostgreSQL's protocol as it takes to see that a server accepts sessions."""

from __future__ import annotations

import socket

SUPERUSER = "finchaos"


def accepts(port: int, timeout_s: float) -> bool:
    """True when a start-up packet on 127.0.0.1:``port`` is answered with a session (protocol 3.0)."""
    body = b"\x00\x03\x00\x00user\0" + SUPERUSER.encode() + b"\0database\0postgres\0\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as link:
            link.sendall((len(body) + 4).to_bytes(4) + body)
            return link.recv(1) == b"R"  # authentication request; an error would begin with E
    except OSError:
        return False
