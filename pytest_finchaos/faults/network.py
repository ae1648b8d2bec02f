"""Faults on an edge: Toxiproxy's toxics, and the edge taken down."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.topology import Component, Edge

STREAMS = ("upstream", "downstream")
HOUR_MS = 3_600_000
MOST_KB_PER_S = 10_000_000
MOST_BYTES = 2**40


@dataclass(frozen=True, slots=True)
class Latency:
    """Every chunk of bytes arrives later.

    Args:
        edge: Where.
        latency_ms: Mean delay, milliseconds.
        jitter_ms: Half width of a uniform spread around it, milliseconds.
        stream: ``downstream`` (answers) or ``upstream`` (requests).
        toxicity: Share of connections that it touches, above 0, at most 1.
    """

    edge: Edge
    latency_ms: int
    jitter_ms: int = 0
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "latency"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "latency_ms", self.latency_ms, 0, HOUR_MS)
        _whole(self, "jitter_ms", self.jitter_ms, 0, HOUR_MS)
        if self.latency_ms == 0 and self.jitter_ms == 0:
            raise UserError(_where(self), "0 ms of latency without jitter disturbs nothing", cure="give latency_ms")

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {"latency": self.latency_ms, "jitter": self.jitter_ms}

    def describe(self) -> str:
        """One line."""
        spread = f"±{self.jitter_ms}" if self.jitter_ms else ""
        return f"latency {self.latency_ms}{spread} ms{_tail(self)}"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The line carries at most ``rate_kb_per_s`` (1 kB = 1000 bytes) on each connection; other fields as `Latency`."""

    edge: Edge
    rate_kb_per_s: int
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "bandwidth"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "rate_kb_per_s", self.rate_kb_per_s, 1, MOST_KB_PER_S)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {"rate": self.rate_kb_per_s}

    def describe(self) -> str:
        """One line."""
        return f"bandwidth {self.rate_kb_per_s} kB/s{_tail(self)}"


@dataclass(frozen=True, slots=True)
class Timeout:
    """Nothing arrives; after ``timeout_ms`` of silence the connection is closed, with 0 it stays open.

    Its removal closes the connections that it touched. Other fields as `Latency`.
    """

    edge: Edge
    timeout_ms: int = 0
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "timeout"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "timeout_ms", self.timeout_ms, 0, HOUR_MS)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {"timeout": self.timeout_ms}

    def describe(self) -> str:
        """One line."""
        closes = f", closing after {self.timeout_ms} ms" if self.timeout_ms else ""
        return f"timeout (no byte arrives{closes}){_tail(self)}"


@dataclass(frozen=True, slots=True)
class ResetPeer:
    """``timeout_ms`` after the first bytes the connection is reset. Other fields as `Latency`."""

    edge: Edge
    timeout_ms: int = 0
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "reset_peer"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "timeout_ms", self.timeout_ms, 0, HOUR_MS)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {"timeout": self.timeout_ms}

    def describe(self) -> str:
        """One line."""
        after = f" after {self.timeout_ms} ms" if self.timeout_ms else ""
        return f"connection reset{after}{_tail(self)}"


@dataclass(frozen=True, slots=True)
class SlowClose:
    """The end of a connection arrives ``delay_ms`` late. Other fields as `Latency`."""

    edge: Edge
    delay_ms: int
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "slow_close"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "delay_ms", self.delay_ms, 1, HOUR_MS)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {"delay": self.delay_ms}

    def describe(self) -> str:
        """One line."""
        return f"close delayed by {self.delay_ms} ms{_tail(self)}"


