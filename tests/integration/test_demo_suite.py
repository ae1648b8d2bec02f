"""The demo suite finds what it is there to find: each defect of the reference system by the name of its invariant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.systems.nested import run_nested

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240


def demo(tmp_path: Path, selection: str, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Run a part of the demo suite with its reports in ``tmp_path``."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--finchaos-reports={tmp_path}",
            *options,
            selection,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    report = json.loads((tmp_path / "latest" / "report.json").read_text())
    return done.returncode, done.stdout + done.stderr, report


DEFECTS = {
    "key-ignored": ("gateway", "experiments/test_lost_answers.py", "exactly-once"),
    "ack-before-commit": (
        "gateway",
        "experiments/test_components_killed.py::test_a_killed_gateway_is_back_within_seconds",
        "acknowledged-durable",
    ),
    "float-rounding": ("gateway", "experiments/test_slow_ledger.py", "amount-fidelity"),
    "settlement-skips": ("settlement", "experiments/test_slow_ledger.py", "settlement-complete"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_turns_the_suite_red_and_its_invariant_is_named(defect: str, tmp_path: Path) -> None:
    component, selection, invariant = DEFECTS[defect]
    setting = f"environments.payments.components.{component}.variables.PAYMENTS_DEFECTS={defect}"
    code, output, report = demo(tmp_path, selection, f"--finchaos-set={setting}")
    assert code == 1, output
    assert report["verdict"] == "FAIL"
    assert invariant in report["drills"][0]["money"]["violated"], output
    assert invariant in output


def test_the_drill_that_looks_for_rounding_is_red_when_the_defect_is_switched_off(tmp_path: Path) -> None:
    off = "environments.payments-rounding.components.gateway.variables.PAYMENTS_DEFECTS="
    code, output, report = demo(tmp_path, "experiments/test_rounding.py", f"--finchaos-set={off}")
    assert code == 1, output
    assert report["verdict"] == "FAIL", output
    assert "not-found" in {reason["code"] for reason in report["drills"][0]["reasons"]}
    assert "did not find it" in output


READS_ONLY = """
description = "reads, no payment"
deadline_s = 4.0
arrivals = { process = "poisson" }
mix = { balance = 80, login = 10, score = 10 }
amounts = { currency = "EUR", median_minor = 1200, sigma = 0.9, max_minor = 500000 }
skew = { customer = 0.8, merchant = 1.0 }
retry = { attempts = 1, base_delay_ms = 50 }
"""


def payments_configuration() -> str:
    text = (ROOT / "experiments" / "finchaos.toml").read_text()
    return text.replace("../pytest_finchaos", str(ROOT / "pytest_finchaos"))


@pytest.mark.parametrize("declared", [False, True])
def test_a_money_check_without_payments_is_green_only_where_the_profile_declares_them_away(
    tmp_path: Path, declared: bool
) -> None:
    (tmp_path / "loadprofiles").mkdir()
    (tmp_path / "loadprofiles" / "reads_only.toml").write_text(READS_ONLY + "reads_only = true\n" * declared)
    test = """
from pytest_finchaos import environment_fixture
system = environment_fixture("payments")

def test_drill(system, drill):
    with drill.load("reads_only", rate_per_s=40) as traffic:
        traffic.steady(duration_s=2)
"""
    code, output, report = run_nested(tmp_path, test, payments_configuration())
    if declared:
        assert (code, report["verdict"]) == (0, "PASS"), output
        assert "exactly-once" in report["drills"][0]["money"]["not_checked"]
        assert "declares reads_only" in json.dumps(report["drills"][0]["not_checked"])
        return
    assert code == 1, output
    assert report["verdict"] == "INCONCLUSIVE", output
    assert any(reason["code"].startswith("money-") for reason in report["drills"][0]["reasons"]), output


def test_a_ledger_that_cannot_be_reached_at_the_end_is_not_green(tmp_path: Path) -> None:
    test = """
import psutil
from pytest_finchaos import environment_fixture
system = environment_fixture("payments")

def test_drill(system, drill, monkeypatch):
    from pytest_finchaos.drill import closing
    monkeypatch.setattr(closing, "HEAL_WITHIN_S", 2.0)
    with drill.load("card_pos_auth", rate_per_s=40) as traffic:
        traffic.steady(duration_s=2)
        for pid in system.processes("ledger-db"):
            psutil.Process(pid).suspend()
"""
    code, output, report = run_nested(tmp_path, test, payments_configuration())
    assert code == 1, output
    assert report["verdict"] in ("INCONCLUSIVE", "INVALID", "FAIL"), output
    assert report["drills"][0]["money"]["not_checked"], output
    assert "ledger" in output
