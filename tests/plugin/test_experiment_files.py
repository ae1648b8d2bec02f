"""Chaos Toolkit files as items: what is collected and what is never opened, mistakes, secrets, interruptions, workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.experiments.process import session_members
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.conftest import Nested

GOOD = """
title: Touch a file
description: d
tags: [files]
steady-state-hypothesis:
  title: the folder is there
  probes:
    - {type: probe, name: there, tolerance: 0, provider: {type: process, path: test, arguments: [-d, .]}}
method:
  - {type: action, name: touch, provider: {type: process, path: touch, arguments: [touched]}}
"""
SLOW = """
title: Long
description: waits in its method until somebody ends it
method:
  - type: action
    name: begin
    provider: {type: process, path: touch, arguments: [begun]}
    pauses: {after: 300}
rollbacks:
  - {type: action, name: undo, provider: {type: process, path: touch, arguments: [undone]}}
"""
CANARY = "canary-7f3a9c"
SECRET = """
title: Secret
description: every way in which a secret gets out
configuration:
  leak:
    type: probe
    name: dynamic
    provider: {type: process, path: echo, arguments: hello}
secrets:
  inline: {password: canary-7f3a9c}
  caller: {token: {type: env, key: MY_TOKEN}}
method:
  - type: action
    name: print it
    provider: {type: process, path: sh, arguments: [-c, "echo canary-7f3a9c; echo canary-7f3a9c >&2; env"]}
  - type: action
    name: use them
    provider:
      {type: python, module: leaky, func: leak, secrets: [inline, caller], arguments: {}}
"""
LEAKY = """
import sys

def leak(secrets=None):
    print("printed", secrets["password"], secrets["token"], flush=True)
    print("printed", secrets["password"], file=sys.stderr, flush=True)
    return {"password": secrets["password"], "token": secrets["token"]}
