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
    assert set(loaded.environments) == {"payments", "payments-rounding", "payments-releases"}
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
    "unknown placeholder": ('"{port}", "--store"', '"{prot}", "--store"', ["command.4", "did you mean '{port}'"]),
    "placeholder in a field": ('pid = "{pid}"', 'pid = "{pidd}"', ["ready.fields.pid", "did you mean '{pid}'"]),
    "lone brace": ('"{port}", "--store"', '"{port", "--store"', ["command.4", "plain braces"]),
    "number for a text": ('value = "1"', "value = 1", ["variables.value", "text in quotes", 'write "1"']),
    "bad path": ('http = "/ready"', 'http = "ready"', ["ready.http", "a path that begins with /"]),
    "beyond a limit": ("within_s = 20", "within_s = 0", ["ready.within_s", "more than 0"]),
    "empty list": ('["127.0.0.1"]', "[]", ["allowed_hosts", "at least 1 in the list"]),
    "missing in a table": ('source = "clients"\n', "", ["edges.0: missing: source"]),
    "setting of another kind": ('value = "1" }', 'value = "1" }\ndatabase = "x"', ["database", "kind = 'postgres'"]),
    "a name that is taken": ("components.store", "components.clients", ["where the load enters"]),
    "a name that is no name": ("components.store", 'components."a b"', ["letters, digits"]),
    "bad restart": ('restart = "always"', 'restart = "sometimes"', ["always, never"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(name: str, tmp_path: Path) -> None:
    right, wrong, told = WRONG[name]
    text = tiny_configuration().replace('restart = "always"', 'restart = "always"\nvariables = { value = "1" }')
    load(tmp_path, text)
    assert right in text
    with pytest.raises(UserError) as caught:
        load(tmp_path, text.replace(right, wrong))
    for part in told:
        assert part in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = tiny_configuration().replace("allowed_hosts", "alowed_hosts").replace("timeout_s", "timeout")
    with pytest.raises(UserError, match="alowed_hosts") as caught:
        load(tmp_path, text)
    assert "'timeout'" in str(caught.value)


def test_one_damaged_environment_hides_no_mistake_of_another(tmp_path: Path) -> None:
    other = tiny_configuration().replace("environments.tiny", "environments.other")
    text = tiny_configuration().replace("timeout_s", "timeout") + other.replace('target = "store"', 'target = "stoer"')
    with pytest.raises(UserError, match="2 mistakes") as caught:
        load(tmp_path, text)
    assert "environments.tiny.operations.authorise: unknown key 'timeout'" in str(caught.value)
    assert "environments.other.edges.1.target: 'stoer' is not declared" in str(caught.value)


def test_every_missing_key_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, "[environments.tiny]\n")
    assert [line.rpartition(": ")[2] for line in str(caught.value).splitlines() if ": missing: " in line] == [
        "backend",
        "allowed_hosts",
        "components",
    ]


LEDGER = """
[environments.tiny.ledger]
adapter = "sql"
component = "store"
operation = "authorize"
queries = { payments = "select 1", entries = "select 1", balances = "select 1" }
"""


def test_a_ledger_needs_a_database_and_operations_that_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'store' is no database") as caught:
        load(tmp_path, tiny_configuration() + LEDGER)
    assert "did you mean 'authorise'" in str(caught.value)


def test_a_schema_that_is_not_there_is_told_with_its_full_path(tmp_path: Path) -> None:
    text = '\n[environments.tiny.components.db]\nkind = "postgres"\nschema = "none.sql"\ncommand = ["x"]\n'
    with pytest.raises(UserError) as caught:
        load(tmp_path, tiny_configuration() + text)
    assert f"no file {tmp_path / 'none.sql'}" in str(caught.value)
    assert "a postgres component has none" in str(caught.value)


@pytest.mark.parametrize("text", ["environments = 3", "[environments]\ntiny = 1", "environments = [1]"])
def test_no_table_where_one_is_wanted_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a table is wanted"):
        load(tmp_path, text)


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


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(UserError, match=r"sub/finchaos\.toml"):
        find_configuration("sub", tmp_path)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "finchaos.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        load_configuration(path)


def test_paths_start_at_the_configurations_folder(tmp_path: Path) -> None:
    text = tiny_configuration().replace('["{python}", ', '["bin/run", "{python}", ', 1)
    text += '\n[environments.tiny.components.api.versions."2"]\nbuild = ["next"]\ncommand = ["./new"]\n'
    path = tmp_path / "finchaos.toml"
    path.write_text(text)
    components = load_configuration(path).environments["tiny"].components
    assert components["store"].command[0] == str(tmp_path / "bin" / "run")
    newer = with_version(components["api"], "2")
    assert newer.build == (tmp_path / "next",)
    assert newer.command == (str(tmp_path / "new"),)


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
    (tmp_path / "pyproject.toml").write_text(tables.replace("allowed_hosts", "alowed_hosts"))
    with pytest.raises(UserError, match=r"pyproject\.toml \[tool\.finchaos\]: environments\.tiny"):
        load_configuration(found)


def test_no_configuration_at_all_is_told_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"write finchaos\.toml"):
        find_configuration(None, tmp_path)


def test_a_version_overrides_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    text = tiny_configuration() + '\n[environments.tiny.components.api.versions."1.1"]\nvariables = { NEW = "1" }\n'
    path = tmp_path / "finchaos.toml"
    path.write_text(text)
    spec = load_configuration(path).environments["tiny"].components["api"]
    newer = with_version(spec, "1.1")
    assert newer.variables["NEW"] == "1"
    assert newer.command == spec.command
    assert newer.version == "1.1"
    with pytest.raises(UserError, match=r"1\.1"):
        with_version(spec, "1.0")
