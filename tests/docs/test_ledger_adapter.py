"""The page on ledger adapters keeps its word: each block is valid, and its table is what the code can do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.ledger.capability import ADAPTERS, not_checked, table
from pytest_finchaos.ledger.invariants import INVARIANTS
from pytest_finchaos.ledger.target import lookup_operation, money_operation
from pytest_finchaos.load import data
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import load_profile
from pytest_finchaos.load.request import BUILT_IN
from pytest_finchaos.model import matchers
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "ledger-adapter.md").read_text()
OPERATIONS, *LEDGERS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def loaded(folder: Path, text: str) -> EnvironmentSpec:
    (folder / "accounts.csv").write_text("iban,branch\nDE1,north\n")
    (folder / "finchaos.toml").write_text(text)
    return load_configuration(folder / "finchaos.toml").environments["shop"]


def test_the_operations_make_a_plan_that_can_be_carried_out(tmp_path: Path) -> None:
    spec = loaded(tmp_path, OPERATIONS)

    plan = LoadPlan(
        profile=load_profile("card_pos_auth"),
        rate_per_s=10.0,
        seed="1/page",
        key_prefix="page",
        operations=spec.operations,
        base_urls={"payments": "http://127.0.0.1:8080"},
        data=data.read(spec.data),
    )

    plan.check()
    assert [operation.name for operation in plan.setup] == ["login", "till"]
    assert "authorise" in plan.mapped.mix


@pytest.mark.parametrize("number", range(len(LEDGERS)))
def test_each_ledger_of_the_page_is_valid_and_its_gaps_are_those_of_the_table(number: int, tmp_path: Path) -> None:
    spec = loaded(tmp_path, OPERATIONS + LEDGERS[number])
    assert spec.ledger is not None
    adapter = spec.ledger.adapter

    gaps = not_checked(spec, spec.ledger, money_operation(spec, spec.ledger), lookup_operation(spec, spec.ledger))

    never = {row[0] for row in table() if row[1 + ADAPTERS.index(adapter)] == "no"}
    always = {row[0] for row in table() if row[1 + ADAPTERS.index(adapter)] == "yes"}
    assert never <= set(gaps)
    assert always.isdisjoint(gaps)


@pytest.mark.parametrize("number", range(len(LEDGERS)))
def test_the_check_of_a_block_can_fail(number: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'authorise'"):
        loaded(tmp_path, OPERATIONS + LEDGERS[number].replace('operation = "authorise"', 'operation = "authorize"'))


def test_there_is_a_block_for_each_adapter() -> None:
    assert {re.findall(r'adapter = "(\w+)"', text)[0] for text in LEDGERS} == set(ADAPTERS)


def test_the_table_is_what_the_code_says() -> None:
    lines = ["| " + " | ".join(row) + " |" for row in table()]

    assert "\n".join(lines) in PAGE
    assert [row[0] for row in table()] == list(INVARIANTS)


def test_every_placeholder_and_every_ending_is_named() -> None:
    for name in BUILT_IN:
        assert f"{{{name}}}" in PAGE
    for ending in matchers.ENDINGS:
        assert f"`{ending}`" in PAGE
