"""Where a DB-API driver is told to connect to: placeholders filled, hosts checked, nothing secret in a message."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_finchaos.ledger.target import Target
from pytest_finchaos.model.errors import UserError

SQLITE = "sqlite3"
FILES = ("database", "path", "filename")  # arguments that name a file where no host is named
HOSTS = ("host", "hostname", "server", "hostaddr", "unix_socket")
PUBLIC = frozenset({*HOSTS, *FILES, "port", "dbname", "db", "user", "username", "charset", "timeout"})
_PLACEHOLDER = re.compile(r"\{(workdir|host|port|env)\.([A-Za-z0-9_-]+)\}")
_IN_DSN = re.compile(r"\b(?:host|server|hostaddr)\s*=\s*'?([^\s;,']+)", re.IGNORECASE)
_URL_SECRET = re.compile(r"//[^/@\s]*@|(?<=password=)[^\s;&]+|(?<=pwd=)[^\s;&]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Destination:
    """What a driver's ``connect`` is called with, and what must not be told of it.

    Args:
        arguments: Keyword arguments, filled.
        secrets: Texts that messages must not hold.
    """

    arguments: Mapping[str, Any]
    secrets: tuple[str, ...] = ()

    def told(self, text: str) -> str:
        """``text`` without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return _URL_SECRET.sub("…", text)


def destination(driver: str, connect: Mapping[str, Any], target: Target, where: str) -> Destination:
    """Fill and check.

    Args:
        driver: Module of the driver.
        connect: As declared.
        target: The running environment; its allowed hosts bound where may be connected to.
        where: ``…ledger.connect``, for messages.

    Raises:
        UserError: An unknown placeholder, a host that is not allowed, a file that is not there, or no way to tell.
    """
    filled = {name: _filled(value, target, f"{where}.{name}") for name, value in connect.items()}
    texts = {name: value for name, value in filled.items() if isinstance(value, str)}
    secrets = tuple(value for name, value in texts.items() if name not in PUBLIC and len(value) > 2)
    hosts = _hosts(texts)
    allowed = target.spec.allowed_hosts
    for host in hosts:
        if host not in allowed and not (host == "localhost" and any(map(_loopback, allowed))):
            what = f"host {host!r} is not allowed"
            raise UserError(where, what, allowed=allowed, got=host, cure="add it to allowed_hosts if it may be asked")
    if not hosts and not set(HOSTS) & set(texts):  # a socket in the file system is on this machine
        _file(driver, texts, where)
    return Destination(filled, secrets)


def _file(driver: str, texts: Mapping[str, str], where: str) -> None:
    named = [name for name in FILES if name in texts]
    if not named:
        what = f"names neither a host nor a file, so nobody can tell what {driver} would contact"
        raise UserError(where, what, cure='write connect = { host = "…", … } or { database = "/path/of/the/file" }')
    path = Path(texts[named[0]])
    if not path.is_absolute() or not path.is_file():
        cure = "name an existing file by its whole path, e.g. {workdir.COMPONENT}/name"
        raise UserError(f"{where}.{named[0]}", f"no file {path} on this machine", cure=cure)


def _hosts(texts: Mapping[str, str]) -> list[str]:
    """Every host that the arguments name, also inside a URL or a connection text; sockets in the file system none."""
    found = [text for name, text in texts.items() if name in HOSTS and not text.startswith("/")]
    for name, text in texts.items():
        if name in HOSTS:
            continue
        if "://" in text:
            found.append(urlsplit(text).hostname or "")
        found += [host for host in _IN_DSN.findall(text) if not host.startswith("/")]
    return found


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _filled(value: Any, target: Target, where: str) -> Any:
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    if whole and whole.group(1) == "port":
        return int(_fill(whole, target, where))
    return _PLACEHOLDER.sub(lambda match: _fill(match, target, where), value)


def _fill(match: re.Match[str], target: Target, where: str) -> str:
    kind, name = match.groups()
    if kind == "env":
        if name not in os.environ:
            raise UserError(where, f"the variable {name} is not set", cure=f"set {name} for pytest")
        return os.environ[name]
    if name not in target.spec.components:
        raise UserError(where, f"no component {name!r}", allowed=target.spec.components, got=name)
    host, _, port = target.direct_address(name).rpartition(":")
    made: Mapping[str, Callable[[], str]] = {
        "workdir": lambda: str(target.workdir(name)),
        "host": lambda: host,
        "port": lambda: port,
    }
    return made[kind]()
