"""Run id and seed: decided once on the controller, sent to workers, the same for all of a run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import pytest

from pytest_finchaos.integration import options
from pytest_finchaos.runtime.clock import Anchor, anchor

_KEY: pytest.StashKey[Identity] = pytest.StashKey()


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a run.

    Args:
        id: Time of its start and four hex digits.
        seed: The seed of all its draws.
        wall_ns, monotonic_ns: The start on both clocks.
    """

    id: str
    seed: int
    wall_ns: int
    monotonic_ns: int

    @property
    def anchor(self) -> Anchor:
        """The start on both clocks."""
        return Anchor(self.wall_ns, self.monotonic_ns)


def of(config: pytest.Config) -> Identity:
    """The identity of this run; drawn on first use, taken from the controller in a worker."""
    known = config.stash.get(_KEY, None)
    if known is None:
        sent = options.received(config)
        known = Identity(**{name: sent[name] for name in Identity.__slots__}) if sent else _draw(config)
        config.stash[_KEY] = known
    return known


def _draw(config: pytest.Config) -> Identity:
    now = anchor()
    stamp = now.date(now.monotonic_ns)[:19].replace("-", "").replace(":", "")
    return Identity(f"{stamp}-{secrets.token_hex(2)}", _seed(config), now.wall_ns, now.monotonic_ns)


def _seed(config: pytest.Config) -> int:
    given = options.value(config, "seed")
    if given is None:
        return secrets.randbits(32)
    try:
        seed = int(given)
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**63:
        raise pytest.UsageError(f"--finchaos-seed: a whole number from 0 to 2^63-1 is wanted, not {given!r}")
    return seed
