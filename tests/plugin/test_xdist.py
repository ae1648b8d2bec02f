"""Drills under pytest-xdist: same verdicts as without, nothing lost unnoticed, nothing left behind, progress told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pytest_finchaos.environments import tagged
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.nested import run_nested, tiny_configuration

CONFTEST = 'from pytest_finchaos import environment_fixture\nsystem = environment_fixture("tiny")\n'
LOAD = """
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=1)
"""
DRILL = "def test_{name}(system, drill):" + LOAD + "    assert traffic.sent > 0\n\n"
TWO = CONFTEST + DRILL.format(name="one") + DRILL.format(name="two")
RED = "def test_red(system, drill):" + LOAD + "    assert traffic.sent < 0\n\n"
PLAIN = "def test_plain():\n    assert True\n\n"


def drills(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {drill["id"].partition("::")[2]: drill for drill in report["drills"]}


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {name: drill["verdict"] for name, drill in drills(report).items()}


def environments_of(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("reports/*/environments/*")]


def nothing_left(folder: Path) -> None:
    found = environments_of(folder)
    assert found, "no environment ran, so this check could not fail"
    for environment in found:
        wait_for(
            lambda environment=environment: (  # type: ignore[misc]
                Not(f"processes {left}") if (left := tagged.pids_of(environment)) else True
            ),
            what="all processes of the environment to be gone",
            within_s=20,
            every_s=0.1,
        )


def test_two_workers_give_the_verdicts_and_seeds_of_none(tmp_path: Path) -> None:
    runs = []
    for number in ("0", "2"):
        folder = tmp_path / number
        folder.mkdir()
        test = TWO + RED
        code, output, report = run_nested(folder, test, tiny_configuration(), "-n", number, "--finchaos-seed=5")
        assert code == 1, output
        runs.append(report)
        nothing_left(folder)
    assert verdicts(runs[0]) == verdicts(runs[1]) == {"test_one": "PASS", "test_two": "PASS", "test_red": "FAIL"}
    seeds = [{name: drill["seed"] for name, drill in drills(report).items()} for report in runs]
    assert seeds[0] == seeds[1]
    assert runs[1]["lost"] == []


def test_measured_drills_of_two_workers_do_not_overlap_on_one_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINCHAOS_SLOTS", "1")
    monkeypatch.setenv("FINCHAOS_CACHE", str(tmp_path / "cache"))
    code, output, report = run_nested(tmp_path, TWO, tiny_configuration(), "-n", "2")
    assert code == 0, output
    spans = sorted(measured(drill) for drill in report["drills"])
    assert spans[0][1] <= spans[1][0], spans
    assert all(drill["host"]["host_slots"] == 1 for drill in report["drills"])
    assert max(drill["host"]["waited_s"] for drill in report["drills"]) > 0.5  # the other one's load takes 2 s


def test_with_two_slots_the_same_drills_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINCHAOS_SLOTS", "2")
    monkeypatch.setenv("FINCHAOS_CACHE", str(tmp_path / "cache"))
    meet = TWO.replace("traffic.steady(duration_s=1)", "meet()\n        traffic.steady(duration_s=1)")
    code, output, report = run_nested(tmp_path, MEET + meet, tiny_configuration(), "-n", "2")
    assert code == 0, output
    spans = sorted(measured(drill) for drill in report["drills"])
    assert spans[0][1] > spans[1][0], spans


MEET = """
import os
from pathlib import Path

from pytest_finchaos.runtime.waiting import Not, wait_for

def meet():
    Path(f"here-{os.getpid()}").touch()
    both = lambda: len(list(Path().glob("here-*"))) == 2 or Not("alone")
    wait_for(both, what="the other worker", within_s=60)

"""


def measured(drill: dict[str, Any]) -> tuple[int, int]:
    """When the load of a drill ran."""
    at = {event["kind"]: event["at_ns"] for event in drill["events"]}
    return at["load-started"], at["load-stopped"]


LOSSES = {
    "a property that cannot cross": ("    record_property('amount', Decimal('1.10'))\n", "never arrived"),
    "a worker that exits": ("    os._exit(0)\n", "died while it ran"),
    "a worker that is killed": ("    os.kill(os.getpid(), signal.SIGKILL)\n", "died while it ran"),
}
LOSER = (
    "import os, signal\nfrom decimal import Decimal\n"
    + CONFTEST
    + "def test_lost(system, drill, record_property):"
    + LOAD.replace("        traffic.steady(duration_s=1)", "        traffic.steady(duration_s=1)\n{act}")
    + "\n"
    + PLAIN
)


@pytest.mark.parametrize("name", LOSSES)
def test_a_lost_result_fails_the_session_and_names_the_test(name: str, tmp_path: Path) -> None:
    act, told = LOSSES[name]
    test = LOSER.format(act="    " + act if "_exit" in act or "kill" in act else act)
    code, output, report = run_nested(tmp_path, test, tiny_configuration(), "-n", "2", "--junitxml=out.xml")
    assert code not in (0, 5), output
    assert report["lost"] == ["test_drill.py::test_lost"], output
    assert report["verdict"] == "INVALID"
    assert f"test_drill.py::test_lost: {told}" in output or told in output
    summary = output[output.index("== finchaos ==") :]
    assert "test_lost" in summary
    cases = ET.parse(tmp_path / "out.xml").iter("testcase")
    broken = {case.get("name") for case in cases if case.find("error") is not None or case.find("failure") is not None}
    assert any("test_lost" in str(case) for case in broken), broken
    assert "test_lost" in (tmp_path / "reports" / "latest" / "report.html").read_text()
    nothing_left(tmp_path)


DROPPER = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(report):
    plain = yield
    if {condition}:
        plain = {change}
    return plain
"""
DROPS = {
    "the last report": ("report.when == 'teardown' and 'one' in report.nodeid", "{**plain, 'when': 'call'}"),
    "the drill's result": ("'one' in getattr(report, 'nodeid', '')", "{**plain, 'user_properties': []}"),
}


