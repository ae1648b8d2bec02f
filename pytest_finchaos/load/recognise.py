"""Reads a request that somebody else made: which declared operation, which key and values; `render` backwards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pytest_finchaos.load.request import MAJOR, placeholders, refuse_card_number
from pytest_finchaos.model.spec import OperationSpec

KEY_HEADER = "Idempotency-Key"  # where a key is looked for when no operation says where it stands
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)\}")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it leaves; its values may be secret, so its repr shows none.

    Args:
        method: HTTP method.
        url: Absolute URL.
        headers: Name to value.
        body: Bytes or text as sent, or what is to be sent as JSON or as a form.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a request is.

    Args:
        operation: The declared operation, or None.
        key: Idempotency key, "" without one.
        values: Placeholder values that were read from it.
        unlike: In which way it differs from the declaration, so that its values are not to be trusted; "" when not.
    """

    operation: OperationSpec | None
    key: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    unlike: str = ""


class _Unlike(Exception):
    """A request and a template differ."""


def recognise(operations: Mapping[str, OperationSpec], sent: Sent, name: str = "") -> Recognised:
    """Find the operation that ``sent`` is: by its name in the locustfile, else by method and path.

    Args:
        operations: The environment's operations.
        sent: The request.
        name: The name that the locustfile gave it, or "".

    Returns:
        The operation with key and values; ``unlike`` says why they cannot be relied on.

    Raises:
        UserError: A value looks like a card number.
    """
    headers = {header.lower(): str(value) for header, value in sent.headers.items()}
    key = headers.get(KEY_HEADER.lower(), "")
    operation = operations.get(name) or _by_path(operations, sent)
    if operation is None:
        return Recognised(None, key)
    values: dict[str, Any] = {}
    try:
        values = _read(operation, sent, headers)
        unlike = ""
    except _Unlike as difference:
        unlike = str(difference)
    if operation.setup:
        values = {}  # a login's are secrets
    for value in values.values():
        if isinstance(value, str):
            refuse_card_number(value, f"operation {operation.name!r} of the locustfile")
    return Recognised(operation, str(values.pop("key", key)), values, unlike)


def _by_path(operations: Mapping[str, OperationSpec], sent: Sent) -> OperationSpec | None:
    path = urlsplit(sent.url).path or "/"
    found = [
        operation
        for operation in operations.values()
        if operation.method == sent.method.upper() and _pattern(urlsplit(operation.path).path, "[^/]+").fullmatch(path)
    ]
    return min(found, key=lambda operation: len(placeholders(operation)), default=None)


def _read(operation: OperationSpec, sent: Sent, headers: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    path = urlsplit(sent.url)
    template = urlsplit(operation.path)
    _text(template.path, path.path or "/", values, "its path", one="[^/]+", decode=True)
    if template.query:
        _unify(dict(parse_qsl(template.query)), dict(parse_qsl(path.query)), values, "its query")
    for name, text in operation.headers.items():
        if "{key}" in text or not _PLACEHOLDER.search(text):  # other values in headers are logins: not kept
            if name.lower() not in headers:
                raise _Unlike(f"it has no header {name}")
            if "{key}" in text:
                _text(text, headers[name.lower()], values, f"its header {name}")
    if operation.body is not None:
        _unify(operation.body, _plain(operation, sent.body), values, "its body")
    if MAJOR in values:
        raise _Unlike(f"its amount stands as {{{MAJOR}}}, which is not read back")
    return values


def _plain(operation: OperationSpec, body: Any) -> Any:
    if isinstance(body, bytes | bytearray):
        body = bytes(body).decode(errors="replace")
    if not isinstance(body, str):
        return body
    if operation.encoding == "form":
        return dict(parse_qsl(body))
    try:
        return json.loads(body)
    except ValueError:
        raise _Unlike("its body is no JSON") from None


def _unify(template: Any, actual: Any, values: dict[str, Any], where: str) -> None:
    """Bind the template's placeholders to what stands in their places; all else must be equal."""
    if isinstance(template, Mapping):
        if not isinstance(actual, Mapping) or set(actual) != set(template):
            raise _Unlike(f"{where} has other fields than declared")
        for name, item in template.items():
            _unify(item, actual[name], values, f"{where}: {name}")
    elif isinstance(template, list | tuple):
        if not isinstance(actual, list | tuple) or len(actual) != len(template):
            raise _Unlike(f"{where} has another length than declared")
        for item, other in zip(template, actual, strict=True):
            _unify(item, other, values, where)
    elif isinstance(template, str) and (whole := _PLACEHOLDER.fullmatch(template)):
        _bind(whole.group(1), actual, values, where)
    elif isinstance(template, str) and _PLACEHOLDER.search(template):
        _text(template, str(actual), values, where)
    elif template != actual:
        raise _Unlike(f"{where} is not as declared")


def _text(
    template: str, actual: str, values: dict[str, Any], where: str, one: str = ".+?", *, decode: bool = False
) -> None:
    match = _pattern(template, one).fullmatch(actual)
    if match is None:
        raise _Unlike(f"{where} is not as declared")
    for name, text in zip(_PLACEHOLDER.findall(template), match.groups(), strict=True):
        _bind(name, unquote(text) if decode else text, values, where)


def _bind(name: str, value: Any, values: dict[str, Any], where: str) -> None:
    if not isinstance(value, str | int | float | bool):
        raise _Unlike(f"{where} holds no plain value")
    if name == "amount_minor" and isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)  # forms and paths hold text only
    if values.setdefault(name, value) != value:
        raise _Unlike(f"{where} holds another {name} than the rest of the request")


def _pattern(template: str, one: str) -> re.Pattern[str]:
    return re.compile("".join(_pieces(template, one)), re.DOTALL)


def _pieces(template: str, one: str) -> Iterator[str]:
    for at, piece in enumerate(_PLACEHOLDER.split(template)):
        yield f"({one})" if at % 2 else re.escape(piece)
