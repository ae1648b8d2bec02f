"""Money as people read it; integer minor units in, text out, never a float between."""

from __future__ import annotations

from collections.abc import Mapping

# Digits after the point where they are not two (ISO 4217).
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}


def spell(amount_minor: int, currency: str) -> str:
    """``1,234.56 EUR`` for 123456 minor units; JPY without decimals, KWD with three.

    Args:
        amount_minor: Integer minor units.
        currency: ISO 4217 code; without one the figure is printed as minor units.
    """
    if not currency:
        return f"{amount_minor:,} minor units"
    sign = "-" if amount_minor < 0 else ""
    exponent = next((digits for digits, names in _DIGITS.items() if currency in names.split()), 2)
    major, rest = divmod(abs(amount_minor), 10**exponent)
    decimals = f".{rest:0{exponent}d}" if exponent else ""
    return f"{sign}{major:,}{decimals} {currency}"


def spell_all(amounts_minor: Mapping[str, int]) -> str:
    """``1,234.56 EUR and 500 JPY``, by currency; "" for none."""
    words = [spell(amount_minor, currency) for currency, amount_minor in sorted(amounts_minor.items())]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
