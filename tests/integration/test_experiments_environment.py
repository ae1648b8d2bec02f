"""Experiment files on a running environment: load around them, our actions and probes, somebody else's extension."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.systems.nested import tiny_configuration
from tests.systems.proxies import toxiproxy

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 600.0  # other drills of this host may hold its lease
ACTIONS, PROBES = "pytest_finchaos.experiments.actions", "pytest_finchaos.experiments.probes"
LOAD = {"profile": "card_pos_auth", "rate_per_s": 60, "steady_s": 2, "recover_s": 3}


def python(module: str, func: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "python", "module": module, "func": func, "arguments": arguments}


def action(name: str, provider: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"type": "action", "name": name, "provider": provider, **rest}


def probe(name: str, provider: dict[str, Any], tolerance: Any) -> dict[str, Any]:
    return {"type": "probe", "name": name, "provider": provider, "tolerance": tolerance}


INJECT = action("slow", python(ACTIONS, "inject", fault="Latency", edge="api->store", name="slow", latency_ms=40))
HOLD = action("hold", python(ACTIONS, "hold", duration_s=1.5))
REMOVE = action("remove", python(ACTIONS, "remove", name="slow"))
RECOVER = action("recover", python(ACTIONS, "recover", within_s=3))
READY = probe("ready", {"type": "http", "url": "${api}/ready", "timeout": 3}, 200)
PAYS = probe("pays", python(PROBES, "bad_so_far", objective="payment-success"), [0, 3])


def experiment(title: str, *method: Any, **changes: Any) -> dict[str, Any]:
    ours = {
        "name": "finchaos",
        "environment": "tiny",
        "load": LOAD,
        "deadline_s": 60,
        "configuration": {"api": "{url.api}"},
        **changes.pop("ours", {}),
    }
    return {
        "title": title,
        "description": "d",
        "extensions": [ours],
        "configuration": {"api": "http://unset"},
        "steady-state-hypothesis": {"title": "ready and pays", "probes": [READY, PAYS]},
        "method": list(method),
        **changes,
    }


def run(
    folder: Path, *files: dict[str, Any], configuration: str = "", variables: dict[str, str] | None = None
) -> tuple[dict[str, Any], str]:
    """The drills of a nested run by title, and what pytest printed."""
    (folder / "chaos").mkdir()
    for number, file in enumerate(files):
        (folder / "chaos" / f"{number}.json").write_text(json.dumps(file))
    (folder / "finchaos.toml").write_text(configuration or tiny_configuration())
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:locust\nfinchaos_experiments = chaos\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "chaos"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        env=os.environ | (variables or {}),
    )
    output = done.stdout + done.stderr
    path = folder / "reports" / "latest" / "report.json"
    assert path.is_file(), output
    drills = {drill["id"].rpartition("::")[2]: drill for drill in json.loads(path.read_text())["drills"]}
    return drills, output


def codes(drill: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in drill["reasons"]]


OBJECTIVES = [
    {"spent": "payment-success", "during": "slow", "at_most_bad": 5},
    {"recovered": "slow", "within_s": 3},
]


TOXIC = {"for_proxy": "${proxy}", "toxic_name": "slow", "toxic_type": "latency", "attributes": {"latency": 40}}


FOREIGN = {
    "name": "finchaos",
    "environment": "tiny",
    "load": LOAD,
    "configuration": {"proxy": "{proxy.api.store}"},
}


def foreign(toxic: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """An experiment with chaostoolkit-toxiproxy, as its own documentation writes one."""
    undo = python("chaostoxi.toxic.actions", "delete_toxic", for_proxy=toxic["for_proxy"], toxic_name="slow")
    return {
        "title": "Toxiproxy",
        "description": "d",
        "configuration": {"toxiproxy_host": "toxiproxy.example", "toxiproxy_port": 1, "proxy": "unset"},
        "steady-state-hypothesis": {
            "title": "the proxy is enabled",
            "probes": [
                probe(
                    "enabled",
                    python(
                        "chaostoxi.proxy.probes",
                        "get_proxy_attribute",
                        proxy_name=toxic["for_proxy"],
                        attribute="enabled",
                    ),
                    tolerance=True,
                )
            ],
        },
        "method": [action("slow", python("chaostoxi.toxic.actions", "create_toxic", **toxic), pauses={"after": 1})],
        "rollbacks": [action("undo", undo)],
        **rest,
    }


Drills = dict[str, dict[str, Any]]


def whole() -> dict[str, Any]:
    state = probe("store", python(PROBES, "component_runs", component="store"), tolerance=True)
    sent = probe("sent", python(PROBES, "load_count", field="sent"), tolerance=[10, 100_000])
    return experiment("whole", INJECT, HOLD, state, sent, REMOVE, RECOVER, ours={"objectives": OBJECTIVES})


def hurts() -> dict[str, Any]:
    down = action("down", python(ACTIONS, "inject", fault="Down", edge="api→store", name="slow"))
    file = experiment("hurts", down, HOLD, REMOVE, RECOVER, ours={"objectives": OBJECTIVES[:1]})
    file["steady-state-hypothesis"]["probes"] = [READY]
    return file


def wrong_edge() -> dict[str, Any]:
    wrong = action("wrong", python(ACTIONS, "inject", fault="Latency", edge="${edge}", latency_ms=40))
    file = experiment("wrong edge", wrong, ours={"configuration": {"api": "{url.api}", "edge": "api->shop"}})
    file["configuration"]["edge"] = "unset"
    return file


def quiet() -> dict[str, Any]:
    file = experiment("quiet", action("wait", python(ACTIONS, "wait", duration_s=0.2)))
    del file["extensions"][0]["load"]
    file["steady-state-hypothesis"]["probes"] = [READY]
    return file


def sampled() -> dict[str, Any]:
    """The hypothesis is asked all the time, while actions wait and inject."""
    file = experiment("left armed", INJECT, HOLD, ours={"objectives": OBJECTIVES[:1], "hypothesis_every_s": 0.2})
    return file | {"runtime": {"hypothesis": {"strategy": "continuously"}}}


def too_long() -> dict[str, Any]:
    forever = action("forever", python(ACTIONS, "hold", duration_s=900))
    return experiment("too long", INJECT, forever, rollbacks=[REMOVE], ours={"deadline_s": 4})


def foreign_on_edge() -> dict[str, Any]:
    return foreign(TOXIC, extensions=[FOREIGN])


def foreign_on_nothing() -> dict[str, Any]:
    file = foreign({**TOXIC, "for_proxy": "no-such-proxy"}, extensions=[FOREIGN], title="Wrong proxy")
    del file["steady-state-hypothesis"]
    return file


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drills, str]:
    """All files that share one environment, in one run."""
    files = [whole(), sampled(), hurts(), wrong_edge(), quiet(), too_long(), foreign_on_edge(), foreign_on_nothing()]
    return run(tmp_path_factory.mktemp("tiny"), *files)


def test_a_file_does_what_a_python_drill_does(ran: tuple[Drills, str]) -> None:
    drill = ran[0]["whole"]
    assert drill["verdict"] == "PASS", drill["reasons"]
    assert [(found["acted"], found["gone"]) for found in drill["injections"]] == [(True, True)]
    assert drill["traffic"]["sent"] > 100
    assert [row["name"] for row in drill["objectives"] if row["asserted"]] == ["payment-success"]
    assert [row["asserted"] for row in drill["recoveries"]] == [True]
    assert {span["phase"] for span in drill["phases"]} >= {"steady", "inject", "hold", "remove", "recover"}


def test_what_the_file_leaves_armed_is_removed_at_its_end(ran: tuple[Drills, str]) -> None:
    drill = ran[0]["left-armed"]
    assert drill["verdict"] == "PASS", drill["reasons"]
    assert [(found["acted"], found["gone"]) for found in drill["injections"]] == [(True, True)]


def journal_of(drill: dict[str, Any]) -> dict[str, Any]:
    """Chaos Toolkit's own journal of an experiment."""
    row: str = next(check["text"] for check in drill["checks"] if check["name"] == "experiment")
    found: dict[str, Any] = json.loads((Path(row.partition("journal and log in ")[2]) / "journal.json").read_text())
    return found


