"""The gateway: the process that customers' requests reach."""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from . import tokens
from .authorise import Authoriser, FraudUnavailable
from .clock import wall_s
from .database import parse_address
from .defects import ACK_BEFORE_COMMIT, ERRORS, GATEWAY_DEFECTS
from .http_client import Caller
from .identity import Identity, identity_or_exit
from .ledger import CONNECTIONS, Ledger
from .metrics import Metrics
from .order import OrderError, parse_key, parse_order
from .pool import Unavailable
from .web import Problem, answer, build_app, serve
from .write_behind import WriteBehind

BROKEN_EVERY = 3  # payments, with the defect `errors`
REQUEST_WITHIN_S = 1.8  # customers wait for 2 s: say "unknown" while they still listen

T = TypeVar("T")


class Gateway:
    """Handlers of the gateway's routes.

    Args:
        identity: Who this is.
        ledger: Where the money is.
        fraud: Who decides whether it may move.
    """

    def __init__(self, identity: Identity, ledger: Ledger, fraud: Caller) -> None:
        self._identity = identity
        self._ledger = ledger
        self._fraud = fraud
        self._write_behind = WriteBehind(ledger)
        self._authoriser = Authoriser(ledger, fraud, self._write_behind, identity.defects)
        self._metrics = Metrics("gateway")
        self._asked = 0

    def app(self) -> ASGIApp:
        """The application."""
        self._metrics.gauge("ledger_connections", lambda: self._ledger.pool.open)
        routes = [
            Route("/v1/login", self._login, methods=["POST"]),
            Route("/v1/payments", self._pay, methods=["POST"]),
            Route("/v1/payments", self._payment_by_key),
            Route("/v1/payments/{payment_id}", self._payment_by_id),
            Route("/v1/accounts/{account}/balance", self._balance),
            Route("/v1/balances", self._balances),
        ]
        return build_app(self._identity, self._metrics, routes, ready=self._ready, running=self._running)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        self._ledger.pool.start()
        writing = asyncio.create_task(self._write_behind.run()) if self._has(ACK_BEFORE_COMMIT) else None
        try:
            yield
        finally:
            if writing is not None:
                writing.cancel()
                with suppress(asyncio.CancelledError):
                    await writing
            self._fraud.close()
            await self._ledger.pool.stop()

    def _has(self, defect: str) -> bool:
        return defect in self._identity.defects

    async def _ready(self) -> Mapping[str, Any]:
        pool = self._ledger.pool
        if not pool.been_full:
            raise Problem(503, "starting", f"{pool.open} of {CONNECTIONS} connections to the ledger are open")
        await self._within_deadline(self._ledger.reach())
        return {"ledger_connections": pool.open}

    async def _within_deadline(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(REQUEST_WITHIN_S):
                return await work
        except Unavailable as error:
            raise Problem(503, "ledger-unavailable", str(error)) from error
        except FraudUnavailable as error:
            raise Problem(503, "fraud-unavailable", str(error)) from error
        except TimeoutError as error:
            raise Problem(503, "too-late", f"no outcome within {REQUEST_WITHIN_S:g} s") from error

    def _check_token(self, request: Request) -> None:
        secret = self._ledger.secret
        if secret is None:
            raise Problem(503, "ledger-unavailable", "the ledger was not reached yet")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or tokens.user_of(token, secret=secret, now_s=wall_s()) is None:
            raise Problem(401, "unauthorised", "a valid bearer token is needed; POST /v1/login gives one")

    async def _login(self, request: Request) -> Response:
        try:
            plain = json.loads(await request.body())
            name, password = plain["user"], plain["password"]
        except (ValueError, KeyError, TypeError):
            raise Problem(400, "malformed", "a JSON object with user and password is needed") from None
        if not (isinstance(name, str) and name.isprintable() and isinstance(password, str)):
            raise Problem(400, "malformed", "user and password must be text")
        user = await self._within_deadline(self._ledger.user(name))
        secret = self._ledger.secret
        if secret is None or user is None or not tokens.password_matches(password, **user):
            raise Problem(401, "unauthorised", "unknown user or wrong password")
        token = tokens.issue(name, secret=secret, now_s=wall_s())
        return answer(200, {"token": token, "token_type": "Bearer", "expires_in_s": tokens.LIFETIME_S})

    async def _pay(self, request: Request) -> Response:
        self._check_token(request)
        try:
            key = parse_key(request.headers.get("idempotency-key"))
            order = parse_order(await request.body())
        except OrderError as error:
            raise Problem(400, "malformed", str(error)) from None
        self._asked += 1
        if self._has(ERRORS) and self._asked % BROKEN_EVERY == 0:
            raise Problem(500, "internal", "the defect `errors` is switched on")
        final = await self._within_deadline(self._authoriser.authorise(key, order))
        self._metrics.count("payments_total", f'status="{final.status}",replayed="{str(final.replayed).lower()}"')
        return answer(final.status, final.body, {"idempotent-replayed": "true" if final.replayed else "false"})

    async def _payment_by_key(self, request: Request) -> Response:
        self._check_token(request)
        try:
            key = parse_key(request.query_params.get("key"))
        except OrderError as error:
            raise Problem(400, "malformed", f"query parameter key: {error}") from None
        return _found(await self._within_deadline(self._ledger.payment_by_key(key)), "payment")

    async def _payment_by_id(self, request: Request) -> Response:
        self._check_token(request)
        try:
            payment_id = uuid.UUID(request.path_params["payment_id"])
        except ValueError:
            raise Problem(404, "not-found", "no such payment") from None
        return _found(await self._within_deadline(self._ledger.payment_by_id(payment_id)), "payment")

    async def _balance(self, request: Request) -> Response:
        self._check_token(request)
        account = request.path_params["account"]
        if not account.isprintable():
            raise Problem(404, "not-found", "no such account")
        return _found(await self._within_deadline(self._ledger.balance(account)), "account")

    async def _balances(self, request: Request) -> Response:
        self._check_token(request)
        return answer(200, {"accounts": await self._within_deadline(self._ledger.balances())})


def _found(row: Mapping[str, Any] | None, what: str) -> Response:
    if row is None:
        raise Problem(404, "not-found", f"no such {what}")
    return answer(200, row)


def main() -> None:
    """``python -m payments.gateway --port PORT --database HOST:PORT --fraud HOST:PORT``."""
    parser = argparse.ArgumentParser(prog="payments.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=parse_address, required=True)
    parser.add_argument("--fraud", type=parse_address, required=True)
    options = parser.parse_args()
    identity = identity_or_exit("gateway", GATEWAY_DEFECTS)
    fraud = Caller(options.fraud.host, options.fraud.port)
    serve(Gateway(identity, Ledger(options.database, identity.instance), fraud).app(), options.port)


if __name__ == "__main__":
    main()
