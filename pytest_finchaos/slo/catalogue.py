"""The FinTech catalogue, shipped as data, with what an environment changes of it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from importlib import resources
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.slo.objective import Indicator, Objective

__all__ = ["Indicator", "Objective", "load_objectives", "objective", "share"]

_COMMON = ("title", "operation", "indicator", "target", "alert_burn_rate")
_OF = {
    Indicator.OUTCOME: ("deadline_s",),
    Indicator.LATENCY: ("threshold_ms",),
    Indicator.VALUE: ("threshold", "unit", "time_scale"),
}
_REQUIRED = {Indicator.OUTCOME: (), Indicator.LATENCY: ("threshold_ms",), Indicator.VALUE: ("threshold",)}
_TEXTS = ("title", "operation", "indicator", "unit")
_POSITIVE = ("deadline_s", "threshold_ms", "threshold", "time_scale")


def load_objectives(overrides: Mapping[str, Mapping[str, Any]], source: str) -> Mapping[str, Objective]:
    """The catalogue, changed and extended by an environment.

    Args:
        overrides: ``[environments.X.slos.NAME]`` tables. A name of the catalogue changes that objective; another
            name defines one and needs ``operation``, ``indicator`` and ``target``.
        source: The configuration file, for messages.

    Returns:
        Objectives by name, the catalogue's first.

    Raises:
        UserError: Unknown names or keys, wrong types, targets outside (0, 1).
    """
    tables = _shipped()
    shipped = tuple(tables)
    for name, changes in overrides.items():
        where = f"{source}: slos.{name}"
        if not isinstance(changes, Mapping):
            raise UserError(
                where, f"is {changes!r}, not a table", cure='write e.g. [environments.X.slos.NAME] target = "0.999"'
            )
        if name in tables:
            if changes.get("indicator", tables[name]["indicator"]) != tables[name]["indicator"]:
                what = f"indicator = {changes['indicator']!r}, but that of {name} is {tables[name]['indicator']!r}"
                raise UserError(where, what, cure="define an objective of your own under another name")
            tables[name] = {**tables[name], **changes}
        elif "indicator" not in changes:
            raise UserError(
                where,
                f"no objective {name!r} in the catalogue",
                allowed=shipped,
                got=name,
                cure="to define a new objective, give it operation, indicator and target",
            )
        else:
            tables[name] = dict(changes)
    return {name: _parse(name, table, f"{source}: slos.{name}") for name, table in tables.items()}


def objective(name: str, objectives: Mapping[str, Objective]) -> Objective:
    """The objective of that name.

    Raises:
        UserError: When there is none, with the nearest name.
    """
    if name in objectives:
        return objectives[name]
    raise UserError(f"objective {name!r}", "no such objective", allowed=objectives, got=str(name))


def share(value: Any, where: str, key: str) -> Fraction:
    """A ratio written as a decimal string or a number, exact: ``0.9999`` is 9999/10000 and not its nearest float.

    Raises:
        UserError: Not a number, or not more than 0 and less than 1.
    """
    number = _fraction(value, where, key)
    if not 0 < number < 1:
        raise UserError(
            where,
            f"{key} = {value!r}",
            allowed=("more than 0 and less than 1, e.g. 0.999",),
            cure="what must hold always is an invariant of the ledger, not an objective" if number == 1 else None,
        )
    return number


def _shipped() -> dict[str, dict[str, Any]]:
    text = resources.files("pytest_finchaos.slo").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _parse(name: str, table: Mapping[str, Any], where: str) -> Objective:
    for key in _TEXTS:
        if key in table and not isinstance(table[key], str):
            raise UserError(where, f"{key} = {table[key]!r}", allowed=("text",))
    indicators = [indicator.value for indicator in Indicator]
    if table["indicator"] not in indicators:
        raise UserError(where, f"indicator = {table['indicator']!r}", allowed=indicators, got=table["indicator"])
    indicator = Indicator(table["indicator"])
    allowed = (*_COMMON, *_OF[indicator])
    for key in table:
        if key not in allowed:
            what = f"unknown key {key!r} of an objective whose indicator is {indicator.value!r}"
            raise UserError(where, what, allowed=allowed, got=key)
    missing = [key for key in ("operation", "target", *_REQUIRED[indicator]) if key not in table]
    if missing:
        raise UserError(where, f"{', '.join(missing)} missing", allowed=allowed)
    numbers = {key: _positive(table[key], where, key) for key in _POSITIVE if key in table}
    alert = table.get("alert_burn_rate")
    return Objective(
        name=name,
        operation=table["operation"],
        indicator=indicator,
        target=share(table["target"], where, "target"),
        title=table.get("title", ""),
        deadline_s=numbers.get("deadline_s"),
        threshold_ms=numbers.get("threshold_ms"),
        threshold=numbers.get("threshold"),
        unit=table.get("unit", ""),
        time_scale=numbers.get("time_scale", 1.0),
        alert_burn_rate=None if alert is None else _fraction(alert, where, "alert_burn_rate"),
    )


def _positive(value: Any, where: str, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise UserError(where, f"{key} = {value!r}", allowed=("a number more than 0",))
    return float(value)


def _fraction(value: Any, where: str, key: str) -> Fraction:
    if not isinstance(value, bool) and isinstance(value, int | float | str | Fraction):
        text = str(value) if isinstance(value, Fraction) else value if isinstance(value, str) else repr(value)
        try:
            return Fraction(text.strip())
        except (ValueError, ZeroDivisionError):
            pass
    raise UserError(where, f"{key} = {value!r}", allowed=('a decimal, e.g. 0.999 or "0.9999"',))
