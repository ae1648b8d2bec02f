"""A ``[gates.NAME]`` table as a frozen policy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.slo import catalogue

BLOCK = "block"
WARN = "warn"
SAME = "same"
_KEYS = (
    "require",
    "max_age_h",
    "on_undecided",
    "change_class",
    "require_checked",
    "fingerprint",
    "claims",
)


@dataclass(frozen=True, slots=True)
class ClaimSpec:
    """A ratio that the pooled steady traffic must prove.

    Args:
        slo: Name of the objective, as the reports list it.
        at_least: Share of good events, more than 0 and less than 1, exact.
    """

    slo: str
    at_least: Fraction


@dataclass(frozen=True, slots=True)
class GateSpec:
    """What a gate asks for.

    Args:
        name: Name of the table.
        require: Patterns of node ids; each must match a drill.
        max_age_h: Oldest result that counts, hours, or None for any age.
        on_undecided: ``block`` or ``warn``.
        change_class: The gate concerns changes of this class only; None for all.
        require_checked: Invariants, automatic checks or objectives that every required drill must have decided.
        same_fingerprint: All required drills of one environment must have run on the same build.
        claims: Ratios that the pooled traffic must prove.
    """

    name: str
    require: tuple[str, ...]
    max_age_h: float | None = None
    on_undecided: str = BLOCK
    change_class: str | None = None
    require_checked: tuple[str, ...] = ()
    same_fingerprint: bool = False
    claims: tuple[ClaimSpec, ...] = ()


def parse(name: str, table: Any, source: str) -> GateSpec:
    """The policy of one table.

    Args:
        name: Name of the gate.
        table: The table under ``[gates.NAME]``.
        source: The file, for messages.

    Raises:
        UserError: Unknown keys, wrong types, an empty ``require``, a share outside (0, 1).
    """
    where = f"{source}: gates.{name}"
    if not isinstance(table, Mapping):
        raise UserError(where, f"is {table!r}, not a table", cure=f"write [gates.{name}] and below it require = […]")
    for key in table:
        if key not in _KEYS:
            raise UserError(where, f"unknown key {key!r}", allowed=_KEYS, got=str(key))
    age = table.get("max_age_h")
    if age is not None and (isinstance(age, bool) or not isinstance(age, int | float) or not 0 < age < float("inf")):
        raise UserError(where, f"max_age_h = {age!r}", allowed=("a number of hours, more than 0",))
    fingerprint = table.get("fingerprint")
    if fingerprint not in (None, SAME):
        raise UserError(where, f"fingerprint = {fingerprint!r}", allowed=(SAME,), got=str(fingerprint))
    return GateSpec(
        name=name,
        require=_require(table, where),
        max_age_h=None if age is None else float(age),
        on_undecided=_choice(table, "on_undecided", (BLOCK, WARN), where),
        change_class=_class(table, where),
        require_checked=_texts(table, "require_checked", where),
        same_fingerprint=fingerprint == SAME,
        claims=_claims(table, where),
    )


def gate(gates: Mapping[str, Any], name: str, source: str) -> GateSpec:
    """The gate of that name.

    Raises:
        UserError: There is none, or its table is wrong.
    """
    if name not in gates:
        raise UserError(
            f"gate {name!r}",
            f"{source} has no [gates.{name}]",
            allowed=sorted(gates),
            got=name,
            cure=f"add [gates.{name}] with require = […]" if not gates else None,
        )
    return parse(name, gates[name], source)


def concerns(spec: GateSpec, change_class: str | None, known: Iterable[str]) -> bool:
    """Whether the gate concerns a change of that class.

    A change whose class is not told is concerned by every gate: what is unknown is not let through.

    Args:
        spec: The gate.
        change_class: The class as told by the caller, or None.
        known: The classes that the gates of the file name.

    Raises:
        UserError: The class is spelled almost like a known one: a typing mistake must not switch a gate off.
    """
    if spec.change_class is None or change_class is None or change_class == spec.change_class:
        return True
    allowed = sorted(set(known))
    if change_class not in allowed:
        error = UserError("--change-class", f"{change_class!r} is named by no gate", allowed=allowed, got=change_class)
        if error.suggestion is not None:
            raise error
    return False


def matches(pattern: str, node_id: str) -> bool:
    """Whether a pattern means a drill.

    ``*`` and ``?`` are wild, also across ``/`` and ``::``; brackets are themselves, as node ids hold them. As for
    pytest, a folder, a file or a test without its parameters means everything in it.
    """
    translated = "".join(".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch(rf"{translated.rstrip('/') or '/'}(?:(?:/|::|\[).*)?", node_id, re.DOTALL) is not None


def _require(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    patterns = _texts(table, "require", where)
    if not patterns:
        raise UserError(
            where,
            "require is missing or empty: a gate that asks for nothing would let everything through",
            cure='require = ["tests/resilience/*"]',
        )
    return patterns


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
        raise UserError(where, f"{key} = {values!r}", allowed=("a list of texts",))
    return tuple(dict.fromkeys(values))


def _choice(table: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str) -> str:
    value = table.get(key, allowed[0])
    if value not in allowed:
        raise UserError(where, f"{key} = {value!r}", allowed=allowed, got=str(value))
    return str(value)


def _class(table: Mapping[str, Any], where: str) -> str | None:
    value = table.get("change_class")
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise UserError(where, f"change_class = {value!r}", allowed=('a text, e.g. "payment-path"',))
    return value


def _claims(table: Mapping[str, Any], where: str) -> tuple[ClaimSpec, ...]:
    rows = table.get("claims", [])
    example = '[{ slo = "payment-success", at_least = "0.9999" }]'
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise UserError(where, f"claims = {rows!r}", allowed=(f"a list of tables, e.g. {example}",))
    claims = []
    for at, row in enumerate(rows):
        place = f"{where}.claims.{at}"
        for key in row:
            if key not in ("slo", "at_least"):
                raise UserError(place, f"unknown key {key!r}", allowed=("slo", "at_least"), got=str(key))
        slo = row.get("slo")
        if not isinstance(slo, str) or not slo:
            raise UserError(place, f"slo = {slo!r}", allowed=("the name of an objective",))
        if "at_least" not in row:
            raise UserError(place, "missing: at_least", cure=f"claims = {example}")
        claims.append(ClaimSpec(slo, catalogue.share(row["at_least"], place, "at_least")))
    return tuple(claims)
