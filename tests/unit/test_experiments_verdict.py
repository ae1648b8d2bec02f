"""The verdict on a journal: each thing that Chaos Toolkit calls completed although nothing was proven."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_finchaos.experiments.journal import events, parse
from pytest_finchaos.experiments.verdict import Ending, judge
from pytest_finchaos.model.verdict import Verdict, merge
from pytest_finchaos.runtime.clock import Anchor

ENDED = Ending("ended")


def run(name: str = "break it", kind: str = "action", provider: dict[str, Any] | None = None, **changes: Any) -> Any:
    provider = provider or {"type": "python", "module": "ext.actions", "func": name.replace(" ", "_")}
    activity = {"type": kind, "name": name, "provider": provider} | changes.pop("activity", {})
    return {"activity": activity, "output": None, "status": "succeeded"} | changes


def look(*, met: bool = True, output: Any = 1, **changes: Any) -> dict[str, Any]:
    probe = run("level", "probe", output=output, activity={"tolerance": 1}, tolerance_met=met, **changes)
    return {"steady_state_met": met, "probes": [probe]}


def journal(**changes: Any) -> dict[str, Any]:
    """A good one: hypothesis before and after, one action."""
    states = {"before": look(), "during": [], "after": look()} | changes.pop("states", {})
    plain: dict[str, Any] = {
        "chaoslib-version": "1.45.1",
        "status": "completed",
        "deviated": False,
        "steady_states": states,
        "run": [run()],
        "rollbacks": [],
        "finchaos": {"strategy": "default"},
    }
    plain |= changes
    plain["experiment"] = {
        "steady-state-hypothesis": {"probes": [{}]},
        "method": [{} for _ in plain["run"]],
        "rollbacks": [{} for _ in plain["rollbacks"]],
    } | changes.get("experiment", {})
    return plain


def verdict(plain: dict[str, Any] | None, ending: Ending = ENDED, *, elsewhere: bool = False) -> tuple[str, list[str]]:
    judged = judge(None if plain is None else parse(plain), ending, measured_elsewhere=elsewhere)
    decided = merge(one.verdict for one in judged)
    return decided.value, [reason.code for one in judged if one.verdict is decided for reason in one.reasons]


def test_a_good_journal_passes() -> None:
    assert verdict(journal())[0] == "PASS"


FAILED: Any = {
    "status": "failed",
    "exception": ["Traceback\n", "chaoslib.exceptions.ActivityFailed: RuntimeError: no\n"],
}
HTTP = {"type": "http", "url": "http://127.0.0.1:1/x"}


@pytest.mark.parametrize(
    ("plain", "expected", "code"),
    [
        (journal(status="aborted"), "INVALID", "experiment-aborted"),
        (journal(status="interrupted"), "INVALID", "experiment-interrupted"),
        (journal(status=None), "INVALID", "experiment-status"),
        (journal(status="deviated"), "INVALID", "experiment-status"),
        (journal(status="failed"), "INVALID", "experiment-failed"),
        (journal(deviated=True), "FAIL", "deviated"),
        (journal(states={"before": look(met=False)}, run=[]), "INCONCLUSIVE", "baseline-not-met"),
        (journal(states={"before": look(met=False, **FAILED)}, run=[]), "INVALID", "baseline-not-measured"),
        (journal(states={"before": None}), "INVALID", "baseline-not-measured"),
        (journal(states={"after": None}), "INCONCLUSIVE", "hypothesis-not-measured"),
        (journal(states={"after": look(met=False)}, deviated=True), "FAIL", "hypothesis-broken-after"),
        (journal(states={"after": look(met=False, **FAILED)}, status="failed"), "FAIL", "hypothesis-broken-after"),
        (journal(run=[run(**FAILED)]), "INVALID", "action-failed"),
        (journal(run=[run(status=None)]), "INVALID", "action-failed"),
        (journal(run=[run(output=False)]), "INVALID", "action-failed"),
        (journal(run=[run(provider=HTTP, output={"status": 404})]), "INVALID", "action-failed"),
        (journal(run=[run(provider={"type": "process"}, output={"status": 1})]), "INVALID", "action-failed"),
        (journal(run=[run(output=[])]), "INVALID", "no-target"),
        (journal(run=[run(output=[[], []])]), "INVALID", "no-target"),
        (journal(run=[run(output={})]), "INVALID", "no-target"),
        (journal(run=[run(output=0)]), "INVALID", "no-target"),
        (journal(run=[]), "INCONCLUSIVE", "nothing-injected"),
        (journal(run=[run("look", "probe")]), "INCONCLUSIVE", "nothing-injected"),
        (journal(run=[run(activity={"dry": "actions"})]), "INCONCLUSIVE", "nothing-injected"),
        (journal(run=[run()], experiment={"method": [{}, {}]}), "INVALID", "method-cut-short"),
        (journal(rollbacks=[run(**FAILED)]), "INVALID", "rollback-failed"),
        (journal(rollbacks=[run(output=False)]), "INVALID", "rollback-failed"),
        (journal(experiment={"rollbacks": [{}]}), "INVALID", "rollbacks-not-played"),
    ],
)
def test_a_journal_that_proves_nothing_or_the_worse_never_passes(plain: Any, expected: str, code: str) -> None:
    found, codes = verdict(plain)
    assert found == expected
    assert code in codes


@pytest.mark.parametrize("output", [None, True, 3, "done", ["pod-1"], {"id": 1}, [None]])
def test_what_an_action_returns_when_it_did_something_is_no_problem(output: Any) -> None:
    assert verdict(journal(run=[run(output=output)]))[0] == "PASS"


def ours(function: str, output: Any = None) -> Any:
    return run(
        function,
        provider={"type": "python", "module": "pytest_finchaos.experiments.actions", "func": function},
        output=output,
    )


def test_of_our_actions_only_an_injection_disturbs_the_system() -> None:
    waiting = [ours("hold", output=True), ours("remove", output=[])]
    assert verdict(journal(run=waiting)) == ("INCONCLUSIVE", ["nothing-injected"])
    assert verdict(journal(run=[ours("inject", output={"acted": True}), *waiting]))[0] == "PASS"


CONTINUOUS = {"finchaos": {"strategy": "continuous"}}


def test_a_hypothesis_broken_during_the_method_only_fails() -> None:
    plain = journal(states={"during": [look(), look(met=False, output=0), look()]}, **CONTINUOUS)
    found, codes = verdict(plain)
    assert (found, codes) == ("FAIL", ["hypothesis-broken-during"])


def test_samples_that_all_hold_pass_and_none_at_all_decides_nothing() -> None:
    assert verdict(journal(states={"during": [look(), look()]}, **CONTINUOUS))[0] == "PASS"
    assert verdict(journal(**CONTINUOUS)) == ("INCONCLUSIVE", ["hypothesis-not-measured"])


def test_dry_probes_measure_nothing_although_chaos_toolkit_calls_them_within_tolerance() -> None:
    dry = look(activity_dry=True)
    dry["probes"][0]["activity"]["dry"] = "probes"
    assert verdict(journal(states={"before": dry, "after": dry}))[0] == "INCONCLUSIVE"


def probe(**changes: Any) -> Any:
    return run("under the fault", "probe", activity={"tolerance": 200}, **changes)


@pytest.mark.parametrize(
    ("seen", "expected", "code"),
    [
        (probe(output=200, finchaos={"met": True}), "PASS", ""),
        (probe(output=503, finchaos={"met": False}), "FAIL", "probe-out-of-tolerance"),
        (probe(finchaos={"doubt": "no such type"}), "INCONCLUSIVE", "tolerance-not-checked"),
        (probe(), "INCONCLUSIVE", "tolerance-not-checked"),
        (probe(provider=HTTP, **FAILED), "FAIL", "probe-out-of-tolerance"),
        (probe(**FAILED), "INCONCLUSIVE", "tolerance-not-checked"),
    ],
)
def test_tolerances_of_the_method_count(seen: Any, expected: str, code: str) -> None:
    found, codes = verdict(journal(run=[run(), seen]))
    assert found == expected
    assert not code or code in codes


def test_an_action_with_a_tolerance_is_judged_by_it() -> None:
    wanted = run(provider=HTTP, output={"status": 409}, activity={"tolerance": 409}, finchaos={"met": True})
    assert verdict(journal(run=[wanted]))[0] == "PASS"
    missed = run(provider=HTTP, output={"status": 200}, activity={"tolerance": 409}, finchaos={"met": False})
    assert verdict(journal(run=[missed]))[0] == "INVALID"


def test_a_rollback_that_finds_its_work_done_by_the_method_is_fine() -> None:
    removed = run("remove", output=True)
    again = run("remove", output=False)
    assert verdict(journal(run=[run(), removed], rollbacks=[again]))[0] == "PASS"
    assert verdict(journal(run=[run()], rollbacks=[again]))[0] == "INVALID"


@pytest.mark.parametrize("kind", ["deadline", "interrupted", "died", "refused"])
def test_an_experiment_that_did_not_end_by_itself_is_invalid_whatever_it_saw(kind: str) -> None:
    plain = journal(states={"after": look(met=False)})
    assert verdict(plain, Ending(kind, "why")) == ("INVALID", [f"experiment-{kind}"])
    assert verdict(None, Ending(kind, "why")) == ("INVALID", [f"experiment-{kind}"])


def test_a_process_that_ended_well_and_wrote_no_journal_is_invalid() -> None:
    assert verdict(None) == ("INVALID", ["experiment-died"])


def test_a_file_that_claims_nothing_decides_nothing_unless_a_drill_measures_beside_it() -> None:
    silent = journal(states={"before": None, "after": None}, experiment={"steady-state-hypothesis": None})
    assert verdict(silent) == ("INCONCLUSIVE", ["no-hypothesis"])
    assert verdict(silent, elsewhere=True)[0] == "PASS"


def test_a_probe_that_never_worked_does_not_accuse_the_system() -> None:
    after_only = {"finchaos": {"strategy": "after-method-only"}}
    raised = journal(states={"before": None, "after": look(met=False, **FAILED)}, status="failed", **after_only)
    assert verdict(raised) == ("INCONCLUSIVE", ["hypothesis-not-measured"])


def test_a_broken_hypothesis_outranks_a_failed_action_and_both_are_told() -> None:
    judged = judge(parse(journal(run=[run(**FAILED)], states={"after": look(met=False)})), ENDED)
    assert merge(one.verdict for one in judged) is Verdict.FAIL
    assert {reason.code for one in judged for reason in one.reasons} >= {"action-failed", "hypothesis-broken-after"}


def test_an_empty_journal_is_judged_and_not_stumbled_over() -> None:
    assert verdict({})[0] == "INVALID"
    assert verdict({"status": "completed", "experiment": None, "run": [None], "steady_states": []})[0] != "PASS"


def test_activities_are_dated_on_the_monotonic_clock() -> None:
    at = run(end="2026-11-24T12:00:01.500000+00:00")
    anchor = Anchor(wall_ns=1_795_521_600_000_000_000, monotonic_ns=7_000_000_000)  # 2026-11-24T12:00:00Z
    (event,) = events(parse(journal(run=[at])), anchor)
    assert event.at_ns == 8_500_000_000
    assert (event.kind, event.subject) == ("experiment-action", "break it")


def test_of_samples_that_say_the_same_the_first_is_on_the_timeline() -> None:
    at: dict[str, Any] = {"end": "2026-11-24T12:00:01+00:00"}
    samples = [look(**at), look(**at), look(met=False, **at), look(met=False, **at), look(**at)]
    found = events(parse(journal(states={"during": samples}, **CONTINUOUS)), Anchor(0, 0))
    assert [event.text for event in found if event.text.startswith("during")] == [
        "during: probe succeeded, within tolerance",
        "during: probe succeeded, out of tolerance",
        "during: probe succeeded, within tolerance",
    ]