def test_the_hypothesis_is_asked_while_actions_wait(ran: tuple[Drills, str]) -> None:
    samples = journal_of(ran[0]["left-armed"])["steady_states"]["during"]
    assert len(samples) >= 3
    assert all(sample["steady_state_met"] for sample in samples)


def test_at_the_deadline_the_rollbacks_still_reach_the_drill(ran: tuple[Drills, str]) -> None:
    drill = ran[0]["too-long"]
    assert drill["verdict"] == "INVALID"
    assert "experiment-deadline" in codes(drill)
    assert "its rollbacks were played" in drill["reasons"][0]["text"]
    assert [(found["acted"], found["gone"]) for found in drill["injections"]] == [(True, True)]
    (rollback,) = journal_of(drill)["rollbacks"]
    assert rollback["output"] == ["slow"]


def test_files_share_an_environment_that_is_reset_between_them(ran: tuple[Drills, str]) -> None:
    drills, output = ran
    assert len({drill["environment"]["id"] for drill in drills.values()}) == 1
    assert output.count("reset between drills") == len(drills) - 1


def test_a_fault_that_hurts_fails_the_objective(ran: tuple[Drills, str]) -> None:
    drill = ran[0]["hurts"]
    assert drill["verdict"] == "FAIL", drill["reasons"]
    assert "spent" in codes(drill)


