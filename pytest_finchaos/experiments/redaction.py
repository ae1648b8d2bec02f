"""Secrets out of what is kept: their values wherever they stand, and the section itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
SHORT = 4  # a shorter value is replaced only where it is a whole text, else "1" would blacken every figure


def values_of(secrets: Any) -> tuple[str, ...]:
    """Every text and number in resolved ``secrets``, longest first."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, Mapping):
            for item in value.values():
                collect(item)
        elif isinstance(value, list | tuple):
            for item in value:
                collect(item)
        elif isinstance(value, bytes):
            found.add(value.decode(errors="replace"))
        elif value is not None and not isinstance(value, bool) and str(value):
            found.add(str(value))

    collect(secrets)
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def redact_text(text: str, values: Iterable[str]) -> str:
    """``text`` without the values, also where they stand percent-encoded or in base64."""
    for value in values:
        if len(value) < SHORT:
            text = REDACTED if text == value else text
            continue
        for form in (value, quote(value, safe=""), base64.b64encode(value.encode()).decode().rstrip("=")):
            text = text.replace(form, REDACTED)
    return text


def redact(plain: Any, values: tuple[str, ...]) -> Any:
    """A copy of JSON data without the values; whole numbers that are secrets are replaced too."""
    if isinstance(plain, Mapping):
        return {redact_text(str(key), values): redact(item, values) for key, item in plain.items()}
    if isinstance(plain, list | tuple):
        return [redact(item, values) for item in plain]
    if isinstance(plain, str):
        return redact_text(plain, values)
    if isinstance(plain, int | float) and not isinstance(plain, bool) and str(plain) in values:
        return REDACTED
    return plain


def redact_journal(journal: Mapping[str, Any], values: tuple[str, ...]) -> dict[str, Any]:
    """A journal as it may be kept: inline secrets of the experiment are replaced whatever they are."""
    kept: dict[str, Any] = redact(journal, values)
    experiment = kept.get("experiment")
    if isinstance(experiment, dict) and "secrets" in experiment:
        experiment["secrets"] = _section(experiment["secrets"])
    return kept


def _section(secrets: Any) -> Any:
    """Where a secret comes from may be told (``type: env, key: …``), what it is not."""
    if isinstance(secrets, Mapping):
        if secrets.get("type") in ("env", "vault"):
            return dict(secrets)
        return {key: _section(value) for key, value in secrets.items()}
    return REDACTED