@dataclass(frozen=True, slots=True)
class Slicer:
    """Bytes arrive in pieces of ``average_size_bytes`` ± ``size_variation_bytes``, ``delay_us`` µs apart.

    Other fields as `Latency`.
    """

    edge: Edge
    average_size_bytes: int
    size_variation_bytes: int = 0
    delay_us: int = 0
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "slicer"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "average_size_bytes", self.average_size_bytes, 1, MOST_BYTES)
        # A piece of no bytes crashes the original server, so the variation stays below the average.
        _whole(self, "size_variation_bytes", self.size_variation_bytes, 0, self.average_size_bytes - 1)
        _whole(self, "delay_us", self.delay_us, 0, HOUR_MS * 1000)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {
            "average_size": self.average_size_bytes,
            "size_variation": self.size_variation_bytes,
            "delay": self.delay_us,
        }

    def describe(self) -> str:
        """One line."""
        spread = f"±{self.size_variation_bytes}" if self.size_variation_bytes else ""
        return f"sliced into {self.average_size_bytes}{spread} bytes, {self.delay_us} µs apart{_tail(self)}"


@dataclass(frozen=True, slots=True)
class LimitData:
    """Each connection ends after ``limit_bytes``. Other fields as `Latency`."""

    edge: Edge
    limit_bytes: int
    stream: str = "downstream"
    toxicity: float = 1.0
    kind: typing.ClassVar[str] = "limit_data"

    def __post_init__(self) -> None:
        _check(self, self.edge, self.stream, self.toxicity)
        _whole(self, "limit_bytes", self.limit_bytes, 0, MOST_BYTES)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    @property
    def attributes(self) -> Mapping[str, int]:
        """As the API wants them."""
        return {"bytes": self.limit_bytes}

    def describe(self) -> str:
        """One line."""
        return f"connection cut after {self.limit_bytes} bytes{_tail(self)}"


@dataclass(frozen=True, slots=True)
class Down:
    """The edge refuses connections and ends those that it has."""

    edge: Edge

    def __post_init__(self) -> None:
        _needs_edge(self, self.edge)

    @property
    def target(self) -> str:
        """The edge in words."""
        return str(self.edge)

    def describe(self) -> str:
        """One line."""
        return f"down: {self.edge} refuses connections"


Toxic = Latency | Bandwidth | Timeout | ResetPeer | SlowClose | Slicer | LimitData


def _where(fault: object) -> str:
    return f"faults.{type(fault).__name__}(…)"


def _tail(fault: Toxic) -> str:
    upstream = ", requests" if fault.stream == "upstream" else ""
    share = f", {fault.toxicity * 100:g} % of connections" if fault.toxicity < 1 else ""
    return f" on {fault.edge}{upstream}{share}"


def _needs_edge(fault: object, edge: object) -> None:
    if isinstance(edge, Edge):
        if edge.not_interceptable:
            cure = f'name the proxy that stands on it: [[…edges]] … proxy = "NAME", or disturb another edge than {edge}'
            raise UserError(_where(fault), f"edge {edge} is not interceptable: {edge.not_interceptable}", cure=cure)
        return
    if isinstance(edge, Component):
        what, cure = f"needs an edge, got the component {edge.name!r}", f"environment.edge(source, {edge.name!r})"
    else:
        what, cure = f"needs an edge, got {edge!r:.80}", "environment.edge(source, target)"
    raise UserError(_where(fault), what, cure=f"pass {cure}")


def _check(fault: Toxic, edge: object, stream: object, toxicity: object) -> None:
    _needs_edge(fault, edge)
    if stream not in STREAMS:
        raise UserError(_where(fault), f"no stream {stream!r:.80}", allowed=STREAMS, got=str(stream))
    if isinstance(toxicity, bool) or not isinstance(toxicity, int | float) or not 0 < toxicity <= 1:
        what = f"toxicity must lie above 0 and at most at 1 (a share of connections), got {toxicity!r:.80}"
        raise UserError(_where(fault), what, cure="0 would touch nothing: leave the fault out instead")


def _whole(fault: object, name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(_where(fault), f"{name} must be a whole number, got {value!r:.80}")
    if not low <= value <= high:
        raise UserError(_where(fault), f"{name} must lie between {low} and {high}, got {value}")
