"""Hears every request of a locustfile: before it leaves by its HTTP clients, when it ended by Locust's own event."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.exception import StopUser

from pytest_finchaos.load import request as requests
from pytest_finchaos.load.client import host_and_port
from pytest_finchaos.load.locust_plan import OTHER, LocustPlan
from pytest_finchaos.load.recognise import Recognised, Sent, recognise
from pytest_finchaos.load.recorded import ArrivalWriter
from pytest_finchaos.load.records import Kind, Record, RecordWriter
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.runtime.clock import Clock

TOKEN = "finchaos"  # noqa: S105 - a key in Locust's request context, not a password
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True)
class Flight:
    """A request on its way."""

    start: Record
    operation: OperationSpec | None
    name: str
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended; ``told`` is what the locustfile holds against it, "" when nothing."""

    status: int | None
    detail: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    told: str = ""


class Recorder:
    """Writes arrivals and records of what users send.

    Args:
        plan: What is run.
        writer: Where records go.
        arrivals: Where it is written what each request is.
        clock: The clock.
        keep: Called with arrival, operation and body of each answer, where the system's own ids are needed later.
    """

    def __init__(
        self,
        plan: LocustPlan,
        *,
        writer: RecordWriter,
        arrivals: ArrivalWriter,
        clock: Clock,
        keep: Callable[[int, OperationSpec, bytes], None] | None,
    ) -> None:
        self._plan, self._writer, self._arrivals = plan, writer, arrivals
        self._clock, self._keep = clock, keep
        self._allowed = {host_and_port(url) for url in plan.base_urls.values()}
        self._positions = {name: position for position, name in enumerate(plan.names)}
        self._by_key: dict[tuple[str, str], tuple[int, int]] = {}  # operation and key to arrival and next number
        self.error = ""
        self.in_flight = self.max_in_flight = 0

    def attach(self, environment: Any) -> None:
        """Listen to the clients of Locust and to its request event."""
        for client in (HttpSession, FastHttpSession):
            client.request = self._heard(client.request)
        environment.events.request.add_listener(self.ended)

    def ended(
        self,
        request_type: str,
        name: str,
        response_time: float | None = None,
        context: dict[str, Any] | None = None,
        **told: Any,
    ) -> None:
        """Locust's request event: the answer as the locustfile judged it."""
        try:
            flight = (context or {}).get(TOKEN)
            if flight is None:  # a client of the team's own: known when it ended only
                found = Recognised(self._plan.operations.get(name))
                flight = self._note(found, str(request_type), name, ago_ns=int((response_time or 0.0) * 1e6))
            self._end(flight, _answer(told.get("response"), told.get("exception")))
        except Exception as error:  # noqa: BLE001 - Locust swallows what a listener raises; none of ours may be lost
            self.error = f"{type(error).__name__}: {error}"

    def _heard(self, send: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(send)

        @wraps(send)
        def heard(*arguments: Any, **options: Any) -> Any:
            bound = signature.bind(*arguments, **options)
            bound.apply_defaults()
            flight = self._begin(bound.arguments)
            bound.arguments["context"] = {**(bound.arguments.get("context") or {}), TOKEN: flight}
            try:
                return send(*bound.args, **bound.kwargs)
            except Exception as error:
                self._end(flight, Answer(None, requests.MALFORMED, told=type(error).__name__))
                raise

        return heard

    def _begin(self, given: dict[str, Any]) -> Flight:
        client, method, options = given["self"], str(given["method"]).upper(), given.get("kwargs") or {}
        url = client._build_url(given["url"])
        parts = urlsplit(url)
        if (parts.hostname, parts.port) not in self._allowed:
            self.error = f"it requests {parts.scheme}://{parts.netloc}, which the environment does not name"
            raise StopUser(self.error)
        if isinstance(params := options.get("params"), dict) and params:
            url = f"{url}{'&' if parts.query else '?'}{urlencode(params)}"
        own = given.get("headers") or options.get("headers") or {}
        headers = {**dict(getattr(client, "headers", None) or {}), **dict(own)}
        body = given.get("json") if given.get("json") is not None else given.get("data")
        name = str(given.get("name") or getattr(client, "request_name", None) or "")
        try:
            found = recognise(self._plan.operations, Sent(method, url, headers, body), name)
        except UserError as error:
            self.error = f"{error.where}: {error.what}"
            raise StopUser(self.error) from None
        return self._note(found, method, name or f"{method} {parts.path}")

    def _note(self, found: Recognised, method: str, name: str, *, ago_ns: int = 0) -> Flight:
        """Write arrival and start; a key that was sent before makes it another attempt of the same operation."""
        sent_ns = self._clock.now_ns() - ago_ns
        title = OTHER if found.operation is None else found.operation.name
        known = self._by_key.get((title, found.key)) if found.key and found.operation else None
        if known is None:
            unlike = found.unlike
            if found.operation is None and method not in SAFE:
                unlike = f"{name} is none of the declared operations and may change something"
            shown = title if unlike or found.operation else name
            arrival, number = self._arrivals.write(shown, found.key, dict(found.values), sent_ns, unlike), 0
        else:
            arrival, number = known
        if found.key and found.operation:
            self._by_key[title, found.key] = arrival, number + 1
        start = Record(
            Kind.START,
            arrival=arrival,
            number=number,
            operation=self._positions[title],
            intended_ns=sent_ns,
            sent_ns=sent_ns,
        )
        self._writer.write(start)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return Flight(start, found.operation, name)

    def _end(self, flight: Flight, answer: Answer) -> None:
        if flight.ended:
            return
        flight.ended = True
        operation = flight.operation or OperationSpec(flight.name, "")
        reading = requests.classify(operation, answer.status, answer.detail, answer.body, answer.headers)
        outcome = reading.outcome
        if answer.told and outcome is Outcome.OK:
            outcome = Outcome.UNKNOWN  # the team's own judgement: it looked like success and was none
        if not answer.told and answer.detail == requests.HTTP and flight.operation is None:
            outcome = Outcome.OK
        if self._keep is not None and reading.reference and flight.operation is not None:
            self._keep(flight.start.arrival, flight.operation, answer.body)
        self._writer.write(
            flight.start._replace(
                kind=Kind.END,
                done_ns=self._clock.now_ns(),
                outcome=outcome,
                detail=reading.detail,
                status=answer.status or 0,
                reference=reading.reference,
                answer=reading.answer,
                value=reading.value,
            )
        )
        self.in_flight -= 1


def _answer(response: Any, exception: BaseException | None) -> Answer:
    status = int(getattr(response, "status_code", 0) or 0)
    told = "" if exception is None else str(exception) or type(exception).__name__
    if status:
        body = getattr(response, "content", b"") or b""
        pairs = (getattr(response, "headers", None) or {}).items()
        headers = tuple((str(name), str(value)) for name, value in pairs)
        return Answer(status, requests.HTTP, body if isinstance(body, bytes) else str(body).encode(), headers, told)
    if exception is not None:
        return Answer(None, detail_of(exception), told=told)
    return Answer(200, requests.HTTP)


def detail_of(error: BaseException) -> str:
    """How an exchange ended, from the error of whichever client: the first known kind in the chain of its causes."""
    pending, seen = [error], set[int]()
    while pending:
        one = pending.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        name = type(one).__name__
        if isinstance(one, ConnectionRefusedError) or "NewConnection" in name or "ConnectTimeout" in name:
            return requests.REFUSED_CONNECTION
        if isinstance(one, TimeoutError) or "Timeout" in name:
            return requests.TIMEOUT
        ended = isinstance(one, ConnectionResetError | BrokenPipeError)
        if ended or "Disconnected" in name or "ConnectionClosed" in name:
            return requests.RESET
        causes = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        pending.extend(cause for cause in causes if isinstance(cause, BaseException))
    return requests.RESET if "Connection" in type(error).__name__ else requests.MALFORMED