@pytest.mark.parametrize("name", DROPS)
def test_a_dropped_report_fails_the_session_and_names_the_test(name: str, tmp_path: Path) -> None:
    condition, change = DROPS[name]
    (tmp_path / "conftest.py").write_text(DROPPER.format(condition=condition, change=change))
    code, output, report = run_nested(tmp_path, TWO, tiny_configuration(), "-n", "2")
    assert code == 1, output
    assert report["lost"] == ["test_drill.py::test_one"], output
    assert "test_one is lost" in output
    assert verdicts(report) == {"test_two": "PASS"}


def test_the_same_run_without_the_loss_is_green(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(DROPPER.format(condition="False", change="None"))
    test = LOSER.format(act="    record_property('amount', '1.10')\n")
    code, output, report = run_nested(tmp_path, test, tiny_configuration(), "-n", "2")
    assert code == 0, output
    assert report["lost"] == []
    assert report["verdict"] == "PASS"


def test_lost_results_of_a_project_without_drills_are_not_our_business(tmp_path: Path) -> None:
    test = "from decimal import Decimal\ndef test_a(record_property):\n    record_property('x', Decimal('1'))\n" + PLAIN
    (tmp_path / "test_plain.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "-n", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout  # what plain pytest-xdist does
    assert "finchaos" not in done.stdout.replace("rootdir", "").partition("plugins")[0]
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("distribution", ["loadscope", "loadgroup", "worksteal"])
def test_each_distribution_runs_every_drill_once(distribution: str, tmp_path: Path) -> None:
    test = "import pytest\n" + TWO.replace("def test_two", "@pytest.mark.xdist_group('pair')\ndef test_two")
    code, output, report = run_nested(tmp_path, test, tiny_configuration(), "-n", "2", "--dist", distribution)
    assert code == 0, output
    assert sorted(verdicts(report)) == ["test_one", "test_two"]
    assert report["lost"] == []


def test_each_worker_running_every_drill_is_refused_with_what_to_use(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, TWO, tiny_configuration(), "-n", "2", "--dist", "each")
    assert code == 4, output
    assert "loadscope" in output
    assert "Traceback" not in output
    assert not report


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_what_a_stop_at_the_first_failure_left_out_is_not_lost(option: str, tmp_path: Path) -> None:
    test = (
        "import pytest\n"
        + CONFTEST
        + "def test_red(system, drill):\n    assert False\n\n"
        + "".join(DRILL.format(name=f"later_{number}") for number in range(3))
    )
    code, output, report = run_nested(tmp_path, test, tiny_configuration(), "-n", "1", option)
    assert code != 0, output
    assert report["lost"] == [], output
    assert verdicts(report)["test_red"] == "FAIL"
    assert len(report["drills"]) < 4


def test_workers_tell_their_progress_and_are_silent_under_quiet(tmp_path: Path) -> None:
    (tmp_path / "loud").mkdir()
    (tmp_path / "quiet").mkdir()
    code, output, _ = run_nested(tmp_path / "loud", TWO, tiny_configuration(), "-n", "2", "-vv")
    assert code == 0, output
    told = [line for line in output.splitlines() if line.strip().startswith("finchaos: gw")]
    for name in ("test_one", "test_two"):
        mine = [line for line in told if name in line]
        assert any("steady: 1 s" in line for line in mine), output
        assert any("environment tiny: starting" in line for line in mine), output
    assert len(told) < 20
    assert "2 passed" in output
    code, output, _ = run_nested(tmp_path / "quiet", TWO, tiny_configuration(), "-n", "2")
    assert code == 0, output
    assert "finchaos: gw" not in output


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_an_ended_controller_leaves_nothing_of_its_workers(tmp_path: Path, end: signal.Signals) -> None:
    (tmp_path / "finchaos.toml").write_text(tiny_configuration())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_drill.py").write_text(TWO.replace("duration_s=1", "duration_s=60"))
    with (tmp_path / "out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "-n", "2"],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "FINCHAOS_SLOTS": "2", "FINCHAOS_CACHE": str(tmp_path / "cache")},
        )
    wait_for(
        lambda: len(list(tmp_path.glob("reports/*/records/*/*.bin"))) == 2 or Not("no two loads"),
        what="both loads to run",
        within_s=60,
        every_s=0.1,
    )
    assert all(tagged.pids_of(environment) for environment in environments_of(tmp_path))
    process.send_signal(end)
    process.wait(30)
    assert process.returncode != 0
    nothing_left(tmp_path)
