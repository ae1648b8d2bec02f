"""What a release of a new version under load did; made by `Drill.canary`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """A release that was judged.

    Args:
        component: The component that was released.
        version: The new version.
        promoted: True when it serves everything at the end.
        exposed: Requests that the new version served.
        fingerprint_before, fingerprint_after: Of the environment; equal after a rollback.
    """

    component: str
    version: str
    promoted: bool
    exposed: int
    fingerprint_before: str
    fingerprint_after: str
