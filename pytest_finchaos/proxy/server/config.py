"""The bodies that describe proxies: of a request, of ``/populate``, and the file that is the same array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.proxy.server.errors import ApiError, bad_body

DEFAULT_LISTEN = "127.0.0.1:0"


def read_json(raw: bytes) -> Any:
    """The value of a body; an empty body is an error.

    Raises:
        ApiError: 400.
    """
    try:
        return json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise bad_body(str(error)[:200] or "too deep") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def read_object(raw: bytes) -> Mapping[str, Any]:
    """The object that a body holds.

    Raises:
        ApiError: 400.
    """
    plain = read_json(raw)
    if not isinstance(plain, Mapping):
        raise bad_body(f"expected an object, got {type(plain).__name__}")
    return plain


def read_proxy(body: Mapping[str, Any], at: str = "") -> tuple[str, str, str, bool]:
    """Name, listen, upstream, enabled of a new proxy.

    Raises:
        ApiError: 400.
    """
    name, upstream = text(body, "name"), text(body, "upstream")
    if not name:
        raise ApiError(400, f"missing required field: name{at}")
    if not upstream:
        raise ApiError(400, f"missing required field: upstream{at}")
    enabled = flag(body, "enabled")
    return name, text(body, "listen") or DEFAULT_LISTEN, upstream, True if enabled is None else enabled


def read_proxies(raw: bytes) -> list[tuple[str, str, str, bool]]:
    """What an array of proxies describes.

    Raises:
        ApiError: 400.
    """
    plain = read_json(raw)
    if not isinstance(plain, list):
        raise bad_body(f"expected an array, got {type(plain).__name__}")
    wanted = []
    for number, body in enumerate(plain, 1):
        if not isinstance(body, Mapping):
            raise bad_body(f"expected an object at proxy {number}, got {type(body).__name__}")
        wanted.append(read_proxy(body, f" at proxy {number}"))
    return wanted


def text(body: Mapping[str, Any], key: str) -> str | None:
    """A text field, None when absent.

    Raises:
        ApiError: 400 when it is something else.
    """
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise bad_body(f"{key} must be text, got {value!r:.80}")
    return value


def flag(body: Mapping[str, Any], key: str) -> bool | None:
    """A boolean field, None when absent.

    Raises:
        ApiError: 400 when it is something else.
    """
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise bad_body(f"{key} must be true or false, got {value!r:.80}")
    return value


def load_file(path: Path) -> list[tuple[str, str, str, bool]]:
    """The proxies of a configuration file.

    Raises:
        UserError: When it cannot be read or is wrong; the original starts without proxies then, silently.
    """
    try:
        return read_proxies(path.read_bytes())
    except OSError as error:
        raise UserError(str(path), error.strerror or str(error)) from None
    except ApiError as error:
        cure = 'an array like [{"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:5432"}]'
        raise UserError(str(path), error.text, cure=cure) from None
