"""TCP sockets as the kernel sees them: netlink SOCK_DIAG in pure Python, no privileges needed.

Layouts: ``linux/inet_diag.h`` and ``linux/tcp.h``; the kernel filters a dump by the local port of the request.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLM_F_DUMP = 0x300
NLMSG_ERROR = 2
NLMSG_DONE = 3
INET_DIAG_INFO = 2
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBxI")
SOCKET_ID = struct.Struct("!HH16s16s")
COOKIE = struct.Struct("=III")
ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 1, 4, 5, 8, 9, 10, 11
CARRYING = sum(1 << state for state in (ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING))
LISTENING = 1 << LISTEN
BYTES_AT = 120  # tcpi_bytes_acked, then tcpi_bytes_received, 64 bits each
REPLY_WITHIN_S = 1.0
RECEIVE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP socket.

    Args:
        cookie: Names it for good.
        state: TCP state number.
        local_port, peer_port: Its ports.
        bytes_out: Bytes that the peer acknowledged.
        bytes_in: Bytes received.
    """

    cookie: int
    state: int
    local_port: int
    peer_port: int
    bytes_out: int
    bytes_in: int


def connections(local_port: int) -> tuple[Socket, ...]:
    """Sockets of this network namespace that have ``local_port`` and can still carry bytes, IPv4 and IPv6.

    Raises:
        OSError: When the kernel does not answer; e.g. no SOCK_DIAG in a sandbox.
    """
    return tuple(found for family in (socket.AF_INET, socket.AF_INET6) for found in _dump(family, CARRYING, local_port))


def listens(local_port: int) -> bool:
    """True when somebody listens on ``local_port`` in this network namespace.

    Raises:
        OSError: As `connections`.
    """
    return any(True for family in (socket.AF_INET, socket.AF_INET6) for _ in _dump(family, LISTENING, local_port))


def _dump(family: int, states: int, local_port: int) -> Iterator[Socket]:
    identity = SOCKET_ID.pack(local_port, 0, b"", b"") + COOKIE.pack(0, 0xFFFFFFFF, 0xFFFFFFFF)
    body = REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), states) + identity
    message = HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(REPLY_WITHIN_S)
        netlink.sendto(message, (0, 0))
        while True:
            data = netlink.recv(RECEIVE_BYTES)
            for kind, payload in _messages(data):
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", payload)[0]
                    raise OSError(number, f"SOCK_DIAG: {os.strerror(number)}")
                yield _socket(payload)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield kind, data[at + HEADER.size : at + length]
        at += (length + 3) & ~3


def _socket(payload: bytes) -> Socket:
    state = payload[1]
    local_port, peer_port, _, _ = SOCKET_ID.unpack_from(payload, 4)
    _, low, high = COOKIE.unpack_from(payload, 4 + SOCKET_ID.size)
    bytes_out, bytes_in = 0, 0
    at = 72  # inet_diag_msg ends here; attributes follow
    while at + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, at)
        if length < 4:
            break
        if kind == INET_DIAG_INFO and length >= 4 + BYTES_AT + 16:
            bytes_out, bytes_in = struct.unpack_from("=QQ", payload, at + 4 + BYTES_AT)
        at += (length + 3) & ~3
    return Socket(high << 32 | low, state, local_port, peer_port, bytes_out, bytes_in)
