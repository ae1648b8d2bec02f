"""A small HTTP/1.1 server for the API: bounded heads and bodies, keep-alive, every read with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

HEAD_BYTES = 64 * 1024
BODY_BYTES = 4 * 1024 * 1024
IDLE_WITHIN_S = 60.0
READ_WITHIN_S = 15.0
ANSWER_WITHIN_S = 25.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = ""


class Malformed(Exception):
    """Bytes that are no request; ``status`` is what to answer."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


Handler = Callable[[Request], Awaitable[Answer]]


async def serve_connection(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection until it ends, is malformed, or stays idle."""
    try:
        while True:
            request = await _next_request(reader, writer)
            if request is None:
                break
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await handler(request)
            writer.write(_rendered(answer, keep_alive=request.keep_alive))
            await writer.drain()
            if not request.keep_alive:
                break
    except Malformed as error:
        writer.write(_rendered(Answer(error.status, f"{error}\n".encode(), "text/plain"), keep_alive=False))
    except TimeoutError:
        pass
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        with contextlib.suppress(ConnectionError, RuntimeError):
            writer.close()


async def _next_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        async with asyncio.timeout(IDLE_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise Malformed(400, "400 Bad Request: the head is cut off") from None
        return None
    except asyncio.LimitOverrunError:
        raise Malformed(431, "431 Request Header Fields Too Large") from None
    method, target, version, headers = _head(head)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async with asyncio.timeout(READ_WITHIN_S):
        body = await _body(reader, headers)
    connection = headers.get("connection", "").lower()
    keep_alive = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
    return Request(method, target, headers, body, keep_alive)


def _head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = head.decode("latin-1").strip("\r\n").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise Malformed(400, "400 Bad Request: no request line of HTTP/1")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(400, "400 Bad Request: malformed header")
        headers[name.lower()] = value.strip()
    return words[0], words[1], words[2], headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise Malformed(501, "501 Not Implemented: transfer encoding")
        return await _chunks(reader)
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal():
        raise Malformed(400, "400 Bad Request: content length")
    if len(length) > 10 or int(length) > BODY_BYTES:
        raise Malformed(413, "413 Request Entity Too Large")
    return await reader.readexactly(int(length))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    try:
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0].strip(), 16)
            if size < 0 or len(body) + size > BODY_BYTES:
                raise Malformed(413, "413 Request Entity Too Large")
            if size == 0:
                while (await reader.readuntil(b"\r\n")) != b"\r\n":
                    pass  # trailers say nothing to us
                return body
            body += await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise ValueError("no end of chunk")
    except (ValueError, asyncio.LimitOverrunError):
        raise Malformed(400, "400 Bad Request: malformed chunk") from None


def _rendered(answer: Answer, *, keep_alive: bool) -> bytes:
    phrase = HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {phrase}", f"X-Toxiproxy-Request-Id: {secrets.token_hex(8)}"]
    if answer.content_type:
        lines.append(f"Content-Type: {answer.content_type}")
    if answer.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(answer.body)}")
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + answer.body
