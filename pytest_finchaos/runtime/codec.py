"""The one codec: frozen dataclasses and enums to JSON and back, checked against the annotations."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class CodecError(ValueError):
    """A value that cannot cross: its path and what was expected."""


def to_plain(value: Any) -> Any:
    """``value`` as JSON-able data: dataclasses become objects, enums their value, tuples lists.

    Raises:
        CodecError: For a type that has no plain form (money must be int, so ``Decimal`` is refused too).
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, Path):
        return str(value)
    raise CodecError(f"no plain form for {type(value).__name__}: {value!r}")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        return str(key.value)
    if isinstance(key, str):
        return key
    raise CodecError(f"a key must be text, not {type(key).__name__}: {key!r}")


def dumps(value: Any) -> str:
    """Compact JSON with sorted keys, always encodable as UTF-8.

    Raises:
        CodecError: For NaN and infinities, which JSON does not know, and as `to_plain`.
    """
    text = _json(value, ascii_only=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, e.g. from a file name that is no UTF-8: escaped, it survives
        text = _json(value, ascii_only=True)
    return text


def _json(value: Any, *, ascii_only: bool) -> str:
    try:
        return json.dumps(
            to_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=ascii_only
        )
    except ValueError as error:
        raise CodecError(str(error)) from None


def loads(kind: type[T], text: str) -> T:
    """The value of type ``kind`` that ``text`` holds.

    Raises:
        CodecError: When the text is no JSON or does not fit; the message names the path.
    """
    try:
        plain = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise CodecError(f"not JSON: {error}") from None
    value: T = from_plain(kind, plain)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def from_plain(kind: Any, plain: Any, path: str = "$") -> Any:
    """``plain`` rebuilt as ``kind``; unknown keys are ignored so that newer files can be read."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return plain
    if origin in (typing.Union, types.UnionType):
        return _from_union(kind, plain, path)
    if dataclasses.is_dataclass(kind):
        return _from_object(kind, plain, path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(plain)
        except ValueError as error:
            raise CodecError(f"{path}: {error}") from None
    if origin is not None:
        return _from_generic(kind, origin, plain, path)
    if kind is Path and isinstance(plain, str):
        return Path(plain)
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if kind is type(None) and plain is None:
        return None
    if isinstance(kind, type) and isinstance(plain, kind) and not (kind is int and isinstance(plain, bool)):
        return plain
    raise CodecError(f"{path}: expected {getattr(kind, '__name__', kind)}, got {type(plain).__name__}")


def _from_union(kind: Any, plain: Any, path: str) -> Any:
    problems = []
    for choice in typing.get_args(kind):
        try:
            return from_plain(choice, plain, path)
        except CodecError as error:
            problems.append(str(error))
    raise CodecError("; ".join(problems))


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _from_object(kind: Any, plain: Any, path: str) -> Any:
    if not isinstance(plain, Mapping):
        raise CodecError(f"{path}: expected an object, got {type(plain).__name__}")
    hints = _hints(kind)
    values = {
        field.name: from_plain(hints[field.name], plain[field.name], f"{path}.{field.name}")
        for field in dataclasses.fields(kind)
        if field.name in plain
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise CodecError(f"{path}: {error}") from None


def _from_generic(kind: Any, origin: Any, plain: Any, path: str) -> Any:
    arguments = typing.get_args(kind)
    if origin is tuple:
        if not isinstance(plain, Sequence) or isinstance(plain, str):
            raise CodecError(f"{path}: expected a list, got {type(plain).__name__}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(from_plain(arguments[0], item, f"{path}[{at}]") for at, item in enumerate(plain))
        if len(arguments) != len(plain):
            raise CodecError(f"{path}: expected {len(arguments)} items, got {len(plain)}")
        return tuple(
            from_plain(of, item, f"{path}[{at}]") for at, (of, item) in enumerate(zip(arguments, plain, strict=True))
        )
    if origin in (frozenset, set, list):
        return origin(from_plain(arguments[0], item, f"{path}[{at}]") for at, item in enumerate(plain))
    if isinstance(plain, Mapping) and issubclass(origin, Mapping):
        return {
            from_plain(arguments[0], key, f"{path}.{key}"): from_plain(arguments[1], item, f"{path}.{key}")
            for key, item in plain.items()
        }
    raise CodecError(f"{path}: expected {kind}, got {type(plain).__name__}")
