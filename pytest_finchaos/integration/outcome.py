"""From the outcome of a test and the result of its drill to the report that pytest shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_finchaos.integration import drills, options, progress, session, signals
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.verdict import Undecided, Verdict
from pytest_finchaos.runtime import codec

if TYPE_CHECKING:
    from pytest_finchaos.drill.drill import Drill
    from pytest_finchaos.model.result import DrillResult

_RESULT: pytest.StashKey[DrillResult] = pytest.StashKey()


@contextmanager
def around(item: pytest.Item) -> Iterator[None]:
    """Bind the drill to the test's environments, reset those used before, close the drill after the call."""
    drill = item.stash[drills.KEY]
    ours = session.of(item.config)
    environments = session.environments_of(getattr(item, "funcargs", {}).values())
    for environment in environments:
        if not ours.first_use(environment):
            progress.say(item.config, f"environment {environment.name}: reset between drills")
            environment.reset()
    drill.bind(environments)
    with signals.terminable():
        try:
            yield
        except KeyboardInterrupt:
            drill.abandon()
            raise
        finally:
            drill.close()


def settle(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Make ``report`` tell the drill's verdict, and hand the result to the controller.

    A drill that did not pass is a failed test, also when its test body passed; an xfail excuses neither an
    unsound run nor a money finding. Mistakes of the user are told without a traceback.
    """
    raised = None if call.excinfo is None else call.excinfo.value
    if isinstance(raised, UserError):
        report.longrepr = f"{item.nodeid}\n{raised.render()}"
    if isinstance(raised, KeyboardInterrupt) or not options.is_drill(item):
        return
    if report.when == "call" or (report.when == "setup" and report.failed):
        drill = item.stash.get(drills.KEY, None) or _unstarted(item)
        if drill is None:
            return
        outcome, text = _outcome_of(raised)
        result = drill.finish(outcome, text)
        item.stash[_RESULT] = result
        item.user_properties.append((options.PROPERTY, codec.dumps(result)))
        _show(report, result, skipped=isinstance(raised, pytest.skip.Exception))


def _unstarted(item: pytest.Item) -> Drill | None:
    """A drill for a test whose environment never started, so that the report lists it."""
    from pytest_finchaos.drill.drill import Drill

    try:
        return Drill(drills.context_of(item))
    except UserError:
        return None  # the configuration itself is wrong: told already


def _outcome_of(raised: BaseException | None) -> tuple[str, str]:
    if raised is None:
        return "passed", ""
    text = str(raised).strip() or type(raised).__name__
    if isinstance(raised, Undecided):
        return "undecided", text
    if isinstance(raised, AssertionError | pytest.fail.Exception):
        return "failed", text
    if isinstance(raised, pytest.skip.Exception):
        return "undecided", f"skipped by the test: {text}"
    return "error", f"{type(raised).__name__}: {text}"


def _show(report: pytest.TestReport, result: DrillResult, *, skipped: bool) -> None:
    from pytest_finchaos.reporting.story import failure_story

    if result.verdict is Verdict.PASS:
        return
    excused = hasattr(report, "wasxfail") and report.skipped
    if (skipped or excused) and not (excused and _inexcusable(result)):
        return
    story = "\n".join(failure_story(result))
    if report.failed and report.longrepr is not None:
        report.sections.append(("finchaos drill", story))
        return
    if excused:
        del report.wasxfail
    report.outcome = "failed"
    report.longrepr = story


def _inexcusable(result: DrillResult) -> bool:
    """True for what no xfail excuses: an unsound run, or money that is wrong."""
    unsound = any(verdict is Verdict.INVALID for _, verdict, _ in result.checks)
    wrong = any(finding.verdict is Verdict.FAIL for finding in result.money.findings)
    return unsound or wrong or result.verdict is Verdict.INVALID
