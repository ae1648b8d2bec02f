"""Toxics as the API sees them: kinds, their attributes with limits, and the body of a request read into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_finchaos.model.errors import suggest
from pytest_finchaos.proxy.server.errors import ApiError, bad_body

STREAMS = ("upstream", "downstream")
DAY_MS = 86_400_000
MOST_BYTES = 2**62
MOST_RATE = 2**32  # kilobytes per second


@dataclass(frozen=True, slots=True)
class Limits:
    """Allowed values of one attribute, inclusive; ``default`` when it is absent."""

    low: int
    high: int
    default: int = 0


KINDS: Mapping[str, Mapping[str, Limits]] = {
    "noop": {},
    "latency": {"latency": Limits(0, DAY_MS), "jitter": Limits(0, DAY_MS)},
    "bandwidth": {"rate": Limits(0, MOST_RATE)},
    "slow_close": {"delay": Limits(0, DAY_MS)},
    "timeout": {"timeout": Limits(0, DAY_MS)},
    "reset_peer": {"timeout": Limits(0, DAY_MS)},
    "slicer": {
        "average_size": Limits(1, MOST_BYTES),
        "size_variation": Limits(0, MOST_BYTES),
        "delay": Limits(0, DAY_MS * 1000),
    },
    "limit_data": {"bytes": Limits(0, MOST_BYTES)},
}


@dataclass(slots=True)
class Toxic:
    """One toxic on a proxy; attributes and toxicity can change while it acts.

    Args:
        name: Unique on its proxy.
        kind: Key of `KINDS`.
        stream: ``upstream`` (client to server) or ``downstream``.
        toxicity: Share of connections, 0 to 1.
        attributes: Complete, validated.
    """

    name: str
    kind: str
    stream: str
    toxicity: float
    attributes: dict[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "attributes": dict(self.attributes),
            "name": self.name,
            "type": self.kind,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


def read_toxic(body: Mapping[str, Any]) -> Toxic:
    """The toxic that a request's body describes.

    Raises:
        ApiError: 400, with what was wrong and what is allowed.
    """
    stream = _text(body, "stream", "downstream").lower()
    if stream not in STREAMS:
        raise ApiError(400, "stream was invalid, can be either upstream or downstream")
    kind = _text(body, "type", "")
    if kind not in KINDS:
        near = suggest(kind, KINDS)
        hint = (
            f" {kind[:80]!r};{f' did you mean {near!r}?' if near else ''} allowed: {', '.join(KINDS)}" if kind else ""
        )
        raise ApiError(400, f"invalid toxic type{hint}")
    name = _text(body, "name", "") or f"{kind}_{stream}"
    attributes = read_attributes(kind, body.get("attributes"), {})
    return Toxic(name, kind, stream, read_toxicity(body.get("toxicity"), 1.0), attributes)


def read_toxicity(given: Any, default: float) -> float:
    """A share between 0 and 1; None stands for ``default``."""
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise bad_body(f"toxicity must be a number, got {given!r:.80}")
    if not 0 <= given <= 1:
        raise bad_body(f"toxicity must lie between 0 and 1, got {given!r:.80}")
    return float(given)


def read_attributes(kind: str, given: Any, present: Mapping[str, int]) -> dict[str, int]:
    """``present`` with what was given, checked; a kind's defaults where neither says anything.

    Raises:
        ApiError: 400 for an unknown attribute, a value that is no integer, or one out of bounds.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise bad_body(f"attributes must be an object, got {type(given).__name__}")
    known = KINDS[kind]
    for name in given:
        if name not in known:
            near = suggest(name, known)
            hint = f"; did you mean {near!r}?" if near else ""
            raise bad_body(f"{kind} has no attribute {name[:80]!r}{hint}; allowed: {', '.join(known) or 'none'}")
    values = {
        name: _integer(kind, name, given.get(name, present.get(name, at.default)), at) for name, at in known.items()
    }
    if kind == "slicer" and values["size_variation"] > values["average_size"]:
        raise bad_body(
            f"slicer.size_variation must not exceed average_size {values['average_size']}, "
            f"got {values['size_variation']}"
        )
    return values


def _integer(kind: str, name: str, value: Any, limits: Limits) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # some clients know only one kind of number
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_body(f"{kind}.{name} must be an integer, got {value!r:.80}")
    if not limits.low <= value <= limits.high:
        shown = value if abs(value) < 10**30 else "a number of more than 30 digits"
        raise bad_body(f"{kind}.{name} must lie between {limits.low} and {limits.high}, got {shown}")
    return value


def _text(body: Mapping[str, Any], key: str, default: str) -> str:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise bad_body(f"{key} must be text, got {value!r:.80}")
    return value
