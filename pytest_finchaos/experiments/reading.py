"""Reads an experiment file: bounded, safe YAML or JSON, and every mistake as one sentence with its cure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_finchaos.environments.config_problems import against_schema
from pytest_finchaos.experiments.spec import (
    DEADLINE_S,
    EVERY_S,
    EXTENSION,
    RECOVER_S,
    ExperimentSpec,
    Extension,
    LoadAsk,
    ObjectiveAsk,
)
from pytest_finchaos.ledger.invariants import INVARIANTS
from pytest_finchaos.model.errors import UserError

SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 1_000_000
MOST_VALUES = 50_000
STEADY_S = 5.0
DRY = ("probes", "actions", "activities", "pause")
_NEEDED = ("title", "description", "method")
_LISTS = ("method", "rollbacks", "extensions", "tags", "controls")
_TABLES = ("steady-state-hypothesis", "configuration", "secrets", "runtime")
STRATEGIES = {
    "default": "default",
    "before-method-only": "before-method-only",
    "after-method-only": "after-method-only",
    "during-method-only": "during-method-only",
    "continuously": "continuous",
    "continously": "continuous",  # as the command chaos spelt it for years
    "skip": "skip",
}
_LIMITS = {
    "spent": ("at_most_bad", "at_most_bad_slices"),
    "recovered": ("within_s",),
    "demonstrates": ("at_least",),
}
_OUT = "keep files that are no experiments out of the paths of --finchaos-experiments / finchaos_experiments"


def read_experiment(path: Path, label: str) -> ExperimentSpec:
    """The experiment in ``path``.

    Args:
        path: A file whose name ends in one of `SUFFIXES`.
        label: How messages call it.

    Raises:
        UserError: It cannot be read, is no YAML or JSON, no experiment, or asks us for what we do not know.
    """
    document = _plain(_parse(path, label), label)
    if not isinstance(document, Mapping):
        raise UserError(label, f"is no experiment: a {_kind(document)} stands there, no table", cure=_OUT)
    missing = [key for key in _NEEDED if document.get(key) in (None, "")]
    if missing:
        raise UserError(label, f"is no Chaos Toolkit experiment: {', '.join(missing)} missing", cure=_OUT)
    _shapes(document, label)
    _dry(document, label)
    tags = document.get("tags") or ()
    return ExperimentSpec(
        path=path,
        title=str(document["title"]),
        slug=slug(str(document["title"])),
        tags=tuple(str(tag) for tag in tags),
        document=document,
        strategy=_strategy(document, label),
        extension=_extension(document, label),
    )


def slug(title: str) -> str:
    """A title as a short name: lower case, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:80].strip("-") or "experiment"


def schema() -> Mapping[str, Any]:
    """The JSON schema of our extension."""
    text = resources.files("pytest_finchaos.experiments").joinpath("extension.schema.json").read_text(encoding="utf-8")
    parsed: Mapping[str, Any] = json.loads(text)
    return parsed


def _parse(path: Path, label: str) -> Any:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UserError(label, f"is {size:,} bytes long, at most {MOST_BYTES:,} are read", cure=_OUT)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(label, f"cannot be read: {error}") from None
    try:
        if path.suffix == ".json":
            return json.loads(text)
        import yaml

        return yaml.safe_load(text)
    except RecursionError:
        raise UserError(label, "is nested too deeply", cure=_OUT) from None
    except ValueError as error:  # JSON, and a YAML scalar that looks like a date and is none
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise UserError(label, f"is not {kind}: {error}", cure="mend that line") from None
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise UserError(label, f"is not YAML: {told}", cure="mend that line") from None


