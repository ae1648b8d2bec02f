"""What names a drill and where it may write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pytest_finchaos.runtime.clock import Anchor, Clock, SystemClock


def _quiet(_text: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class DrillContext:
    """Everything a drill is told from outside.

    Args:
        node_id: Pytest node id, or any name.
        slug: Short file name.
        run_id: Id of the run.
        seed: Seed text of all draws of the drill; holds no worker id.
        key_prefix: Prefix of every idempotency key of the drill.
        directory: Folder of the run.
        profile_folders: Where load profiles are looked up first.
        replay: Command line that repeats the drill.
        anchor: Both clocks at the start of the run.
        progress: Called with one sentence at each change of phase.
        clock: The clock.
    """

    node_id: str
    slug: str
    run_id: str
    seed: str
    key_prefix: str
    directory: Path
    profile_folders: tuple[Path, ...]
    replay: str
    anchor: Anchor
    progress: Callable[[str], None] = _quiet
    clock: Clock = field(default_factory=SystemClock)

    @property
    def records(self) -> Path:
        """Folder of this drill's load records."""
        return self.directory / "records" / self.slug
