"""Handles that tests hold: an edge, a component, and what runs behind a component now."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edge:
    """One declared connection of a running environment, with the fault proxy on it.

    Args:
        environment: Environment id.
        source: Component name or ``clients``.
        target: Component name.
        proxy: Name of the proxy in the Toxiproxy API.
        api_url: Base URL of that API, e.g. ``http://127.0.0.1:8474``.
        listen: ``host:port`` that the source is given.
        upstream: ``host:port`` of the target itself.
        protocol: ``http``, ``postgres`` or ``tcp``: how an effect can be probed.
        probe_path: For ``http``: a path that answers.
        not_interceptable: Why no fault can act on it and there is no proxy, or "".
    """

    environment: str
    source: str
    target: str
    proxy: str
    api_url: str
    listen: str
    upstream: str
    protocol: str
    probe_path: str = "/"
    not_interceptable: str = ""

    def __str__(self) -> str:
        return f"{self.source}→{self.target}"


@dataclass(frozen=True, slots=True)
class Instance:
    """The process that is a component now.

    Args:
        component: Component name.
        instance: Instance id: build digest's first 12 hex digits, a dash and a nonce.
        pid: Process id of its root process.
        started_ticks: Start time of that process in clock ticks (``/proc/PID/stat`` field 22): with the
            pid it names a process for good.
        build: sha256 of the build, hex.
        address: ``host:port`` where it listens.
        ready_at_ns: CLOCK_MONOTONIC.
    """

    component: str
    instance: str
    pid: int
    started_ticks: int
    build: str
    address: str
    ready_at_ns: int


@dataclass(frozen=True, slots=True)
class Component:
    """A component of a running environment, as a test holds it.

    Args:
        environment: Environment id.
        name: Component name.
        kind: ``process`` or ``postgres``.
        restart: ``always`` or ``never``.
        probe_path: HTTP path that answers when it is well, or None.
    """

    environment: str
    name: str
    kind: str
    restart: str
    probe_path: str | None = None

    def __str__(self) -> str:
        return self.name
