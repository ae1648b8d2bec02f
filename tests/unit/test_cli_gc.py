"""What `finchaos gc` says of what it saw and did."""

from __future__ import annotations

from pathlib import Path

from pytest_finchaos.cli import gc
from pytest_finchaos.cli.leftovers import Leftover, Seen
from pytest_finchaos.environments.janitor import Swept

DEAD = Leftover("e-dead", Path("/cache/e-dead"), (41, 42), ("remove-toxic",))
SEEN = Seen((DEAD,), ("e-alive",), (("e-other", (7,)),))


def test_a_dry_run_names_processes_faults_and_folder() -> None:
    assert gc.planned(SEEN)[0] == "would remove e-dead: processes 41, 42, not undone: remove-toxic, /cache/e-dead"


def test_equal_faults_are_counted() -> None:
    many = Leftover("e", Path("/c/e"), (), ("delete-proxy", "delete-proxy", "remove-toxic"))
    assert many.describe() == "e: no process, not undone: 2 × delete-proxy, remove-toxic, /c/e"


def test_nothing_there_is_said() -> None:
    assert gc.planned(Seen((), (), ())) == ["nothing to remove"]
    assert gc.done(Seen((), (), ()), Swept((), ())) == ["nothing to remove"]


def test_living_and_foreign_environments_are_told_and_left_alone() -> None:
    told = "\n".join(gc.planned(SEEN))
    assert "left alone: 1 running: e-alive" in told
    assert "left alone: e-other: processes 7" in told
    assert "remove e-alive" not in told


def test_what_was_removed_is_told_with_what_it_was() -> None:
    assert gc.done(SEEN, Swept(("e-dead", "e-late"), ()))[:2] == [f"removed {DEAD.describe()}", "removed e-late"]


def test_an_undo_that_failed_is_not_called_removed() -> None:
    told = gc.done(SEEN, Swept(("e-dead",), ("e-dead: not undone: Toxiproxy at http://127.0.0.1:9",)))
    assert told[0].startswith("partly removed e-dead")
    assert told[1] == "not done: e-dead: not undone: Toxiproxy at http://127.0.0.1:9"
