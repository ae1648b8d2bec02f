"""What a load that did move money gave no occasion to check: listed as not checked, not an open question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_finchaos.ledger.tally import Tally, nothing_to_check
from pytest_finchaos.model.history import Operation

_MOVED = "acknowledged-durable"  # where it looked at nothing, no payment was acknowledged: that stays an open question


def without_occasion(tallies: Mapping[str, Tally], operations: Sequence[Operation]) -> dict[str, str]:
    """Invariants that had nothing to look at because the load never asked for it, and why.

    A probe that was planned and got no answer is no such case: what was asked for and not seen stays undecided.

    Args:
        tallies: What was found, by invariant.
        operations: What the load did, with the probes that its profile planned.
    """
    if _MOVED not in tallies or not tallies[_MOVED].checked:
        return {}
    probed = any(each.arrival.reuse_after_ns is not None for each in operations)
    repeated = any(each.arrival.replay_after_ns is not None for each in operations)
    occasions = {
        "refused-no-effect": (False, "of what was looked at, nothing was declined, refused or undelivered"),
        "key-reuse-refused": (probed, "the load planned no key-reuse probes"),
        "same-key-same-answer": (repeated, "the load planned no late replays, and no key was answered twice"),
    }
    return {
        name: why
        for name, (asked, why) in occasions.items()
        if not asked and name in tallies and _is_vacuous(tallies[name])
    }


def _is_vacuous(tally: Tally) -> bool:
    return not tally.checked and not tally.violations and tally.undecided.startswith(nothing_to_check(""))