def test_mistakes_that_only_the_drill_sees_fail_the_action_and_say_why(ran: tuple[Drills, str]) -> None:
    drill = ran[0]["wrong-edge"]
    assert drill["verdict"] == "INVALID"
    assert "action-failed" in codes(drill)
    assert "no edge api → shop" in drill["reasons"][0]["text"]


def test_without_load_an_environment_decides_nothing(ran: tuple[Drills, str]) -> None:
    drill = ran[0]["quiet"]
    assert drill["verdict"] == "INCONCLUSIVE"
    assert {"nothing-injected", "no-traffic"} <= set(codes(drill))


def test_somebody_elses_extension_acts_on_the_proxies_of_the_environment(ran: tuple[Drills, str]) -> None:
    assert ran[0]["toxiproxy"]["verdict"] == "PASS", ran[0]["toxiproxy"]["reasons"]
    drill = ran[0]["wrong-proxy"]
    assert drill["verdict"] == "INVALID"
    assert {"action-failed", "rollback-failed"} <= set(codes(drill)), drill["reasons"]


def test_an_injection_past_which_the_traffic_goes_is_invalid(tmp_path: Path) -> None:
    bypass = tiny_configuration((("BYPASS", ""),), tmp_path)
    drills, _ = run(tmp_path, experiment("bypassed", INJECT, HOLD, REMOVE), configuration=bypass)
    assert drills["bypassed"]["verdict"] == "INVALID"
    assert "fault-did-not-act" in codes(drills["bypassed"])


def test_somebody_elses_experiment_runs_unmodified_on_the_toxiproxy_of_the_caller(tmp_path: Path) -> None:
    with toxiproxy() as client:
        client.create("shop", "127.0.0.1:0", "127.0.0.1:9")
        drills, output = run(tmp_path, foreign({**TOXIC, "for_proxy": "shop"}), variables={"TOXIPROXY_URL": client.url})
        assert drills["toxiproxy"]["verdict"] == "PASS", (drills["toxiproxy"]["reasons"], output)
        assert client.proxies()["shop"].toxics == ()
    journal = json.loads((Path(drills["toxiproxy"]["directory"]) / "journal.json").read_text())
    assert journal["run"][0]["output"] is not False


def test_a_file_that_looks_for_a_violation_passes_when_it_is_found(tmp_path: Path) -> None:
    file = experiment(
        "rounding",
        action("slow", python(ACTIONS, "inject", fault="Latency", edge="gateway→ledger-db", latency_ms=20)),
        HOLD,
        ours={"environment": "payments-rounding", "configuration": {}, "expect_violation": ["amount-fidelity"]},
    )
    file["steady-state-hypothesis"]["probes"] = [
        probe("gateway", python(PROBES, "component_runs", component="gateway"), tolerance=True)
    ]
    configuration = (ROOT / "experiments" / "finchaos.toml").read_text().replace('"../pytest_', f'"{ROOT}/pytest_')
    drills, output = run(tmp_path, file, configuration=configuration)
    assert drills["rounding"]["verdict"] == "PASS", (drills["rounding"]["reasons"], output)
    assert drills["rounding"]["expected"] == ["amount-fidelity"]
