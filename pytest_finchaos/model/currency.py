"""Money as people read it; integer minor units in, text out, never a float between."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

# Digits after the point where they are not two (ISO 4217).
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_AMOUNT = re.compile(r"(-?)([0-9]{1,24})(?:\.([0-9]{1,24}))?")


def spell(amount_minor: int, currency: str) -> str:
    """``1,234.56 EUR`` for 123456 minor units; JPY without decimals, KWD with three.

    Args:
        amount_minor: Integer minor units.
        currency: ISO 4217 code; without one the figure is printed as minor units.
    """
    if not currency:
        return f"{amount_minor:,} minor units"
    whole, point, decimals = major(amount_minor, currency).partition(".")
    return f"{int(whole):,}{point}{decimals} {currency}" if int(whole) else f"{whole}{point}{decimals} {currency}"


def exponent(currency: str) -> int:
    """Digits after the point (ISO 4217): 2 for EUR, 0 for JPY, 3 for KWD."""
    return next((digits for digits, names in _DIGITS.items() if currency in names.split()), 2)


def major(amount_minor: int, currency: str) -> str:
    """``1234.56`` for 123456 minor units: decimal text, exact.

    Args:
        amount_minor: Integer minor units.
        currency: ISO 4217 code.
    """
    digits = exponent(currency)
    whole, rest = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def minor(amount: int | str | Decimal, currency: str) -> int:
    """123456 for ``1234.56``: integer minor units of an amount in major units, exact.

    Args:
        amount: Whole number, decimal text or `Decimal`; never a float.
        currency: ISO 4217 code.

    Raises:
        ValueError: No such number, or more digits after the point than the currency has.
    """
    text = f"{amount:f}" if isinstance(amount, Decimal) else str(amount).strip()
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no amount")
    sign, whole, decimals = found.group(1), found.group(2), (found.group(3) or "").rstrip("0")
    digits = exponent(currency)
    if len(decimals) > digits:
        raise ValueError(f"{text[:40]!r} has more digits after the point than {currency or 'two'} allows ({digits})")
    return int(f"{sign}{whole}{decimals:0<{digits}}")


def spell_all(amounts_minor: Mapping[str, int]) -> str:
    """``1,234.56 EUR and 500 JPY``, by currency; "" for none."""
    words = [spell(amount_minor, currency) for currency, amount_minor in sorted(amounts_minor.items())]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
