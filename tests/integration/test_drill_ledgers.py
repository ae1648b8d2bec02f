"""Whole drills on the bank with only a finchaos.toml: red on its defect, green without it, also where others pay."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.systems.bank import Bank
from tests.systems.banks import configuration, running
from tests.systems.nested import run_nested

DRILL = """
from pytest_finchaos import environment_fixture

system = environment_fixture("bank")

def test_drill(system, drill):
    with drill.load("card_pos_auth", rate_per_s=40) as traffic:
        traffic.steady(duration_s=2.5)
    assert traffic.ok > 20
"""


def drilled(folder: Path, text: str) -> tuple[int, str, dict[str, Any]]:
    code, output, report = run_nested(folder, DRILL, text)
    assert report, output
    (drill,) = report["drills"]
    return code, output, drill


@pytest.mark.parametrize("ledger", ["sql", "api-by-id"])
def test_a_drill_on_the_good_bank_is_green_and_lists_what_was_not_checked(tmp_path: Path, ledger: str) -> None:
    text = configuration(tmp_path, ledger).read_text()
    if ledger == "sql":
        query = "select name from account where kind = 'shop'"
        text = text.replace('format = "shop-{n}"\ncount = 5', f'query = "{query}"')
        assert query in text

    code, output, drill = drilled(tmp_path, text)

    assert code == 0, output
    assert drill["verdict"] == "PASS"
    assert drill["money"]["violated"] == []
    listed = {each["what"] if isinstance(each, dict) else each for each in drill["money"]["not_checked"]}
    assert any("settlement-complete" in str(each) for each in listed)
    assert any("exactly-once" in str(each) for each in listed) is (ledger == "api-by-id")
    assert list(tmp_path.rglob("references.jsonl")) == []


def test_a_drill_on_a_bank_that_forgets_keys_is_red_with_nothing_but_a_look_up(tmp_path: Path) -> None:
    code, output, drill = drilled(tmp_path, configuration(tmp_path, "api", "double").read_text())

    assert code == 1, output
    assert drill["verdict"] == "FAIL"
    assert "exactly-once" in str(drill["money"]["violated"])


def attached(text: str, port: int) -> str:
    """The bank's configuration, for one that runs already."""
    component = f'[environments.bank.components.bank]\naddress = "127.0.0.1:{port}"\n'
    text = re.sub(
        r"\[environments\.bank\.components\.bank\]\n.*?\n\n", component + "\n", text, count=1, flags=re.DOTALL
    )
    return text.replace('backend = "processes"', 'backend = "attach"')


def pay_as_others(bank: Bank, over: threading.Event) -> None:
    """Transfers of somebody else, under keys of their own, without a pause worth the name."""
    number = 0
    while not over.wait(0.02):
        number += 1
        form = {"ref": f"their-{number}", "amount": "1.00", "ccy": "EUR", "from": "acc-8", "to": "shop-5"}
        bank.transfer(form)


def test_an_attached_bank_that_others_use_is_judged_by_the_drills_own_payments(tmp_path: Path) -> None:
    over = threading.Event()
    with running(tmp_path / "stand") as stand:
        with closing(sqlite3.connect(stand.bank.path)) as connection, connection:
            # wrong before anybody drilled: a payment without bookings' match, and one key twice
            connection.execute("insert into transfer values (null, 'old', 500, 'EUR', 'acc-1', 'shop-1', 'BOOKED')")
            connection.execute("insert into transfer values (null, 'old', 500, 'EUR', 'acc-1', 'shop-1', 'BOOKED')")
        others = threading.Thread(target=pay_as_others, args=(stand.bank, over))
        others.start()
        try:
            text = attached(configuration(tmp_path, "rest").read_text(), stand.port)
            code, output, drill = drilled(tmp_path, text)
        finally:
            over.set()
            others.join(10)
        theirs = stand.bank.rows("select count(*) as n from transfer where ref like 'their-%'")[0]["n"]

    assert theirs > 20
    assert drill["money"]["violated"] == [], output
    assert "payments of others" in str(drill["money"]["not_checked"])
    assert "quiescence" in str(drill["money"]["not_checked"])
    assert {"acknowledged-durable", "exactly-once", "double-entry"} <= {
        each["invariant"] if isinstance(each, dict) else each for each in drill["money"]["checked"]
    }
    assert code == 0, output
