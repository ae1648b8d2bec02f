"""The harness on systems that were not made for it: what is wrong is found by name, what is right is green."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RUN_WITHIN_S = 600.0  # drills wait for each other on a busy machine
COMMAND = "environments.remit.components.remit.command"
DEFECTIVE = [
    "{build}/remit",
    *("--port", "{port}", "--db", "{workdir}/remit.db", "--accounts", "{build}/accounts.csv"),
    *("--bug", "double-charge"),
]

# They are accepted, sometimes without an answer: neither may hide the retries or pass for a wrong amount.
PROBES = """
[probes.key_reuse]
operation = "authorise"
share = 0.3
after_s = [0.1, 0.6]
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A pytest run of drills.

    Args:
        code: Its exit code.
        output: What it printed.
        drills: Of its report, by the name of the test.
    """

    code: int
    output: str
    drills: dict[str, dict[str, Any]]

    def verdicts(self) -> dict[str, str]:
        return {name: drill["verdict"] for name, drill in self.drills.items()}


def project(folder: Path, module: str) -> Path:
    """A user's project: configuration, profiles, data, a conftest and one module of drills."""
    for name in ("finchaos.toml", "accounts.csv", "suite/conftest.py", f"suite/{module}"):
        shutil.copy(HERE / name, folder)
    shutil.copytree(HERE / "loadprofiles", folder / "loadprofiles")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:locust\n")
    return folder


def drilled(folder: Path, *options: str) -> Run:
    """Run the drills of a project in a pytest of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN_S,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        check=False,
    )
    output = done.stdout + done.stderr
    report = folder / "reports" / "latest" / "report.json"
    assert report.exists(), output
    drills = json.loads(report.read_text())["drills"]
    return Run(done.returncode, output, {drill["id"].rpartition("::")[2]: drill for drill in drills})


@pytest.fixture
def transfers(remit_binary: Path, tmp_path: Path) -> Path:
    shutil.copy(remit_binary, tmp_path / "remit")
    return project(tmp_path, "test_transfers.py")


@pytest.fixture
def prices(http_server_script: Path, tmp_path: Path) -> Path:
    (tmp_path / "node_modules").symlink_to(http_server_script.parents[2])
    shutil.copytree(HERE / "third" / "site", tmp_path / "site")
    return project(tmp_path, "test_prices.py")


def test_the_repaired_service_passes_each_drill(transfers: Path) -> None:
    run = drilled(transfers)

    assert run.code == 0, run.output
    assert run.verdicts() == {
        "test_undisturbed_transfers_add_up": "PASS",
        "test_a_lost_answer_moves_no_money_twice": "PASS",
        "test_an_answer_that_is_cut_moves_no_money_twice": "PASS",
        "test_a_late_answer_moves_no_money_twice": "PASS",
        "test_a_crash_loses_no_transfer": "PASS",
    }
    for drill in run.drills.values():
        checked = {finding["invariant"]: finding["checked"] for finding in drill["money"]["findings"]}
        assert {"exactly-once", "double-entry", "balance-chain", "lookup-agrees"} <= checked.keys()
        assert checked["exactly-once"] > 50
        (fidelity,) = [each for each in drill["money"]["findings"] if each["invariant"] == "amount-fidelity"]
        assert "(amount, currency, debtor, creditor)" in fidelity["text"]
    quiet, crashed = run.drills["test_undisturbed_transfers_add_up"], run.drills["test_a_crash_loses_no_transfer"]
    assert "planned no key-reuse probes" in quiet["money"]["not_checked_because"]["key-reuse-refused"]
    assert "key-reuse-refused" in crashed["money"]["checked"], "the shipped profile has such probes"
    assert run.drills["test_a_lost_answer_moves_no_money_twice"]["traffic"]["unknown"] > 0, "nobody lost an answer"


def test_the_defective_service_is_found_to_pay_twice_for_a_retry(transfers: Path) -> None:
    profile = transfers / "loadprofiles" / "transfers.toml"
    profile.write_text(profile.read_text() + PROBES)
    run = drilled(transfers, "-k", "lost or late", "--finchaos-set", f"{COMMAND}={json.dumps(DEFECTIVE)}")

    assert run.code == 1, run.output
    assert set(run.verdicts().values()) == {"FAIL"}
    for name, ending, fault in (
        ("test_a_lost_answer_moves_no_money_twice", "first try: unknown (reset)", "connection reset"),
        ("test_a_late_answer_moves_no_money_twice", "first try: unknown (timeout)", "latency 2500 ms"),
    ):
        money = run.drills[name]["money"]
        assert "exactly-once" in money["violated"]
        twice = next(finding for finding in money["findings"] if finding["invariant"] == "exactly-once")
        witness = twice["witnesses"][0]
        assert ending in witness["attempts"][0]
        assert "retry 1" in witness["attempts"][1]
        assert any(text.startswith(fault) for text in witness["faults"])
        assert f"exactly-once is violated: {twice['text']}" in run.output
        by_keys = {"exactly-once", "same-key-same-answer", "key-reuse-refused"}
        assert set(money["violated"]) <= by_keys, "the books add up, and each payment is what was asked for"


def test_a_server_without_a_ledger_is_judged_by_traffic_and_recovery(prices: Path) -> None:
    run = drilled(prices)

    assert run.code == 0, run.output
    (drill,) = run.drills.values()
    assert drill["verdict"] == "PASS"
    assert drill["money"]["checked"] == []
    listed = {item["what"]: item["why"] for item in drill["not_checked"]}
    assert listed["money: every invariant"] == "the environment has no [ledger]"
    assert [recovery["verdict"] for recovery in drill["recoveries"]] == ["PASS"]
    assert drill["traffic"]["ok"] > 100
