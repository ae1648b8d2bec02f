"""The format of ``report.json``: the keys that outside readers rely on, and refusals that say where and what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.reporting.document import from_document, to_document, to_text, validate
from tests.samples.not_passed import failing_drill, invalid_drill, undecided_drill, unstarted_drill
from tests.samples.passed import looking_drill
from tests.samples.runs import run_of, sample_run


def _parsed(*names: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(to_text(to_document(run_of(*names))))
    return parsed


def test_a_document_has_the_published_keys() -> None:
    document = _parsed(failing_drill())
    drill = document["drills"][0]

    assert document["schema"] == "finchaos-report/1"
    assert {"id", "seed", "started_at", "ended_at", "host", "replay"} <= set(document["run"])
    assert {"id", "backend", "fingerprint"} <= set(drill["environment"])
    assert {"planned", "sent", "late", "dropped", "censored", "ok", "declined", "failed", "unknown"} <= set(
        drill["traffic"]
    )
    assert {"fault", "armed_at", "acted", "disarmed_at", "gone"} <= set(drill["injections"][0])
    assert drill["releases"] == []
    assert drill["reasons"][0].keys() >= {"code", "text"}


def test_instants_are_told_in_utc_and_in_nanoseconds() -> None:
    drill = failing_drill()
    injection = _parsed(drill)["drills"][0]["injections"][0]
    assert injection["armed_at"] == "2026-03-02T10:14:12.630+00:00"
    assert injection["armed_at_ns"] == drill.injections[0].armed_at_ns


def test_money_lists_names_of_what_was_checked_violated_and_not_checked() -> None:
    money = _parsed(failing_drill())["drills"][0]["money"]
    assert "exactly-once" in money["checked"]
    assert money["violated"] == ["acknowledged-durable"]
    missing = _parsed(undecided_drill())["drills"][0]["money"]
    assert missing["not_checked"] == ["settlement-complete"]
    assert missing["not_checked_because"]["settlement-complete"].startswith("the environment declares")


def test_a_violation_that_was_looked_for_is_listed_as_violated_too() -> None:
    drill = _parsed(looking_drill())["drills"][0]
    assert (drill["verdict"], drill["money"]["violated"], drill["expected"]) == (
        "PASS",
        ["amount-fidelity"],
        ["amount-fidelity"],
    )


def test_every_sample_fits_the_published_schema_and_comes_back_equal() -> None:
    run = sample_run()
    document = json.loads(to_text(to_document(run)))
    assert validate(document) == []
    assert from_document(document) == run


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("verdict",), "GREEN", "$.verdict"),
        (("drills", 0, "verdict"), None, "$.drills[0].verdict"),
        (("drills", 0, "traffic", "sent"), -1, "$.drills[0].traffic.sent"),
        (("drills", 0, "injections", 0, "acted"), "yes", "$.drills[0].injections[0].acted"),
        (("run", "seed"), "1", "$.run.seed"),
    ],
)
def test_the_schema_names_the_place_that_does_not_fit(path: tuple[Any, ...], value: object, place: str) -> None:
    document = _parsed(failing_drill())
    at: Any = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    assert any(problem.startswith(place) for problem in validate(document))


def test_a_missing_key_is_a_problem() -> None:
    document = _parsed(invalid_drill())
    del document["drills"][0]["money"]["violated"]
    assert any("'violated' is a required property" in problem for problem in validate(document))


def test_keys_of_later_versions_are_ignored() -> None:
    run = run_of(unstarted_drill())
    document = to_document(run) | {"novelty": 1}
    document["drills"][0]["novelty"] = {"a": 1}
    assert validate(document) == []
    assert from_document(document) == run


def test_a_newer_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(UserError) as caught:
        from_document({"schema": "finchaos-report/2"}, "x/report.json")
    assert "x/report.json" in str(caught.value)
    assert "finchaos-report/2" in str(caught.value)
    assert "newer" in str(caught.value)


@pytest.mark.parametrize("document", [None, [], {}, {"schema": "junit"}, {"schema": "finchaos-report/1", "drills": 3}])
def test_what_is_no_report_is_refused(document: object) -> None:
    with pytest.raises(UserError, match=r"some/report\.json"):
        from_document(document, "some/report.json")


def test_a_value_that_does_not_fit_is_refused_with_its_path() -> None:
    document = _parsed(failing_drill())
    document["drills"][0]["traffic"]["sent"] = "many"
    with pytest.raises(UserError, match=r"\$\.drills\[0\]\.traffic\.sent"):
        from_document(document)
