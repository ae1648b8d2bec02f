"""Routes of the HTTP API, version 2: codes, bodies and error texts as Toxiproxy 2.12 gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pytest_finchaos.proxy.server import config
from pytest_finchaos.proxy.server.errors import ApiError
from pytest_finchaos.proxy.server.http import Answer, Request
from pytest_finchaos.proxy.server.proxies import Proxies, Proxy
from pytest_finchaos.proxy.server.toxics import read_attributes, read_toxic, read_toxicity

VERSION = "2.12.0+finchaos"
JSON = "application/json;charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class Api:
    """Answers requests about ``proxies``."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies

    async def answer(self, request: Request) -> Answer:
        """The answer to one request; never raises for what a client sent."""
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return Answer(403, b"User agent not allowed\n", TEXT)
        try:
            parts = [unquote(part) for part in request.path.split("?")[0].strip("/").split("/")]
            return await self._route(request, parts)
        except ApiError as error:
            return _refusal(error)

    async def _route(self, request: Request, parts: list[str]) -> Answer:
        match parts:
            case ["version"]:
                return _allowed(request, "GET") or _json({"version": VERSION}, newline=True)
            case ["proxies"]:
                return await self._collection(request)
            case ["populate"]:
                return _allowed(request, "POST") or await self._populate(request)
            case ["reset"]:
                return _allowed(request, "POST") or await self._reset()
            case ["proxies", name]:
                return await self._proxy(request, name)
            case ["proxies", name, "toxics"]:
                return self._toxics(request, name)
            case ["proxies", name, "toxics", toxic]:
                return self._toxic(request, name, toxic)
            case _:
                return Answer(404, b"404 page not found\n", TEXT)

    async def _collection(self, request: Request) -> Answer:
        if request.method == "GET":
            return _json({name: proxy.plain() for name, proxy in sorted(self._proxies.by_name.items())})
        if refused := _allowed(request, "GET", "POST"):
            return refused
        proxy = await self._proxies.create(*config.read_proxy(config.read_object(request.body)))
        return _json(proxy.plain(), 201)

    async def _populate(self, request: Request) -> Answer:
        made: list[Proxy] = []
        error: ApiError | None
        try:
            made, error = await self._proxies.populate(config.read_proxies(request.body))
        except ApiError as unread:
            error = unread
        plain: dict[str, Any] = {"proxies": [proxy.plain() for proxy in made]}
        if error is not None:
            plain = {"error": error.text, "status": error.status, **plain}
        return _json(plain, 201 if error is None else error.status)

    async def _reset(self) -> Answer:
        await self._proxies.reset()
        return Answer(204)

    async def _proxy(self, request: Request, name: str) -> Answer:
        if refused := _allowed(request, "GET", "POST", "PATCH", "DELETE"):
            return refused
        if request.method == "GET":
            return _json(self._proxies.get(name).plain())
        if request.method == "DELETE":
            await self._proxies.delete(name)
            return Answer(204)
        self._proxies.get(name)
        body = config.read_object(request.body)
        proxy = await self._proxies.update(
            name, config.text(body, "listen"), config.text(body, "upstream"), config.flag(body, "enabled")
        )
        return _json(proxy.plain())

    def _toxics(self, request: Request, name: str) -> Answer:
        if refused := _allowed(request, "GET", "POST"):
            return refused
        proxy = self._proxies.get(name)
        if request.method == "GET":
            return _json([toxic.plain() for toxic in proxy.toxics])
        toxic = read_toxic(config.read_object(request.body))
        proxy.add(toxic)
        return _json(toxic.plain())

    def _toxic(self, request: Request, name: str, toxic_name: str) -> Answer:
        if refused := _allowed(request, "GET", "POST", "PATCH", "DELETE"):
            return refused
        proxy = self._proxies.get(name)
        toxic = proxy.toxic(toxic_name)
        if request.method == "DELETE":
            proxy.remove(toxic)
            return Answer(204)
        if request.method != "GET":
            body = config.read_object(request.body)
            attributes = read_attributes(toxic.kind, body.get("attributes"), toxic.attributes)
            proxy.update(toxic, attributes, read_toxicity(body.get("toxicity"), toxic.toxicity))
        return _json(toxic.plain())


def _allowed(request: Request, *methods: str) -> Answer | None:
    return None if request.method in methods else Answer(405)


def _json(plain: Mapping[str, Any] | list[Any], status: int = 200, *, newline: bool = False) -> Answer:
    return Answer(status, json.dumps(plain).encode() + (b"\n" if newline else b""), JSON)


def _refusal(error: ApiError) -> Answer:
    """Go's ``http.Error`` says text/plain although the body is JSON; clients have learnt to live with it."""
    return Answer(error.status, json.dumps({"error": error.text, "status": error.status}).encode() + b"\n", TEXT)
