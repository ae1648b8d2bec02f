"""What a Compose file says of a system: services with a published port, stores among them, their health checks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError

STORES = re.compile(
    r"(^|/)(postgres|postgis|timescale|mysql|mariadb|mongo|redis|valkey|kafka|zookeeper|rabbitmq|nats|cassandra|"
    r"elasticsearch|opensearch|minio|toxiproxy|jaeger|prometheus|grafana|adminer|mailhog|memcached)",
    re.IGNORECASE,
)
VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)")
URL_PATH = re.compile(r"https?://[^/\s\"']+(/[^\s\"'|&;\]]*)")
NAME = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Service:
    """One service with a port on this machine.

    Args:
        name: Its name.
        port: Published port.
        inner: Port inside its container.
        store: True for databases, brokers and tools: the load does not enter there.
        ready: Path of its health check, None when it tells none.
    """

    name: str
    port: int
    inner: int
    store: bool = False
    ready: str | None = None


def read(path: Path) -> tuple[Service, ...]:
    """The services of a Compose file that publish a port, those that the load may enter first.

    Raises:
        UserError: No such file, not a Compose file, no service with a published port.
    """
    import yaml

    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("--compose", f"{path} cannot be read: {error}", cure="name an existing file") from None
    except yaml.YAMLError as error:
        raise UserError("--compose", f"{path} is not YAML: {str(error).splitlines()[0]}") from None
    services = document.get("services") if isinstance(document, Mapping) else None
    if not isinstance(services, Mapping):
        raise UserError("--compose", f"{path} is no Compose file: it has no table services", cure="name another file")
    found = [service for name, table in services.items() for service in _service(str(name), table)]
    if not found:
        raise UserError(
            "--compose",
            f"no service of {path} publishes a port of this machine",
            cure='publish the one that the load should enter: ports: ["8080:80"]',
        )
    return tuple(sorted(found, key=lambda service: service.store))


def _service(name: str, table: Any) -> Iterator[Service]:
    if not isinstance(table, Mapping):
        return
    published = [pair for given in table.get("ports") or () if (pair := ports(given)) is not None]
    if not published:
        return
    port, inner = published[0]
    store = bool(STORES.search(str(table.get("image") or "")))
    yield Service(NAME.sub("-", name)[:40], port, inner, store, None if store else health(table))


def ports(given: Any) -> tuple[int, int] | None:
    """Published and inner port of one entry of ``ports``; None for ranges, UDP, and ports that Docker chooses."""
    if isinstance(given, Mapping):
        if given.get("protocol", "tcp") != "tcp" or not given.get("published"):
            return None
        text = f"{given['published']}:{given.get('target', given['published'])}"
    else:
        text = str(given)
    text, _, protocol = filled(text).partition("/")
    words = text.rsplit(":", 2)
    if protocol not in ("", "tcp") or len(words) < 2:
        return None
    try:
        published, inner = int(words[-2]), int(words[-1])
    except ValueError:
        return None
    return (published, inner) if 0 < published < 65_536 and 0 < inner < 65_536 else None


def health(table: Mapping[str, Any]) -> str | None:
    """The path that the health check of a service asks for."""
    check = table.get("healthcheck")
    test = check.get("test") if isinstance(check, Mapping) else None
    found = URL_PATH.search(" ".join(map(str, test)) if isinstance(test, list) else str(test or ""))
    return found.group(1) if found else None


def filled(text: str) -> str:
    """Variables of Compose filled from the environment or by their default."""
    return VARIABLE.sub(lambda found: os.environ.get(found[1] or found[3], found[2] or ""), text)
