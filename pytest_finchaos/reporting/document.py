"""`RunResult` to ``report.json`` and back, without loss; the format that outside readers rely on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting.formats import dated
from pytest_finchaos.runtime import codec

SCHEMA = "finchaos-report/1"
FILE = "report.json"
_FAMILY = "finchaos-report/"
_MAX_PROBLEMS = 20


def to_document(run: RunResult) -> dict[str, Any]:
    """The run as ``report.json`` holds it: plain data, times both as UTC and as nanoseconds."""
    plain = codec.to_plain(run)
    return {
        "schema": SCHEMA,
        "run": plain["run"],
        "verdict": plain["verdict"],
        "drills": [drill_document(drill) for drill in run.drills],
        "lost": plain["lost"],
        "deselected": plain["deselected"],
        "problems": plain["problems"],
    }


def drill_document(drill: DrillResult) -> dict[str, Any]:
    """One drill as an entry of ``report.json``."""
    plain: dict[str, Any] = codec.to_plain(drill)

    def date(at_ns: int | None) -> str | None:
        return dated(drill.started_at, drill.started_ns, at_ns)

    for name in ("phases", "events", "injections", "recoveries"):
        for row in plain[name]:
            row.update({key.removesuffix("_ns"): date(row[key]) for key in list(row) if key.endswith("_ns")})
    plain["ended_at"] = date(drill.ended_ns)
    for row in plain["releases"]:
        for part in (row["times"], *row["steps"]):
            part.update({key.removesuffix("_ns"): date(part[key]) for key in list(part) if key.endswith("_ns")})
        row["exposed"] = row["exposure"].get(row["version"])
    plain["checks"] = [{"name": name, "verdict": verdict.value, "text": text} for name, verdict, text in drill.checks]
    plain["money"] = _money_document(drill.money)
    return plain


def _money_document(money: MoneyReport) -> dict[str, Any]:
    """Names of invariants up front, since most readers want no more; the rest beside them."""
    plain: dict[str, Any] = codec.to_plain(money)
    undecided = [found.invariant for found in money.findings if not found.verdict.decided]
    return plain | {
        "checked": [found.invariant for found in money.findings if found.verdict.decided],
        "violated": [found.invariant for found in money.findings if found.verdict is Verdict.FAIL],
        "not_checked": sorted({*money.not_checked, *undecided}),
        "not_checked_because": plain["not_checked"],
    }


def to_text(document: Mapping[str, Any]) -> str:
    """The document as JSON text, one line, keys sorted."""
    return codec.dumps(document) + "\n"


def from_document(document: Any, where: str = FILE) -> RunResult:
    """The run that a document holds; keys that this version does not know are ignored.

    Args:
        document: Parsed JSON.
        where: File name for messages.

    Raises:
        UserError: Another schema, or values that do not fit; names the place.
    """
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        raise _foreign(where, schema)
    drills = document.get("drills")
    if not isinstance(drills, list) or not all(isinstance(drill, Mapping) for drill in drills):
        raise UserError(where, "drills is not a list of objects", cure="write the report again: repeat the run")
    try:
        plain = {**document, "drills": [_plain_drill(drill) for drill in drills]}
        run: RunResult = codec.from_plain(RunResult, plain)
    except codec.CodecError as error:
        raise UserError(
            where, f"it does not fit {SCHEMA}: {error}", cure="write the report again: repeat the run"
        ) from None
    return run


def _plain_drill(entry: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(entry)
    money = plain.get("money")
    if isinstance(money, Mapping):
        plain["money"] = {**money, "not_checked": money.get("not_checked_because", {})}
    checks = plain.get("checks")
    if isinstance(checks, list):
        plain["checks"] = [
            [row.get("name"), row.get("verdict"), row.get("text")] if isinstance(row, Mapping) else row
            for row in checks
        ]
    return plain


def _foreign(where: str, schema: object) -> UserError:
    if isinstance(schema, str) and schema.startswith(_FAMILY):
        return UserError(
            where,
            f"it is written as {schema}, which this version does not read",
            allowed=(SCHEMA,),
            cure="use the version of pytest-finchaos that wrote it, or a newer one",
        )
    return UserError(
        where, f"it is no report: schema is {schema!r}", allowed=(SCHEMA,), cure=f"name the {FILE} of a run"
    )


def read_document(path: Path) -> dict[str, Any]:
    """The parsed ``report.json``.

    Args:
        path: The file, or the run folder that holds it.

    Raises:
        UserError: Missing, unreadable, no JSON, or no object.
    """
    file = path / FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(str(file), f"cannot be read: {reason}", cure=f"name the {FILE} of a run") from None
    except ValueError as error:
        raise UserError(str(file), f"is no JSON: {error}", cure="the file was cut or changed: repeat the run") from None
    if not isinstance(document, dict):
        raise UserError(str(file), f"is no report: it holds a {type(document).__name__}", allowed=(SCHEMA,))
    return document


def read_report(path: Path) -> RunResult:
    """The run that a report describes.

    Args:
        path: ``report.json``, or the run folder that holds it.

    Raises:
        UserError: As `read_document` and `from_document`.
    """
    return from_document(read_document(path), str(path))


def validate(document: object) -> list[str]:
    """What in ``document`` departs from the published JSON schema: sentences with their path, at most 20."""
    import jsonschema

    schema = json.loads(resources.files("pytest_finchaos.reporting").joinpath("report.schema.json").read_text())
    problems = sorted(jsonschema.Draft202012Validator(schema).iter_errors(document), key=lambda found: found.json_path)
    return [f"{found.json_path}: {found.message[:300]}" for found in problems[:_MAX_PROBLEMS]]
