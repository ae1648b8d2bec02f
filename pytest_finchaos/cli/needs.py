"""What a configuration needs of its machine, read from its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ENGINES = ("docker", "podman", "docker-compose", "podman-compose", "nerdctl")


@dataclass(frozen=True, slots=True)
class Needs:
    """What the environments of a configuration use.

    Args:
        backends: Environment to backend.
        proxy: True when an edge is declared, so faults on it need a Toxiproxy of ours or of theirs.
        postgres: True when a component is a PostgreSQL that the harness starts.
        versions: Components with two or more versions, which need a router.
        programs: Programs that are started by name: component commands, start and stop commands.
        drivers: Python modules that read a ledger.
        toxiproxies: Addresses of Toxiproxy servers that the systems use.
        addresses: ``host:port`` of attached components.
        hosts: Hosts that may be contacted.
    """

    backends: Mapping[str, str]
    proxy: bool = False
    postgres: bool = False
    versions: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    toxiproxies: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    hosts: tuple[str, ...] = LOOPBACK

    @property
    def engine(self) -> bool:
        """True when containers are started: by the backend, or by a start command."""
        return "containers" in self.backends.values() or any(_name(word) in ENGINES for word in self.programs)

    @property
    def kubernetes(self) -> bool:
        """True when an environment lives in a cluster."""
        return "kubernetes" in self.backends.values()

    def allows(self, url: str) -> bool:
        """True when the host of ``url`` may be contacted."""
        try:
            host = urlsplit(url if "//" in url else f"//{url}").hostname
        except ValueError:
            return False
        return host in self.hosts


NOTHING = Needs({})


def of(document: Mapping[str, Any]) -> Needs:
    """The needs of a parsed finchaos.toml; what is malformed in it is passed over, the checker of it tells."""
    tables = {name: table for name, table in _table(document, "environments").items() if isinstance(table, Mapping)}
    found = Gathered()
    for name, table in tables.items():
        found.environment(str(name), table)
    return found.needs()


class Gathered:
    """What has been seen so far."""

    def __init__(self) -> None:
        self._backends: dict[str, str] = {}
        self._proxy = self._postgres = False
        self._lists: dict[str, dict[str, None]] = {}  # dicts as ordered sets

    def environment(self, name: str, table: Mapping[str, Any]) -> None:
        """Add one environment."""
        backend = self._backends[name] = str(table.get("backend", ""))
        self._proxy |= bool(table.get("edges"))
        for kind in ("start", "stop"):
            self._add("programs", _first(table.get(kind)))
        self._add("toxiproxies", table.get("toxiproxy"))
        hosts = table.get("allowed_hosts", ())
        for host in hosts if isinstance(hosts, list) else ():
            self._add("hosts", host)
        ledger = _table(table, "ledger")
        self._add("drivers", ledger.get("driver"))
        for component, spec in _table(table, "components").items():
            if isinstance(spec, Mapping):
                self._component(f"{name}.{component}", backend, spec)

    def _component(self, name: str, backend: str, spec: Mapping[str, Any]) -> None:
        self._postgres |= spec.get("kind") == "postgres"
        versions = _table(spec, "versions")
        if len(versions) > 1:
            self._add("versions", name)
        for command in (spec.get("command"), *(_table(versions, key).get("command") for key in versions)):
            self._add("programs", _first(command))
        if backend == "attach":
            self._add("addresses", spec.get("address"))

    def _add(self, where: str, value: Any) -> None:
        if isinstance(value, str) and value:
            self._lists.setdefault(where, {})[value] = None

    def _of(self, where: str) -> tuple[str, ...]:
        return tuple(self._lists.get(where, ()))

    def needs(self) -> Needs:
        """The sum."""
        return Needs(
            self._backends,
            proxy=self._proxy,
            postgres=self._postgres,
            versions=self._of("versions"),
            programs=self._of("programs"),
            drivers=self._of("drivers"),
            toxiproxies=self._of("toxiproxies"),
            addresses=self._of("addresses"),
            hosts=tuple(dict.fromkeys([*self._of("hosts"), *(LOOPBACK if not self._of("hosts") else ())])),
        )


def _first(command: Any) -> str:
    """The program of a command, "" for a placeholder, which the harness fills in."""
    if not isinstance(command, list) or not command or not isinstance(command[0], str):
        return ""
    return "" if "{" in command[0] else command[0]


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = table.get(key, {})
    return found if isinstance(found, Mapping) else {}


def _name(program: str) -> str:
    return program.rpartition("/")[2]


def joined(words: Iterable[str]) -> str:
    """Words for a sentence."""
    return ", ".join(words) or "none"
