"""The money of a locustfile's payments is checked on the reference system: green when right, red when wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.systems.nested import run_nested

CONFIGURATION = Path(__file__).parents[2] / "experiments" / "finchaos.toml"
LOCUSTFILE = """
import random
import uuid

from locust import HttpUser, constant_throughput, task


class Shopper(HttpUser):
    wait_time = constant_throughput(5)

    def on_start(self):
        answer = self.client.post("/v1/login", json={"user": "drill", "password": "drill-only"})
        self.client.headers["Authorization"] = "Bearer " + answer.json()["token"]

    @task
    def pay(self):
        body = {
            "amount_minor": random.randint(100, 99_999),
            "currency": "EUR",
            "debtor": f"cust-{random.randint(1, 200):04d}",
            "creditor": f"shop-{random.randint(1, 50):04d}",
        }
        self.client.post("/v1/payments", json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
"""
TEST = """
from pytest_finchaos import environment_fixture

system = environment_fixture("{name}")


def test_shoppers(system, drill):
    with drill.load(locustfile="locustfile.py", users=15, rate_per_s=30) as traffic:
        traffic.steady(duration_s=3)
    assert traffic.ok > 50
"""


def run(folder: Path, name: str, locustfile: str) -> tuple[str, dict[str, Any]]:
    (folder / "locustfile.py").write_text(locustfile)
    _, output, report = run_nested(folder, TEST.format(name=name), "", f"--finchaos-config={CONFIGURATION}")
    assert report, output
    return output, report["drills"][0]


def test_right_payments_of_a_locustfile_are_green_and_each_invariant_looked_at_them(tmp_path: Path) -> None:
    output, drill = run(tmp_path, "payments", LOCUSTFILE)
    assert drill["verdict"] == "PASS", output
    assert {"exactly-once", "amount-fidelity", "double-entry"} <= set(drill["money"]["checked"])
    looked_at = {found["invariant"]: found["checked"] for found in drill["money"]["findings"]}
    assert looked_at["amount-fidelity"] > 50


def test_wrong_payments_of_a_locustfile_are_red(tmp_path: Path) -> None:
    output, drill = run(tmp_path, "payments-rounding", LOCUSTFILE)
    assert drill["verdict"] == "FAIL", output
    assert "amount-fidelity" in drill["money"]["violated"]


@pytest.mark.parametrize("change", ['"currency": "EUR", "note": "x"', "no key"])
def test_payments_that_are_not_as_declared_leave_the_money_unchecked(change: str, tmp_path: Path) -> None:
    without_key = LOCUSTFILE.replace(', headers={"Idempotency-Key": str(uuid.uuid4())}', "")
    other_body = LOCUSTFILE.replace('"currency": "EUR"', change)
    _, drill = run(tmp_path, "payments-rounding", without_key if change == "no key" else other_body)
    assert drill["money"]["checked"] == []
    assert "not what operation 'authorise' describes" in str(drill["money"]["not_checked_because"])