def _plain(document: Any, label: str) -> Any:
    """``document`` with what JSON knows only; YAML's dates become text, its aliases copies, within a limit."""
    left = [MOST_VALUES]

    def copy(value: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth > 60:
            raise UserError(label, f"holds more than {MOST_VALUES:,} values or more than 60 levels", cure=_OUT)
        if isinstance(value, Mapping):
            return {str(key): copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set):
            return [copy(item, depth + 1) for item in value]
        return value if value is None or isinstance(value, str | int | float) else str(value)

    return copy(document, 0)


def _kind(value: Any) -> str:
    names = {list: "list", str: "text", int: "number", float: "number", bool: "truth value", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)


def _shapes(document: Mapping[str, Any], label: str) -> None:
    for key in _LISTS:
        if document.get(key) is not None and not isinstance(document[key], list):
            raise UserError(f"{label}: {key}", f"is a {_kind(document[key])}, a list is wanted")
    for key in _TABLES:
        if document.get(key) is not None and not isinstance(document[key], Mapping):
            raise UserError(f"{label}: {key}", f"is a {_kind(document[key])}, a table is wanted")
    hypothesis = document.get("steady-state-hypothesis") or {}
    for key, activities in (
        ("steady-state-hypothesis.probes", hypothesis.get("probes")),
        ("method", document["method"]),
        ("rollbacks", document.get("rollbacks")),
        ("extensions", document.get("extensions")),
    ):
        for at, activity in enumerate(activities or ()):
            if not isinstance(activity, Mapping):
                raise UserError(f"{label}: {key}.{at}", f"is a {_kind(activity)}, a table is wanted")


def _strategy(document: Mapping[str, Any], label: str) -> str:
    """When the hypothesis is looked at; ``runtime.rollbacks`` has no say, rollbacks are always played."""
    hypothesis = (document.get("runtime") or {}).get("hypothesis") or {}
    name = hypothesis.get("strategy", "default") if isinstance(hypothesis, Mapping) else hypothesis
    if name not in STRATEGIES:
        where = f"{label}: runtime.hypothesis.strategy"
        raise UserError(where, f"is {name!r}", allowed=STRATEGIES, got=str(name))
    return STRATEGIES[name]


def _dry(document: Mapping[str, Any], label: str) -> None:
    hypothesis = document.get("steady-state-hypothesis") or {}
    groups = (hypothesis.get("probes"), document["method"], document.get("rollbacks"))
    for table in (document, *(activity for group in groups for activity in group or ())):
        if table.get("dry") not in (None, "", *DRY):
            raise UserError(f"{label}: dry", f"is {table['dry']!r}", allowed=DRY, got=str(table["dry"]))


def _extension(document: Mapping[str, Any], label: str) -> Extension:
    found = [(at, table) for at, table in enumerate(document.get("extensions") or ()) if table.get("name") == EXTENSION]
    if not found:
        return Extension()
    if len(found) > 1:
        raise UserError(f"{label}: extensions", f"{EXTENSION!r} stands there {len(found)} times", cure="leave one")
    at, table = found[0]
    where = f"{label}: extensions.{at}"
    problems, _ = against_schema(table, schema(), where)
    if problems:
        raise UserError(where, "\n".join([f"extension {EXTENSION}", *problems]))
    load = table.get("load")
    if load is not None and "environment" not in table:
        raise UserError(f"{where}.load", "load needs an environment", cure="add environment: NAME beside it")
    if load is None and table.get("objectives"):
        raise UserError(f"{where}.objectives", "without load nothing is measured", cure="add load: {profile: …}")
    expected = table.get("expect_violation", ())
    expected = (expected,) if isinstance(expected, str) else tuple(expected)
    for name in expected:
        if name not in INVARIANTS:
            raise UserError(f"{where}.expect_violation", f"no invariant {name!r}", allowed=INVARIANTS, got=name)
    return Extension(
        environment=table.get("environment", ""),
        load=None if load is None else _load(load),
        deadline_s=float(table.get("deadline_s", DEADLINE_S)),
        objectives=tuple(
            _objective(ask, f"{where}.objectives.{number}") for number, ask in enumerate(table.get("objectives", ()))
        ),
        expect_violation=expected,
        configuration=dict(table.get("configuration", {})),
        variables=tuple(table.get("variables", ())),
        kubeconfig=table.get("kubeconfig", ""),
        hypothesis_every_s=float(table.get("hypothesis_every_s", EVERY_S)),
    )


def _load(table: Mapping[str, Any]) -> LoadAsk:
    return LoadAsk(
        table["profile"],
        float(table["rate_per_s"]),
        float(table.get("steady_s", STEADY_S)),
        float(table.get("recover_s", RECOVER_S)),
    )


def _objective(table: Mapping[str, Any], where: str) -> ObjectiveAsk:
    questions = [name for name in _LIMITS if name in table]
    if len(questions) != 1:
        raise UserError(where, "exactly one question is wanted", allowed=_LIMITS, cure="e.g. spent: payment-success")
    question = questions[0]
    allowed = (question, *_LIMITS[question], *(("during",) if question == "spent" else ()))
    for key in table:
        if key not in allowed:
            raise UserError(where, f"{key!r} is nothing that {question!r} takes", allowed=allowed, got=key)
    limits = {key: table[key] for key in _LIMITS[question] if key in table}
    if question != "demonstrates" and len(limits) != 1:
        raise UserError(where, f"{question} needs exactly one limit", allowed=_LIMITS[question])
    return ObjectiveAsk(question, table[question], table.get("during", ""), limits)
