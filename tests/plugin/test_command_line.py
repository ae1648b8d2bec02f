"""Options, keys and interruptions, on a real run of the tiny system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_finchaos.environments import tagged
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.nested import run_nested, tiny_configuration

CONFTEST = 'from pytest_finchaos import environment_fixture\nsystem = environment_fixture("tiny")\n'
GOOD = (
    CONFTEST
    + """
def test_good(system, drill):
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1.5)
    assert traffic.sent > 0

def test_plain():
    assert True
"""
)
BAD_FIRST = GOOD.replace("assert traffic.sent > 0", "assert traffic.sent < 0")


def test_a_green_run_prints_a_header_and_a_summary_and_writes_a_report(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, GOOD, tiny_configuration(), "-v", "--finchaos-seed=7")
    assert code == 0, output
    assert "finchaos: seed 7" in output
    assert "PASS" in output
    assert report["schema"] == "finchaos-report/1"
    assert report["run"]["seed"] == 7
    for name in ("report.html", "summary.md", "report.json"):
        assert (tmp_path / "reports" / "latest" / name).exists()


def test_a_given_seed_is_the_seed_of_every_drill_whatever_the_run(tmp_path: Path) -> None:
    plans = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        _, output, report = run_nested(tmp_path / folder, GOOD, tiny_configuration(), "--finchaos-seed=11")
        assert report, output
        plans.append(report["drills"][0]["seed"])
    assert plans[0] == plans[1]


def test_quiet_says_nothing_of_drills_that_passed(tmp_path: Path) -> None:
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration(), "-q")
    assert code == 0, output
    assert "inject" not in output


def test_collect_only_starts_nothing_and_writes_nothing(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, GOOD, tiny_configuration(), "--co")
    assert code == 0, output
    assert not report
    assert not (tmp_path / "reports").exists()


def test_deselecting_every_drill_starts_nothing(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, GOOD, tiny_configuration(), "-k", "plain")
    assert code == 0, output
    assert not report


def test_exit_first_stops_after_a_red_drill_and_still_reports(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, BAD_FIRST, tiny_configuration(), "-x")
    assert code == 1, output
    assert report["verdict"] == "FAIL"
    assert "1 failed" in output
    assert "passed" not in output.splitlines()[-1]


def test_it_works_without_xdist(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, GOOD, tiny_configuration(), "-p", "no:xdist")
    assert code == 0, output
    assert report["verdict"] == "PASS"


def test_results_cross_from_a_worker(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, GOOD, tiny_configuration(), "-n", "1")
    assert code == 0, output
    assert report["verdict"] == "PASS"


def test_junit_gets_short_properties_and_not_the_whole_result(tmp_path: Path) -> None:
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration(), "--junitxml=out.xml")
    assert code == 0, output
    properties = {
        found.get("name", ""): found.get("value", "") for found in ET.parse(tmp_path / "out.xml").iter("property")
    }
    assert properties["finchaos.verdict"] == "PASS"
    assert all(name.startswith("finchaos.") for name in properties)
    assert max(len(value) for value in properties.values()) < 500


def test_a_failed_claim_is_told_in_one_line_and_the_story_follows(tmp_path: Path) -> None:
    test = GOOD.replace("assert traffic.sent > 0", 'assert traffic.demonstrates("payment-success", at_least="0.9")')
    slow = tiny_configuration().replace('outcomes = { ok = ["200"]', 'outcomes = { ok = ["204"], refused = ["200"]')
    code, output, _ = run_nested(tmp_path, test, slow, "-k", "good")
    assert code == 1, output
    told = next((line for line in output.splitlines() if "demonstrates(payment-success): FAIL" in line), output)
    assert len(told) < 260
    assert "timeline (seconds from" in output
    assert "replay" in output
    assert "verdict.py" not in output  # no frame of ours in between


def test_a_claim_that_its_traffic_cannot_carry_is_undecided_and_says_how_much_more_it_needs(tmp_path: Path) -> None:
    test = GOOD.replace("assert traffic.sent > 0", 'assert traffic.demonstrates("payment-success")')
    code, output, report = run_nested(tmp_path, test, tiny_configuration(), "-k", "good")
    assert code == 1, output
    assert report["drills"][0]["verdict"] == "INCONCLUSIVE", output
    assert "further requests, all of them good, would decide" in output
    assert "verdict.py" not in output


def test_an_xfail_excuses_no_unsound_run(tmp_path: Path) -> None:
    test = "import pytest\n" + CONFTEST + "@pytest.mark.xfail\ndef test_drill(system, drill):\n    assert False\n"
    code, output, report = run_nested(tmp_path, test, tiny_configuration())
    assert report["drills"][0]["verdict"] == "FAIL", output
    assert code == 0, output  # a plain failure may be expected; an unsound run may not, see test_soundness
    unsound = test.replace(
        "    assert False",
        """    from pytest_finchaos import faults
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1)
        with drill.inject(faults.Latency(system.edge("store", "api"), latency_ms=40)):
            traffic.hold(duration_s=1)
    assert False""",
    )
    code, output, report = run_nested(tmp_path, unsound, tiny_configuration())
    assert code == 1, output


_HEARS_SIGNALS = ("env", "--default-signal=INT,TERM")  # a shell's background jobs inherit an ignored SIGINT


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, end: signal.Signals) -> None:
    (tmp_path / "finchaos.toml").write_text(tiny_configuration())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_drill.py").write_text(GOOD.replace("duration_s=1.5", "duration_s=60"))
    process = subprocess.Popen(
        [*_HEARS_SIGNALS, sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "FINCHAOS_SLOTS": "16"},  # nothing is measured, nothing waited for
    )
    wait_for(
        lambda: list(tmp_path.glob("reports/*/records/*/*")) or Not("no record file"),
        what="the load to run",
        within_s=60,
        every_s=0.1,
    )
    process.send_signal(end)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0, output
    assert "INTERNALERROR" not in output
    (environment,) = {path.name for path in tmp_path.glob("reports/*/environments/*")}  # once more below latest
    wait_for(
        lambda: Not(f"processes {left}") if (left := tagged.pids_of(environment)) else True,
        what="all processes of the environment to be gone",
        within_s=15,
        every_s=0.1,
    )


MISTAKES = {
    "environment": ('environment_fixture("tiny")', 'environment_fixture("tinny")', "tiny"),
    "profile": ('"card_pos_auth"', '"card_pos_aut"', "card_pos_auth"),
    "edge": ("traffic.steady(duration_s=1.5)", 'system.edge("api", "stroe")', "store"),
    "component": ("traffic.steady(duration_s=1.5)", 'system.component("apy")', "api"),
    "objective": ("assert traffic.sent > 0", 'traffic.demonstrates("payment-sucess")', "payment-success"),
    "invariant": (
        "def test_good(system, drill):",
        "def test_good(system, drill):\n    drill.expect_violation('exactly-onc')",
        "exactly-once",
    ),
    "rate": ("rate_per_s=60", "rate_per_s=0", "5000"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_name_in_a_test_is_told_with_a_suggestion_and_no_traceback(name: str, tmp_path: Path) -> None:
    right, wrong, suggestion = MISTAKES[name]
    code, output, _ = run_nested(tmp_path, GOOD.replace(right, wrong), tiny_configuration(), "-k", "good")
    assert code == 1, output
    assert suggestion in output
    assert "Traceback" not in output
    assert "site-packages" not in output.replace("rootdir", "")
    assert "INTERNALERROR" not in output


CONFIGURATION_MISTAKES = {
    "malformed": ("[environments.tiny]\n", "[environments.tiny\n", "finchaos.toml"),
    "unknown key": ("allowed_hosts", "alowed_hosts", "allowed_hosts"),
    "wrong type": ("timeout_s = 1.0", 'timeout_s = "soon"', "timeout_s"),
    "unknown edge end": ('target = "store"', 'target = "stoer"', "store"),
    "host outside": ('["127.0.0.1"]', '["10.0.0.1"]', "127.0.0.1"),
}


@pytest.mark.parametrize("name", CONFIGURATION_MISTAKES)
def test_a_mistake_in_the_configuration_is_a_usage_error_with_the_cure(name: str, tmp_path: Path) -> None:
    right, wrong, told = CONFIGURATION_MISTAKES[name]
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration().replace(right, wrong))
    assert code == 4, output
    assert told in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


def test_an_unknown_setting_in_an_override_is_a_usage_error(tmp_path: Path) -> None:
    code, output, _ = run_nested(
        tmp_path, GOOD, tiny_configuration(), "--finchaos-set=environments.tiny.components.api.restat=always"
    )
    assert code == 4, output
    assert "restart" in output


def test_a_seed_that_is_no_number_is_a_usage_error(tmp_path: Path) -> None:
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration(), "--finchaos-seed=lucky")
    assert code == 4, output
    assert "--finchaos-seed" in output
    assert "Traceback" not in output


def test_an_unreachable_toxiproxy_is_told_with_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOXIPROXY_URL", "http://127.0.0.1:9")
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration(), "-k", "good")
    assert code == 1, output
    assert "127.0.0.1:9" in output
    assert "Traceback" not in output


def test_a_toxiproxy_outside_the_allowed_hosts_is_refused_before_it_is_contacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOXIPROXY_URL", "http://192.0.2.1:8474")
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration(), "-k", "good")
    assert code == 1, output
    assert "not among the allowed hosts" in output
    assert "Traceback" not in output


def test_a_missing_postgresql_is_told_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINCHAOS_PG_BIN", str(tmp_path))
    (tmp_path / "schema.sql").write_text("")
    database = '\n[environments.tiny.components.ledger]\nkind = "postgres"\nschema = "schema.sql"\n'
    code, output, _ = run_nested(tmp_path, GOOD, tiny_configuration() + database, "-k", "good")
    assert code == 1, output
    assert "FINCHAOS_PG_BIN: no postgres in" in output
    assert "Traceback" not in output


def test_locusts_own_host_option_clash_is_explained(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('def pytest_addoption(parser):\n    parser.addoption("--host")\n')
    (tmp_path / "test_x.py").write_text("def test_x():\n    assert True\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "-p no:locust" in done.stderr
