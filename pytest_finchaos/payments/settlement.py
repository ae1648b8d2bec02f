"""The settlement service: relays payments into a file and closes it at cut-off."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from .database import parse_address
from .defects import SETTLEMENT_DEFECTS, SETTLEMENT_SKIPS
from .identity import Identity, identity_or_exit
from .metrics import Metrics
from .pool import Unavailable
from .relay import Relay
from .settlement_file import SettlementFiles
from .web import Problem, answer, build_app, serve

ANSWER_WITHIN_S = 1.8

T = TypeVar("T")


class Settlement:
    """Handlers of the settlement service's routes.

    Args:
        identity: Who this is.
        relay: What fills the files.
        files: The files.
    """

    def __init__(self, identity: Identity, relay: Relay, files: SettlementFiles) -> None:
        self._identity = identity
        self._relay = relay
        self._files = files

    def app(self) -> ASGIApp:
        """The application."""
        metrics = Metrics("settlement")
        metrics.gauge("relayed_total", lambda: self._relay.relayed)
        metrics.gauge("ledger_connections", lambda: self._relay.pool.open)
        routes = [
            Route("/v1/cut-off", self._cut_off, methods=["POST"]),
            Route("/v1/files", self._list),
            Route("/v1/files/{name}", self._file),
            Route("/freshness", self._freshness),
        ]
        return build_app(self._identity, metrics, routes, ready=self._ready, running=self._running)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        self._relay.pool.start()
        relaying = asyncio.create_task(self._relay.run())
        try:
            yield
        finally:
            relaying.cancel()
            with suppress(asyncio.CancelledError):
                await relaying
            await self._relay.pool.stop()

    async def _ready(self) -> Mapping[str, Any]:
        age_s, waiting = await _in_time(self._relay.age())
        return {"age_s": age_s, "waiting": waiting}

    async def _cut_off(self, _request: Request) -> Response:
        return answer(200, {"file": await _in_time(self._relay.cut_off())})

    async def _list(self, _request: Request) -> Response:
        return answer(200, {"files": self._files.names(), "current": self._files.current})

    async def _file(self, request: Request) -> Response:
        content = self._files.content(request.path_params["name"])
        if content is None:
            raise Problem(404, "not-found", "no such file")
        return Response(content, media_type="text/csv; charset=utf-8")

    async def _freshness(self, _request: Request) -> Response:
        age_s, waiting = await _in_time(self._relay.age())
        return answer(200, {"age_s": age_s, "waiting": waiting, "file": self._files.current})


async def _in_time(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await work
    except (Unavailable, TimeoutError) as error:
        raise Problem(503, "ledger-unavailable", str(error) or f"no answer within {ANSWER_WITHIN_S:g} s") from error


def main() -> None:
    """``python -m payments.settlement --port PORT --database HOST:PORT --folder FOLDER``."""
    parser = argparse.ArgumentParser(prog="payments.settlement", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=parse_address, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    identity = identity_or_exit("settlement", SETTLEMENT_DEFECTS)
    files = SettlementFiles(options.folder)
    relay = Relay(options.database, files, skips=SETTLEMENT_SKIPS in identity.defects)
    serve(Settlement(identity, relay, files).app(), options.port)


if __name__ == "__main__":
    main()
