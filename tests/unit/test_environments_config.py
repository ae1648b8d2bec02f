"""The configuration: what it accepts, and how it tells what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.environments.config import find_configuration, load_configuration
from pytest_finchaos.environments.config_parse import with_version
from pytest_finchaos.environments.overrides import apply_overrides, parse_value, split_path
from pytest_finchaos.model.errors import UserError
from tests.systems.nested import tiny_configuration

ROOT = Path(__file__).resolve().parents[2]


def load(tmp_path: Path, text: str, *overrides: str) -> object:
    path = tmp_path / "finchaos.toml"
    path.write_text(text)
    return load_configuration(path, overrides)


def test_the_demo_configuration_is_valid() -> None:
    loaded = load_configuration(ROOT / "experiments" / "finchaos.toml")
    assert set(loaded.environments) == {"payments", "payments-rounding"}
    spec = loaded.environments["payments"]
    assert spec.ledger is not None
    assert spec.ledger.settlement is not None
    assert spec.components["ledger-db"].schema is not None
    assert spec.operations["authorise"].outcomes.declined == ("402",)


WRONG = {
    "unknown key": ("allowed_hosts", "alowed_hosts", ["unknown key 'alowed_hosts'", "did you mean 'allowed_hosts'"]),
    "unknown table": ("[environments.tiny.data.customer]", "[environments.tiny.date.customer]", ["'date'", "'data'"]),
    "wrong type": ("timeout_s = 1.0", 'timeout_s = "soon"', ["operations.authorise.timeout_s", "a number"]),
    "missing key": ('backend = "processes"\n', "", ["missing: backend"]),
    "unknown backend": ('"processes"', '"process"', ["did you mean 'processes'"]),
    "backend of the future": ('"processes"', '"kubernetes"', ["not available yet", "processes"]),
    "host outside": ('["127.0.0.1"]', '["10.1.2.3"]', ["allowed_hosts", "127.0.0.1"]),
    "edge to nowhere": ('target = "store"', 'target = "stoer"', ["edges.1.target", "did you mean 'store'"]),
    "operation to nowhere": ('component = "api"', 'component = "apy"', ["operations.authorise", "did you mean 'api'"]),
    "undeclared edge used": ("{edge.store}", "{edge.api}", ["{edge.api}", "no edge api → api"]),
    "unknown matcher": ('ok = ["200"]', 'ok = ["fine"]', ["outcomes.ok"]),
    "bad restart": ('restart = "always"', 'restart = "sometimes"', ["always, never"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(name: str, tmp_path: Path) -> None:
    right, wrong, told = WRONG[name]
    with pytest.raises(UserError) as caught:
        load(tmp_path, tiny_configuration().replace(right, wrong))
    for part in told:
        assert part in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = tiny_configuration().replace("allowed_hosts", "alowed_hosts").replace("timeout_s", "timeout")
    with pytest.raises(UserError, match="alowed_hosts") as caught:
        load(tmp_path, text)
    assert "'timeout'" in str(caught.value)


def test_malformed_toml_names_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"finchaos\.toml.*line 1"):
        load(tmp_path, "[environments\n")


def test_an_override_reaches_any_setting(tmp_path: Path) -> None:
    path = tmp_path / "finchaos.toml"
    path.write_text(tiny_configuration())
    override = "environments.tiny.components.api.variables.PAYMENTS_DEFECTS=key-ignored"
    spec = load_configuration(path, [override]).environments["tiny"]
    assert spec.components["api"].variables["PAYMENTS_DEFECTS"] == "key-ignored"


def test_an_override_of_an_unknown_setting_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="restart"):
        load(tmp_path, tiny_configuration(), "environments.tiny.components.api.restat=always")


def test_the_value_of_an_override_is_toml_else_text() -> None:
    assert parse_value("0.5") == 0.5
    assert parse_value("[1, 2]") == [1, 2]
    assert parse_value("true") is True
    assert parse_value("key-ignored") == "key-ignored"
    assert parse_value("") == ""


def test_keys_with_dots_are_quoted() -> None:
    assert split_path('a."b.c".d', "here") == ["a", "b.c", "d"]
    with pytest.raises(UserError, match="dotted path"):
        split_path("a..b", "here")


@pytest.mark.parametrize("override", ["novalue", "=1", "a.b.c=1"])
def test_an_override_that_cannot_be_set_is_told(override: str) -> None:
    with pytest.raises(UserError, match="--finchaos-set"):
        apply_overrides({"a": {"b": 1}}, [override])


def test_an_override_leaves_the_document_as_it_was() -> None:
    document = {"a": {"b": 1}}
    assert apply_overrides(document, ["a.b=2"]) == {"a": {"b": 2}}
    assert document == {"a": {"b": 1}}


def test_the_named_file_wins_over_the_one_beside_the_ini(tmp_path: Path) -> None:
    (tmp_path / "finchaos.toml").write_text("")
    (tmp_path / "other.toml").write_text("")
    assert find_configuration("other.toml", tmp_path).name == "other.toml"
    assert find_configuration(None, tmp_path).name == "finchaos.toml"
    with pytest.raises(UserError, match="no file"):
        find_configuration("third.toml", tmp_path)


def test_pyproject_can_hold_the_configuration(tmp_path: Path) -> None:
    tables = tiny_configuration().replace("[[environments", "[[tool.finchaos.environments")
    tables = tables.replace("\n[environments", "\n[tool.finchaos.environments")
    if tables.startswith("[environments"):
        tables = "[tool.finchaos." + tables[1:]
    (tmp_path / "pyproject.toml").write_text(tables)
    found = find_configuration(None, tmp_path)
    assert "tiny" in load_configuration(found).environments


def test_no_configuration_at_all_is_told_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"write finchaos\.toml"):
        find_configuration(None, tmp_path)


def test_a_version_overrides_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    text = tiny_configuration() + '\n[environments.tiny.components.api.versions."1.1"]\nvariables = { NEW = "1" }\n'
    path = tmp_path / "finchaos.toml"
    path.write_text(text)
    spec = load_configuration(path).environments["tiny"].components["api"]
    newer = with_version(spec, "1.1", tmp_path)
    assert newer.variables["NEW"] == "1"
    assert newer.command == spec.command
    assert newer.version == "1.1"
    with pytest.raises(UserError, match=r"1\.1"):
        with_version(spec, "1.0", tmp_path)
