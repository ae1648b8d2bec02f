"""The fraud service: a score that depends on the order and on nothing else."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .defects import FRAUD_DEFECTS
from .identity import identity_or_exit
from .metrics import Metrics
from .order import Order, OrderError, parse_order
from .web import Problem, answer, build_app, nothing_more, serve

HIGHEST_SCORE = 899  # of an ordinary order
REJECT_FROM_MINOR = 1_000_000
REJECT_FROM_SCORE = 900


def score_of(order: Order) -> int:
    """0 to 999, the same for the same order; from ``REJECT_FROM_SCORE`` the order is rejected.

    Ordinary orders spread over 0 to 899 by their hash; orders of 10,000.00 and more score 950.
    """
    if order.amount_minor >= REJECT_FROM_MINOR:
        return 950
    digest = hashlib.blake2b(order.canonical(), digest_size=8).digest()
    return int.from_bytes(digest) % (HIGHEST_SCORE + 1)


async def _score(request: Request) -> Response:
    try:
        order = parse_order(await request.body())
    except OrderError as error:
        raise Problem(400, "malformed", str(error)) from None
    score = score_of(order)
    return answer(200, {"score": score, "decision": "reject" if score >= REJECT_FROM_SCORE else "approve"})


@asynccontextmanager
async def _running() -> AsyncIterator[None]:
    yield


def main() -> None:
    """``python -m payments.fraud --port PORT``."""
    parser = argparse.ArgumentParser(prog="payments.fraud", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    identity = identity_or_exit("fraud", FRAUD_DEFECTS)
    routes = [Route("/score", _score, methods=["POST"])]
    serve(build_app(identity, Metrics("fraud"), routes, ready=nothing_more, running=_running), options.port)


if __name__ == "__main__":
    main()
