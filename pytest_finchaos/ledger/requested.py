"""What a request asked of the ledger, read from the operation's own template."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_finchaos.load.request import placeholders
from pytest_finchaos.model.spec import OperationSpec

FIELDS = ("amount_minor", "currency", "debtor", "creditor")  # of model.money.Payment
PARTIES = ("debtor", "creditor")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)\}")


@dataclass(frozen=True, slots=True)
class Requested:
    """Which fields of a payment a request states, and from where.

    Args:
        templates: Ledger field to what stands in the request's body: a placeholder, a text with some, a constant.
    """

    templates: Mapping[str, Any]

    @classmethod
    def by(cls, operation: OperationSpec, parties: Mapping[str, str]) -> Requested:
        """What an operation states.

        Args:
            operation: Fields of its body that are named like the ledger's count, at any depth; amount and currency also
                when they stand anywhere in the request under a name of their own.
            parties: ``debtor`` and ``creditor`` to the placeholder that is it, where that is declared.
        """
        found: dict[str, Any] = {party: f"{{{name}}}" for party, name in parties.items()}
        for name, leaf in _leaves(operation.body):
            if name in FIELDS:
                found.setdefault(name, leaf)
        named = placeholders(operation)
        for placeholder, name in (("amount_minor",) * 2, ("amount_major", "amount_minor"), ("currency",) * 2):
            if placeholder in named:
                found.setdefault(name, f"{{{name}}}")
        return cls({name: found[name] for name in FIELDS if name in found})

    def without(self, fields: Collection[str]) -> Requested:
        """The same without fields that the ledger does not give."""
        return Requested({name: template for name, template in self.templates.items() if name not in fields})

    def of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The stated fields for one arrival's values.

        An amount that is no integer is left out, not guessed, and so is what another request brought, e.g. set-up.
        """
        stated = {
            name: filled if name == "amount_minor" else str(filled)
            for name, template in self.templates.items()
            if (filled := _filled(template, values)) is not None
        }
        amount = stated.get("amount_minor")
        if not isinstance(amount, int) or isinstance(amount, bool):
            stated.pop("amount_minor", None)
        return stated


def _leaves(plain: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(plain, Mapping):
        for inner, item in plain.items():
            yield from _leaves(item, inner)
    elif isinstance(plain, list | tuple):
        for item in plain:
            yield from _leaves(item, name)
    else:
        yield name, plain


def _filled(template: Any, values: Mapping[str, Any]) -> Any:
    """As `load.request.render` fills a body: a text that is one placeholder takes the value's own type.

    None where a placeholder has no value here.
    """
    if not isinstance(template, str):
        return template
    if not values.keys() >= set(_PLACEHOLDER.findall(template)):
        return None
    if template.startswith("{") and template[1:-1] in values:
        return values[template[1:-1]]
    return _PLACEHOLDER.sub(lambda match: str(values.get(match.group(1), match.group())), template)
