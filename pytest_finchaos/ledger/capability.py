"""What each way to read a ledger lets the invariants see; what none of them sees is listed with the reason."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_finchaos.ledger.adapters import scope
from pytest_finchaos.ledger.invariants import INVARIANTS, LOOKUP, QUIESCENCE
from pytest_finchaos.ledger.requested import FIELDS, PARTIES, Requested
from pytest_finchaos.load.request import carries_key, placeholders, states_amount
from pytest_finchaos.model.spec import EnvironmentSpec, LedgerSpec, OperationSpec

# What an invariant may need, and how it is given.
KEYED = "payments under the drill's keys"
COUNTED = "how many payments stand under a key"
ALL = "all payments"
ENTRIES = "the bookings of each payment"
BALANCES = "the balances of the accounts"
BUSY = "to know what is still under way"
CUT = "a settlement file"
BESIDE = "a look-up beside the ledger"
AGAIN = "a key in the request"
REUSE = "a key and an amount in the request"

FIDELITY = "amount-fidelity"
NEEDS: Mapping[str, tuple[str, ...]] = {
    QUIESCENCE: (BUSY,),
    "acknowledged-durable": (KEYED,),
    "exactly-once": (COUNTED,),
    "nothing-unasked": (ALL,),
    "refused-no-effect": (KEYED,),
    "same-key-same-answer": (AGAIN,),
    "key-reuse-refused": (REUSE,),
    FIDELITY: (KEYED,),
    "double-entry": (ENTRIES,),
    "balance-chain": (ENTRIES, BALANCES),
    "conservation": (BALANCES,),
    "settlement-complete": (ALL, CUT),
    "settlement-totals": (CUT,),
    LOOKUP: (BESIDE,),
}
_TABLES: Mapping[str, str] = {ENTRIES: "entries", BALANCES: "balances", BUSY: "busy"}
ADAPTERS = ("sql", "rest", "api")
ALWAYS: Mapping[str, frozenset[str]] = {
    "sql": frozenset({KEYED, COUNTED, ALL}),
    "rest": frozenset({KEYED, COUNTED, ALL}),
    "api": frozenset({KEYED}),
}
# How the rest is given, as it is written in the configuration; what is missing here cannot be given.
GIVEN_BY: Mapping[str, Mapping[str, str]] = {
    "sql": {
        ENTRIES: "`queries.entries`",
        BALANCES: "`queries.balances`",
        BUSY: "`queries.busy`",
        CUT: "`settlement`",
        BESIDE: "`lookup`",
        AGAIN: "`{key}` in the operation",
        REUSE: "`{key}` and `{amount_minor}` or `{amount_major}` in the operation",
    },
    "rest": {
        ENTRIES: "`endpoints.entries`",
        BALANCES: "`endpoints.balances`",
        BUSY: "`endpoints.busy`",
        CUT: "`settlement`",
        BESIDE: "`lookup`",
        AGAIN: "`{key}` in the operation",
        REUSE: "`{key}` and `{amount_minor}` or `{amount_major}` in the operation",
    },
    "api": {
        COUNTED: "`items` in a look-up by `{key}`",
        CUT: "`settlement`",
        AGAIN: "`{key}` in the operation",
        REUSE: "`{key}` and `{amount_minor}` or `{amount_major}` in the operation",
    },
}


def given(ledger: LedgerSpec, operation: OperationSpec, lookup: OperationSpec | None) -> frozenset[str]:
    """What a declared ledger gives.

    Args:
        ledger: The ledger.
        operation: The operation that moves money.
        lookup: The operation that reads one payment, or None.
    """
    found = set(ALWAYS.get(ledger.adapter, ()))
    if not carries_key(operation) and ledger.adapter != "api":
        found.clear()  # payments of this drill could not be told from others
    tables = ledger.queries if ledger.adapter == "sql" else ledger.endpoints
    if ledger.adapter != "api":
        found |= {need for need, table in _TABLES.items() if table in tables}
        found |= {BESIDE} if lookup is not None else set()
    elif lookup is not None and lookup.items is not None and "reference" not in placeholders(lookup):
        found.add(COUNTED)
    if ledger.settlement is not None:
        found.add(CUT)
    if carries_key(operation):
        found.add(AGAIN)
    if carries_key(operation) and states_amount(operation):
        found.add(REUSE)
    return frozenset(found)


def not_checked(
    spec: EnvironmentSpec, ledger: LedgerSpec, operation: OperationSpec, lookup: OperationSpec | None
) -> dict[str, str]:
    """Each invariant that this ledger does not let be checked, and why.

    Args:
        spec: The environment's declaration.
        ledger: Its ledger.
        operation: The operation that moves money.
        lookup: The operation that reads one payment, or None.
    """
    has = given(ledger, operation, lookup)
    where = f"environments.{spec.name}.ledger"
    found = {}
    for name in INVARIANTS:
        missing = [need for need in NEEDS[name] if need not in has]
        if missing:
            found[name] = "; ".join(_reason(need, ledger.adapter, where) for need in missing)
    return found if FIDELITY in found else {**found, **_not_compared(spec, ledger, operation, where)}


def _not_compared(spec: EnvironmentSpec, ledger: LedgerSpec, operation: OperationSpec, where: str) -> dict[str, str]:
    """What *amount-fidelity* cannot compare, though it looks at every payment; it is not narrowed in silence."""
    bounds = scope(spec, ledger)
    requested = Requested.by(operation, bounds.parties)
    later = {name for each in spec.operations.values() if each.setup for name in each.provides}
    sample = {**dict.fromkeys(placeholders(operation), ""), "amount_minor": 1, "currency": ""}
    stated = requested.of({name: value for name, value in sample.items() if name not in later})
    if not stated.keys() - bounds.silent:
        return {FIDELITY: f"requests of {operation.name!r} state nothing of a payment that the ledger gives, too"}
    found: dict[str, list[str]] = {}
    for name in FIELDS:
        if name in bounds.silent:
            why = f"{where} gives none"
        elif name in stated:
            continue
        elif name in requested.templates:
            why = f"requests of {operation.name!r} take it from set-up, or as no whole number"
        elif name in PARTIES:
            why = f"nothing says what it is in requests of {operation.name!r} ({where}.{name} may name the placeholder)"
        else:
            why = f"requests of {operation.name!r} state none"
        plain = name.removesuffix("_minor")
        found.setdefault("parties" if name in PARTIES else plain, []).append(f"{plain}: {why}")
    return {what: f"{FIDELITY} does not compare {'; '.join(reasons)}" for what, reasons in found.items()}


def _reason(need: str, adapter: str, where: str) -> str:
    how = GIVEN_BY.get(adapter, {}).get(need)
    if need in ALWAYS[adapter]:
        return "the operation that moves money carries no {key}, so its payments cannot be told from others"
    if how is None:
        return f"it needs {need}, which adapter {adapter!r} cannot give"
    if need in (AGAIN, REUSE):
        return f"it needs {need}; the operation that moves money has none"
    if need == BUSY:
        return f"{where} says nowhere what is still under way ({how}); it was at rest when two looks saw the same"
    return f"it needs {need}: {where} has no {how}"


def table() -> tuple[tuple[str, ...], ...]:
    """For each invariant and adapter: ``yes``, what must be configured, or ``no``; for the documentation."""
    return tuple((name, *(_cell(name, adapter) for adapter in ADAPTERS)) for name in INVARIANTS)


def _cell(name: str, adapter: str) -> str:
    wanted = [need for need in NEEDS[name] if need not in ALWAYS[adapter]]
    how = [GIVEN_BY[adapter].get(need) for need in wanted]
    if None in how:
        return "no"
    return f"with {' and '.join(text for text in how if text)}" if how else "yes"