"""


@pytest.fixture
def project(nested: Nested) -> Nested:
    nested.write("finchaos.toml", "")
    return nested


def settle_ini(project: Nested, paths: str = "chaos") -> None:
    project.write("pytest.ini", f"[pytest]\nfinchaos_experiments = {paths}\n")


def report_of(project: Nested) -> Any:
    return json.loads((project.folder / "reports" / "latest" / "report.json").read_text())


def test_only_files_below_the_configured_paths_are_collected_and_nothing_else_is_opened(project: Nested) -> None:
    settle_ini(project)
    project.write("chaos/touch.yaml", GOOD)
    project.write("chaos/notes.txt", "title: [not yaml")
    project.write("elsewhere/broken.yaml", "title: [not yaml")
    project.write("elsewhere/broken.json", "{")
    done = project.run("--co", "-q", ".")
    assert done.code == 0, done.out
    assert done.out.splitlines()[0] == "chaos/touch.yaml::touch-a-file"
    assert "elsewhere" not in done.out


def test_without_the_option_and_the_key_no_file_is_collected(project: Nested) -> None:
    project.write("chaos/touch.yaml", GOOD)
    assert project.run("--co", "-q", ".").code == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    "arguments",
    [
        ["chaos"],
        ["chaos/touch.yaml"],
        ["chaos/touch.yaml::touch-a-file"],
        [".", "--finchaos-experiments", "chaos"],
        ["chaos", "chaos/touch.yaml"],
        ["--finchaos-experiments", "chaos/touch.yaml", "--finchaos-experiments", "chaos"],
    ],
)
def test_a_file_is_collected_once_however_it_is_reached(project: Nested, arguments: list[str]) -> None:
    settle_ini(project)
    project.write("chaos/touch.yaml", GOOD)
    done = project.run("--co", "-q", *arguments)
    assert done.out.count("::touch-a-file") == 1, done.out + done.err
    assert done.code == 0


def test_what_the_option_names_is_collected_although_no_argument_leads_there(project: Nested) -> None:
    project.write("chaos/touch.yaml", GOOD)
    project.write("tests/test_plain.py", "def test_plain():\n    assert True\n")
    done = project.run("--co", "-q", "tests", "--finchaos-experiments=chaos")
    assert "chaos/touch.yaml::touch-a-file" in done.out, done.out + done.err
    settle_ini(project)
    assert "touch-a-file" not in project.run("--co", "-q", "tests").out


@pytest.mark.parametrize("arguments", [["--finchaos-experiments=missing"], ["."]])
def test_a_path_that_does_not_exist_is_a_usage_error(project: Nested, arguments: list[str]) -> None:
    settle_ini(project, "missing")
    project.write("touch.yaml", GOOD)
    done = project.run(*arguments)
    assert done.code == pytest.ExitCode.USAGE_ERROR, done.out
    assert "no file or folder" in done.out + done.err
    assert "Traceback" not in done.out + done.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("title: [unclosed", ("is not YAML", "next: mend that line")),
        ("- a\n- b\n", ("is no experiment", "next: keep files that are no experiments out")),
        (GOOD + "extensions: [{name: finchaos, enviroment: x}]\n", ("unknown key", "did you mean 'environment'")),
        (GOOD + "extensions: [{name: finchaos, environment: payment}]\n", ("no environment 'payment'", "payments")),
    ],
)
def test_a_mistake_in_a_file_is_a_clean_collection_error(project: Nested, content: str, told: tuple[str, ...]) -> None:
    settle_ini(project)
    project.write("chaos/wrong.yaml", content)
    project.write(
        "finchaos.toml",
        '[environments.payments]\nbackend = "processes"\nallowed_hosts = ["127.0.0.1"]\n'
        '[environments.payments.components.web]\ncommand = ["web"]\n',
    )
    done = project.run("-q", "chaos")
    assert done.code == pytest.ExitCode.INTERRUPTED, done.out
    assert "ERROR collecting chaos/wrong.yaml" in done.out
    for text in told:
        assert text in done.out
    assert "chaos/wrong.yaml" in done.out
    assert "Traceback" not in done.out
    assert 'File "' not in done.out


def test_a_file_is_selected_by_its_tags_and_its_title(project: Nested) -> None:
    settle_ini(project)
    project.write("chaos/touch.yaml", GOOD)
    assert "1 test collected" in project.run("--co", "-q", "chaos", "-k", "files").out
    assert "1 test collected" in project.run("--co", "-q", "chaos", "-k", "touch-a-file").out
    assert "1 deselected" in project.run("--co", "-q", "chaos", "-k", "other").out


def test_no_secret_is_kept_and_none_of_the_caller_is_inherited(project: Nested) -> None:
    settle_ini(project)
    project.write("chaos/secret.yaml", SECRET)
    project.write("chaos/leaky.py", LEAKY)
    variables = {"MY_TOKEN": "token-of-the-caller", "OTHER_SECRET": "other-secret-of-the-caller"}
    done = project.run("-v", "chaos", variables=variables)
    kept = [path for path in (project.folder / "reports").rglob("*") if path.is_file()]
    (log,) = [path for path in kept if path.name == "chaos.log"]
    (journal,) = [path for path in kept if path.name == "journal.json"]
    assert "printed [redacted]" in log.read_text()
    assert json.loads(journal.read_text())["run"][1]["output"] == {"password": "[redacted]", "token": "[redacted]"}
    texts = {str(path): path.read_text(errors="replace") for path in kept} | {"terminal": done.out + done.err}
    for place, text in texts.items():
        for secret in (CANARY, *variables.values()):
            assert secret not in text, place


def test_what_an_experiment_left_running_is_ended_with_it(project: Nested) -> None:
    settle_ini(project)
    leave = '[-c, "sleep 300 >/dev/null 2>&1 & echo $! > left"]'
    project.write(
        "chaos/leave.yaml", GOOD.replace("path: touch, arguments: [touched]", f"path: sh, arguments: {leave}")
    )
    done = project.run("-q", "chaos")
    assert done.code == 0, done.out
    pid = int((project.folder / "left").read_text())
    wait_for(lambda: True if _gone(pid) else Not(f"{pid} lives"), what="the left process to be gone", within_s=10)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_pytest_ends_the_experiment_with_its_rollbacks(project: Nested, name: str) -> None:
    settle_ini(project)
    project.write("chaos/long.yaml", SLOW)
    process = subprocess.Popen(
        project.command("-q", "chaos"), cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    begun, undone = project.folder / "begun", project.folder / "undone"
    try:
        wait_for(lambda: begun.exists() or Not("no file"), what="the experiment to begin", within_s=60)
        (child,) = _children(process.pid)
        home = _home(child)
        assert not (home / "order.json").exists()
        os.kill(process.pid, getattr(signal, name))
        wait_for(lambda: undone.exists() or Not("no file"), what="the rollbacks", within_s=30)
        process.wait(timeout=60)
        wait_for(
            lambda: not session_members(child) or Not(f"{session_members(child)}"), what="the child's end", within_s=30
        )
        wait_for(lambda: not home.exists() or Not(str(home)), what="its folder to be gone", within_s=10)
    finally:
        process.kill()
        process.wait(timeout=10)
    if name == "SIGINT":
        assert process.returncode == pytest.ExitCode.INTERRUPTED


def _home(pid: int) -> Path:
    """The private folder of an experiment's process: it holds its HOME."""
    variables = dict(line.partition("=")[::2] for line in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    return Path(variables["HOME"]).parent


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_workers_run_experiment_files_and_the_controller_reports_them(project: Nested) -> None:
    settle_ini(project)
    project.write("chaos/touch.yaml", GOOD)
    project.write("chaos/nothing.yaml", GOOD.replace("type: action", "type: probe").replace("Touch", "Look at"))
    done = project.run("-q", "chaos", "-n", "2")
    assert done.code == pytest.ExitCode.TESTS_FAILED, done.out
    verdicts = {drill["id"]: drill["verdict"] for drill in report_of(project)["drills"]}
    assert verdicts == {
        "chaos/touch.yaml::touch-a-file": "PASS",
        "chaos/nothing.yaml::look-at-a-file": "INCONCLUSIVE",
    }
