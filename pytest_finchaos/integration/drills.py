"""The ``drill`` fixture: one drill for one test, bound to the environments that the test requests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_finchaos.drill.context import DrillContext
from pytest_finchaos.integration import progress, session

if TYPE_CHECKING:
    from pytest_finchaos.drill.drill import Drill

_GROUP = "xdist_group"
KEY: pytest.StashKey[Drill] = pytest.StashKey()


def provide(request: pytest.FixtureRequest) -> Generator[Drill, None, None]:
    """A drill for the requesting test; whatever is still armed when the test is over is taken down here."""
    from pytest_finchaos.drill.drill import Drill

    item = request.node
    drill = Drill(context_of(item))
    item.stash[KEY] = drill
    try:
        yield drill
    finally:
        drill.abandon()


def context_of(item: pytest.Item) -> DrillContext:
    """Names, seed and folders of the drill that ``item`` is."""
    ours = session.of(item.config)
    name = name_of(item)
    short = hashlib.blake2b(f"{ours.identity.id}/{name}".encode(), digest_size=4).hexdigest()
    return DrillContext(
        node_id=name,
        slug=f"{slug(name)}-{short}",
        run_id=ours.identity.id,
        seed=f"{ours.identity.seed}/{name}",
        key_prefix=f"fc-{short}",
        directory=ours.directory,
        profile_folders=ours.profile_folders(),
        replay=ours.replay(name),
        anchor=ours.identity.anchor,
        progress=lambda text: progress.say(item.config, text),
    )


def name_of(item: pytest.Item) -> str:
    """The node id as pytest gives it: ``--dist loadgroup`` appends ``@GROUP``, which must change no seed, no gate."""
    groups = (mark.args[0] if mark.args else mark.kwargs.get("name", "default") for mark in item.iter_markers(_GROUP))
    return item.nodeid.removesuffix("@" + "_".join(sorted({str(group) for group in groups})))


def slug(node_id: str) -> str:
    """The node id as a short file name."""
    tail = node_id.rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9]+", "-", tail).strip("-")[:80]
