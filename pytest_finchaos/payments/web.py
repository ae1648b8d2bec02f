"""What the three services share on the web side: answers, problems, stamps on every answer, the server's settings."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .clock import monotonic_s
from .identity import Identity
from .metrics import CONTENT_TYPE, Metrics

HOST = "127.0.0.1"
KEEP_ALIVE_S = 90  # longer than any pooled client connection rests: a close must never cross a request
SHUTDOWN_S = 1
READY_WITHIN_S = 1.0

Ready = Callable[[], Awaitable[Mapping[str, Any]]]


class Problem(Exception):
    """An answer other than success.

    Args:
        status: HTTP status.
        error: Short code for programs.
        text: One sentence for people.
    """

    def __init__(self, status: int, error: str, text: str = "") -> None:
        super().__init__(f"{status} {error} {text}")
        self.status = status
        self.error = error
        self.text = text


def answer(status: int, value: Mapping[str, Any] | str, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; text is taken as JSON that is already written."""
    content = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return Response(content, status_code=status, headers=headers, media_type="application/json")


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    headers = {"retry-after": "1"} if error.status == 503 else None
    return answer(error.status, {"error": error.error, "text": error.text}, headers)


class _Stamped:
    """Puts the identity on every answer and counts it."""

    def __init__(self, app: ASGIApp, identity: Identity, metrics: Metrics) -> None:
        self._app = app
        self._headers = identity.headers()
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = monotonic_s()
        status = 500

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].extend(self._headers)
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        finally:
            endpoint = getattr(scope.get("endpoint"), "__name__", "none").strip("_")
            self._metrics.observe_request(endpoint, status, monotonic_s() - began_s)


def build_app(
    identity: Identity,
    metrics: Metrics,
    routes: Sequence[BaseRoute],
    *,
    ready: Ready,
    running: Callable[[], AbstractAsyncContextManager[None]],
) -> ASGIApp:
    """The application of one service.

    Args:
        identity: Who answers.
        metrics: Where requests are counted.
        routes: The service's own routes.
        ready: Returns more fields for ``/ready``, or raises `Problem` or a time-out when not ready.
        running: What runs beside the requests, from the first to the last.
    """

    async def health(_request: Request) -> Response:
        return answer(200, {"status": "ok", "instance": identity.instance, "pid": identity.pid})

    async def readiness(_request: Request) -> Response:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                more = await ready()
        except (Problem, TimeoutError) as error:
            return answer(503, identity.as_plain() | {"ready": False, "reason": str(error) or "no answer in time"})
        return answer(200, identity.as_plain() | {"ready": True} | dict(more))

    async def figures(_request: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with running():
            gc.freeze()  # what is loaded stays; collections then look at requests only
            yield

    common = [Route("/health", health), Route("/ready", readiness), Route("/metrics", figures)]
    app = Starlette(routes=[*routes, *common], exception_handlers={Problem: _problem}, lifespan=lifespan)
    return _Stamped(app, identity, metrics)


def serve(app: ASGIApp, port: int) -> None:
    """Serve ``app`` on the loopback until SIGTERM."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    uvicorn.Server(
        uvicorn.Config(
            app,
            host=HOST,
            port=port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    ).run()


async def nothing_more() -> Mapping[str, Any]:
    """Readiness of a service that depends on nothing."""
    return {}
