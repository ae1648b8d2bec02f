"""Each planted soundness defect, in a drill whose test body asserts nothing, must not be green (and without it, is)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.systems.nested import run_nested, tiny_configuration

DRILL = """
import os, signal
import psutil
from pytest_finchaos import environment_fixture, faults

system = environment_fixture("{environment}")

def test_drill(system, drill):
    {before}
    with drill.load("card_pos_auth", rate_per_s=60) as traffic:
        traffic.steady(duration_s=2.5)
        {inside}
    {after}
"""

HARMLESS = """with drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=40)):
            traffic.hold(duration_s=1.5)
        traffic.recover(within_s=3)"""


@dataclass(frozen=True)
class Case:
    """One defect of the run.

    Args:
        name: What is planted.
        inside: Lines within the load block.
        codes: The result names at least one of these reason codes.
        verdicts: Allowed verdicts; never PASS.
    """

    name: str
    inside: str = HARMLESS
    before: str = "pass"
    after: str = "pass"
    codes: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ("INVALID",)
    replace: tuple[tuple[str, str], ...] = ()
    environment: str = "tiny"


CASES = (
    Case(
        "fault on an idle edge",
        inside="""with drill.inject(faults.Latency(system.edge("store", "api"), latency_ms=40)):
            traffic.hold(duration_s=1.5)""",
        codes=("fault-did-not-act",),
    ),
    Case(
        "fault on a bypassed proxy",
        replace=(('"TINY_PY", "api"', '"TINY_PY", "api"'), ("BYPASS", "on")),
        codes=("fault-did-not-act",),
    ),
    Case(
        "fault not removed",
        inside="""drill.inject(faults.Latency(system.edge("api", "store"), latency_ms=40)).__enter__()
        traffic.hold(duration_s=1.5)""",
        codes=("fault-not-removed", "fault-not-gone"),
    ),
    Case(
        "generator stalled",
        inside="""driver = next(p for p in psutil.Process().children(recursive=True) if "load.driver" in " ".join(p.cmdline()))
        driver.suspend()
        traffic.hold(duration_s=2)
        driver.resume()
        traffic.hold(duration_s=1)""",
        codes=("load-generator",),
    ),
    Case(
        "generator killed",
        inside="""driver = next(p for p in psutil.Process().children(recursive=True) if "load.driver" in " ".join(p.cmdline()))
        driver.kill()
        traffic.hold(duration_s=1)""",
        codes=("load-generator",),
    ),
    Case(
        "black-holed endpoint",
        inside="traffic.hold(duration_s=1)",
        replace=(("BLACKHOLE", "on"),),
        codes=("never-answered", "load-generator"),
        verdicts=("INVALID", "INCONCLUSIVE"),
    ),
    Case(
        "records truncated",
        inside="""from pytest_finchaos.load.session import LoadSession
        close = LoadSession.close
        def truncating(self):
            close(self)
            os.truncate(self.records, self.records.stat().st_size - 1000)
        LoadSession.close = truncating""",
        codes=("load-generator",),
    ),
    Case(
        "stale server of another build",
        inside="traffic.hold(duration_s=1)",
        replace=(("STALE", "on"),),
        codes=(),
        verdicts=("INCONCLUSIVE", "INVALID"),
    ),
)


def drill_text(case: Case) -> str:
    return DRILL.format(environment=case.environment, before=case.before, inside=case.inside, after=case.after)


def test_the_same_drill_without_a_planted_defect_is_green(tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, drill_text(Case("none")), tiny_configuration())
    assert code == 0, output
    assert report["verdict"] == "PASS", output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_drill_with_a_planted_defect_that_asserts_nothing_is_not_green(case: Case, tmp_path: Path) -> None:
    code, output, report = run_nested(tmp_path, drill_text(case), tiny_configuration(case.replace, tmp_path))
    assert code == 1, output
    assert report["verdict"] in case.verdicts, output
    codes = {reason["code"] for reason in report["drills"][0]["reasons"]}
    assert not case.codes or codes & set(case.codes), (codes, output)
    assert "INTERNALERROR" not in output


def test_a_drill_without_traffic_is_not_green(tmp_path: Path) -> None:
    test = 'from pytest_finchaos import environment_fixture\nsystem = environment_fixture("tiny")\n'
    test += "def test_drill(system, drill):\n    pass\n"
    code, output, report = run_nested(tmp_path, test, tiny_configuration())
    assert code == 1, output
    assert report["verdict"] == "INCONCLUSIVE", output
    assert "no-traffic" in {reason["code"] for reason in report["drills"][0]["reasons"]}
