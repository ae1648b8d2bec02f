"""What a load gave no occasion to check: listed as not checked, not an open question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_finchaos.ledger.tally import Tally
from pytest_finchaos.model.history import Operation

_MOVED = "acknowledged-durable"  # where it looked at nothing, no payment was acknowledged: that stays an open question


def without_occasion(
    tallies: Mapping[str, Tally], operations: Sequence[Operation], reads_only: str = ""
) -> dict[str, str]:
    """Invariants that had nothing to look at because the load never asked for it, and why.

    A probe that was planned and got no answer is no such case: what was asked for and not seen stays undecided.

    Args:
        tallies: What was found, by invariant.
        operations: What the load did, with the probes that its profile planned.
        reads_only: The declaration that nothing is paid, in words, or "": then a load that paid nothing stays open.
    """
    if reads_only:
        return {name: f"{reads_only}, and nothing was paid" for name, tally in tallies.items() if tally.vacuous}
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
        name: why for name, (asked, why) in occasions.items() if not asked and name in tallies and tallies[name].vacuous
    }
