"""A small HTTP/1.1 client with kept-alive connections, for calls between services."""

from __future__ import annotations

import asyncio

IDLE_KEPT = 64


class CallFailed(Exception):
    """The other service did not answer properly."""


class Caller:
    """Calls one service.

    Args:
        host: Its host.
        port: Its port, or that of the proxy in front of it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: bytes, *, within_s: float) -> tuple[int, bytes]:
        """POST a JSON body.

        Args:
            path: Path.
            body: JSON.
            within_s: Deadline in seconds for all of it.

        Returns:
            Status and body of the answer.

        Raises:
            CallFailed: On refusal, time-out, or an answer that is no HTTP.
        """
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        try:
            async with asyncio.timeout(within_s):
                return await self._exchange(head + body)
        except TimeoutError:
            raise CallFailed(f"no answer within {within_s:g} s") from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise CallFailed(f"{type(error).__name__}: {error}") from error

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        while self._idle:
            reader, writer = self._idle.pop()
            if reader.at_eof() or writer.is_closing():
                writer.close()
                continue
            try:
                return await self._send(reader, writer, request)
            except (ConnectionError, EOFError):
                break  # the other side closed a resting connection; these calls have no effect: ask again
        reader, writer = await asyncio.open_connection(self._host, self._port)
        return await self._send(reader, writer, request)

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> tuple[int, bytes]:
        finished = False
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status, length, stays = _parse_head(head)
            body = await reader.readexactly(length)
            finished = stays
        finally:
            if finished and len(self._idle) < IDLE_KEPT:
                self._idle.append((reader, writer))
            else:
                writer.transport.abort()
        return status, body

    def close(self) -> None:
        """End the resting connections."""
        while self._idle:
            self._idle.pop()[1].transport.abort()


def _parse_head(head: bytes) -> tuple[int, int, bool]:
    """Status, length of the body, and whether the connection stays."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ", 2)
    if not version.startswith("HTTP/1."):
        raise ValueError(f"no HTTP: {first!r}")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if "content-length" not in fields:
        raise ValueError("an answer without Content-Length")
    return int(status), int(fields["content-length"]), fields.get("connection", "").lower() != "close"
