"""What a file must be, and how each mistake in it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.experiments.reading import MOST_BYTES, read_experiment, schema, slug
from pytest_finchaos.experiments.spec import ObjectiveAsk
from pytest_finchaos.model.errors import UserError

HEAD: dict[str, Any] = {"title": "Slow ledger", "description": "d", "method": []}
LOAD = {"profile": "card_pos_auth", "rate_per_s": 60}


def write(folder: Path, content: Any, name: str = "x.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def ours(**keys: Any) -> dict[str, Any]:
    return {**HEAD, "extensions": [{"name": "other", "x": 1}, {"name": "finchaos", **keys}]}


def test_a_file_without_our_extension_is_an_experiment_that_runs_alone(tmp_path: Path) -> None:
    spec = read_experiment(write(tmp_path, {**HEAD, "tags": ["db"]}), "x.json")
    assert (spec.slug, spec.tags, spec.strategy) == ("slow-ledger", ("db",), "default")
    assert (spec.extension.environment, spec.extension.load) == ("", None)


def test_yaml_is_read_with_its_dates_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "title: t\ndescription: d\nmethod: []\nversion: 2026-11-24\n", "x.yaml")
    assert read_experiment(path, "x.yaml").document["version"] == "2026-11-24"


def test_the_whole_extension_is_read(tmp_path: Path) -> None:
    objectives = [
        {"spent": "payment-success", "during": "slow", "at_most_bad": 5},
        {"recovered": "slow", "within_s": 3},
        {"demonstrates": "payment-success", "at_least": "0.9"},
    ]
    spec = read_experiment(
        write(
            tmp_path,
            ours(
                environment="payments",
                load={**LOAD, "steady_s": 3, "recover_s": 5},
                deadline_s=120,
                objectives=objectives,
                expect_violation="exactly-once",
                configuration={"url": "{url.gateway}", "limit": 3},
            ),
        ),
        "x.json",
    ).extension
    assert spec.load is not None
    assert (spec.environment, spec.load.steady_s, spec.deadline_s) == ("payments", 3.0, 120.0)
    assert spec.objectives[0] == ObjectiveAsk("spent", "payment-success", "slow", {"at_most_bad": 5})
    assert spec.expect_violation == ("exactly-once",)
    assert spec.configuration == {"url": "{url.gateway}", "limit": 3}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.yaml", "title: [unclosed\n", ("is not YAML", "mend that line")),
        ("x.json", "{", ("is not JSON", "mend that line")),
        ("x.yaml", "- 1\n", ("is no experiment: a list", "keep files that are no experiments out")),
        ("x.yaml", "", ("is no experiment: a nothing",)),
        ("x.yaml", "title: t\n", ("description, method missing",)),
        ("x.yaml", "title: !!python/object/apply:os.system ['touch pwned']\n", ("is not YAML",)),
        ("x.yaml", "title: 2026-13-45\ndescription: d\nmethod: []\n", ("is not YAML",)),
        ("x.yaml", BOMB, ("more than 50,000 values",)),
        ("x.yaml", "title: t\ndescription: d\nmethod: &m [*m]\n", ("more than",)),
        ("x.json", "[" * 100_000, ("nested too deeply",)),
        ("x.json", " " * (MOST_BYTES + 1), ("bytes long",)),
        ("x.json", {**HEAD, "method": {}}, ("method", "a list is wanted")),
        ("x.json", {**HEAD, "method": ["x"]}, ("method.0: is a text",)),
        ("x.json", {**HEAD, "configuration": []}, ("configuration: is a list",)),
        ("x.json", {**HEAD, "dry": "action"}, ("dry", "did you mean 'actions'")),
        ("x.json", {**HEAD, "runtime": {"hypothesis": {"strategy": "contnuously"}}}, ("did you mean 'continuously'",)),
        ("x.json", ours(enviroment="payments"), ("unknown key 'enviroment'", "did you mean 'environment'")),
        ("x.json", ours(environment="p", load={"profile": "x"}), ("extensions.1: load", "missing: rate_per_s")),
        ("x.json", ours(environment="p", load={**LOAD, "rate": 1}), ("unknown key 'rate'",)),
        ("x.json", ours(load=LOAD), ("load needs an environment",)),
        ("x.json", ours(deadline_s=0), ("deadline_s", "more than 0")),
        ("x.json", ours(environment="p", objectives=[{"recovered": "x", "within_s": 1}]), ("without load",)),
        ("x.json", ours(environment="p", load=LOAD, objectives=[{"at_most_bad": 1}]), ("exactly one question",)),
        ("x.json", ours(environment="p", load=LOAD, objectives=[{"spent": "x"}]), ("exactly one limit",)),
        (
            "x.json",
            ours(environment="p", load=LOAD, objectives=[{"spent": "x", "at_most_bad": 1, "within_s": 2}]),
            ("nothing that 'spent' takes",),
        ),
        ("x.json", ours(expect_violation="exactly-onc"), ("did you mean 'exactly-once'",)),
        ("x.json", {**HEAD, "extensions": [{"name": "finchaos"}, {"name": "finchaos"}]}, ("2 times",)),
    ],
)
def test_each_mistake_says_where_what_and_the_cure(
    tmp_path: Path, name: str, content: Any, told: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        read_experiment(write(tmp_path, content, name), name)
    message = caught.value.render()
    assert message.startswith(name)
    for text in told:
        assert text in message
    assert not (tmp_path / "pwned").exists()


def test_a_file_that_is_no_text_is_told_and_not_stumbled_over(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        read_experiment(path, "x.yaml")


@pytest.mark.parametrize(
    ("title", "name"), [("Slow ledger!", "slow-ledger"), ("÷", "experiment"), ("a" * 99, "a" * 80)]
)
def test_a_title_becomes_a_short_name(title: str, name: str) -> None:
    assert slug(title) == name


def test_the_schema_is_a_schema() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(dict(schema()))
