"""What must hold of money: small pure functions from facts to a tally, each linear in what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_finchaos.ledger.facts import Facts
from pytest_finchaos.ledger.invariants.answers import key_reuse_refused, same_key_same_answer
from pytest_finchaos.ledger.invariants.booking import balance_chain, conservation, double_entry
from pytest_finchaos.ledger.invariants.fidelity import amount_fidelity
from pytest_finchaos.ledger.invariants.keys import acknowledged_durable, exactly_once, nothing_unasked
from pytest_finchaos.ledger.invariants.refused import refused_no_effect
from pytest_finchaos.ledger.invariants.settled import settlement_complete, settlement_totals
from pytest_finchaos.ledger.tally import Tally

Check = Callable[[Facts], Tally]

QUIESCENCE = "quiescence"
LOOKUP = "lookup-agrees"
SETTLEMENT: Mapping[str, Check] = {
    "settlement-complete": settlement_complete,
    "settlement-totals": settlement_totals,
}
CHECKS: Mapping[str, Check] = {
    "acknowledged-durable": acknowledged_durable,
    "exactly-once": exactly_once,
    "nothing-unasked": nothing_unasked,
    "refused-no-effect": refused_no_effect,
    "same-key-same-answer": same_key_same_answer,
    "key-reuse-refused": key_reuse_refused,
    "amount-fidelity": amount_fidelity,
    "double-entry": double_entry,
    "balance-chain": balance_chain,
    "conservation": conservation,
    **SETTLEMENT,
}
AFTER_REPLAY = ("acknowledged-durable", "exactly-once", "refused-no-effect", "same-key-same-answer")

INVARIANTS: tuple[str, ...] = (QUIESCENCE, *CHECKS, LOOKUP)
"""Every name that a finding can have."""
