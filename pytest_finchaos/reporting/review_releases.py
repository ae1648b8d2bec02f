"""Releases of a drill as rows of words: what was tried, what was decided, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_finchaos.model import currency

COLUMNS = ("component", "version", "decision", "requests", "payments", "amount", "took")


def words(release: Any) -> dict[str, str]:
    """One release; a field that it does not have is a dash.

    Args:
        release: Of `DrillResult.releases`, or a mapping with the same names.
    """

    def field(*names: str) -> Any:
        for name in names:
            value = release.get(name) if isinstance(release, Mapping) else getattr(release, name, None)
            if value is not None:
                return value
        return None

    exposed = field("exposed")
    amounts = field("exposed_minor", "amount_minor", "exposed_amount_minor")
    row = {
        "component": field("component"),
        "version": field("version"),
        "decision": field("decision", "outcome") or _decision(field("promoted")),
        "requests": exposed if isinstance(exposed, int) else field("exposed_requests", "requests"),
        "payments": field("exposed_payments", "payments"),
        "amount": currency.spell_all(amounts) if isinstance(amounts, Mapping) and amounts else None,
        "took": field("text"),
    }
    return {name: _text(value) for name, value in row.items()}


def _decision(promoted: Any) -> str | None:
    return None if promoted is None else "promoted" if promoted else "not promoted"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(getattr(value, "value", value))
    )
