"""What the ledger room needs of a running environment, and the rule that nothing else is contacted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pytest_finchaos.load import client
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec, OperationSpec
from pytest_finchaos.runtime.clock import Clock, SystemClock


class Target(Protocol):
    """A running environment, as far as the money check touches it."""

    @property
    def spec(self) -> EnvironmentSpec:
        """What was declared."""
        ...

    def database_url(self, component: str) -> str:
        """``postgresql://…`` of a database, past the fault proxies."""
        ...

    def base_url(self, component: str) -> str:
        """``http://host:port`` of a component as clients reach it."""
        ...

    def direct_address(self, component: str) -> str:
        """``host:port`` of a component, past the fault proxies."""
        ...

    def workdir(self, component: str) -> Path:
        """The folder that a component runs in."""
        ...


class Asks(Protocol):
    """Sends one request of an operation; tests pass a fake."""

    def send(
        self, operation: OperationSpec, values: Mapping[str, Any], timeout_s: float, *, direct: bool = False
    ) -> client.Answer:
        """The answer, also when there was none; ``direct``: past the fault proxies."""
        ...


class Api:
    """The system's HTTP interface, with the placeholder values that the load's setup brought.

    Args:
        spec: The environment's declaration; only its allowed hosts are contacted.
        target: The running environment.
        setup_values: Placeholder values of setup operations, e.g. a token.
        clock: The clock.
    """

    def __init__(
        self, spec: EnvironmentSpec, target: Target, setup_values: Mapping[str, Any], clock: Clock | None = None
    ) -> None:
        self._spec, self._target, self._values = spec, target, dict(setup_values)
        self._clock = clock or SystemClock()

    def send(
        self, operation: OperationSpec, values: Mapping[str, Any], timeout_s: float, *, direct: bool = False
    ) -> client.Answer:
        """Send one request once.

        Args:
            operation: What to send.
            values: Placeholder values beside those of setup.
            timeout_s: Deadline in seconds.
            direct: Past the fault proxies, instead of the way that clients take.

        Raises:
            UserError: The host is not allowed, or a placeholder has no value.
        """
        component = operation.component
        url = f"http://{self._target.direct_address(component)}" if direct else self._target.base_url(component)
        refuse_host(url, self._spec)
        return client.send(operation, {**self._values, **values}, url, timeout_s, self._clock)


def refuse_host(url: str, spec: EnvironmentSpec) -> None:
    """Refuse a host that the configuration does not allow.

    Raises:
        UserError: Names the host, never the rest of the URL: it may hold a password.
    """
    host = urlsplit(url).hostname or ""
    if host not in spec.allowed_hosts:
        raise UserError(
            f"{spec.source}: environments.{spec.name}.allowed_hosts",
            f"host {host!r} is not allowed",
            allowed=spec.allowed_hosts,
            got=host,
        )


def money_operation(spec: EnvironmentSpec, ledger: LedgerSpec) -> OperationSpec:
    """The operation that moves money.

    Raises:
        UserError: The ledger names an operation that is not declared.
    """
    return _operation(spec, "operation", ledger.operation)


def lookup_operation(spec: EnvironmentSpec, ledger: LedgerSpec) -> OperationSpec | None:
    """The operation that reads one payment by key, if there is one.

    Raises:
        UserError: The ledger names an operation that is not declared.
    """
    return None if ledger.lookup is None else _operation(spec, "lookup", ledger.lookup)


def _operation(spec: EnvironmentSpec, setting: str, name: str) -> OperationSpec:
    if name not in spec.operations:
        raise UserError(
            f"{spec.source}: environments.{spec.name}.ledger.{setting}",
            f"no operation {name!r}",
            allowed=spec.operations,
            got=name,
        )
    return spec.operations[name]
