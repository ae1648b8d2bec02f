"""What a configuration needs, read from its tables; what pytest's settings say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pytest_finchaos.cli import needs, pytest_settings
from pytest_finchaos.model.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FULL = """
[environments.shop]
backend = "command"
allowed_hosts = ["127.0.0.1", "10.0.0.7"]
start = ["docker", "compose", "up", "-d"]
stop = ["docker", "compose", "down"]
toxiproxy = "http://127.0.0.1:8474"
edges = [{ source = "clients", target = "web" }]
[environments.shop.components.web]
versions = { "1.0" = { command = ["node", "a.js"] }, "1.1" = { command = ["{python}", "b.py"] } }
[environments.shop.ledger]
driver = "oracledb"
[environments.bank]
backend = "attach"
allowed_hosts = ["127.0.0.1"]
[environments.bank.components.core]
address = "127.0.0.1:8080"
"""


def test_everything_that_is_used_is_found() -> None:
    found = needs.of(tomllib.loads(FULL))
    assert found.backends == {"shop": "command", "bank": "attach"}
    assert found.proxy
    assert not found.postgres
    assert found.versions == ("shop.web",)
    assert found.programs == ("docker", "node")
    assert found.drivers == ("oracledb",)
    assert found.toxiproxies == ("http://127.0.0.1:8474",)
    assert found.addresses == ("127.0.0.1:8080",)
    assert found.engine
    assert not found.kubernetes


def test_only_hosts_of_the_configuration_may_be_contacted() -> None:
    found = needs.of(tomllib.loads(FULL))
    assert found.allows("http://10.0.0.7:8474")
    assert not found.allows("http://10.0.0.8:8474")
    assert not found.allows("10.0.0.8:80")
    assert not found.allows("http://[broken")
    assert needs.NOTHING.allows("127.0.0.1:80")


@pytest.mark.parametrize("text", ["environments = 3", "[environments]\nx = 3", "[environments.x]\ncomponents = []"])
def test_a_malformed_configuration_is_read_as_far_as_it_goes(text: str) -> None:
    assert needs.of(tomllib.loads(text)).programs == ()


def test_the_demo_needs_a_database_and_a_proxy() -> None:
    found = needs.of(tomllib.loads((ROOT / "experiments" / "finchaos.toml").read_text()))
    assert found.postgres
    assert found.proxy


SETTINGS = {
    "pytest.ini": "[pytest]\naddopts = -p no:locust -n 4\n",
    "tox.ini": "[pytest]\naddopts = -p no:locust -n4\n",
    "setup.cfg": "[tool:pytest]\naddopts = -pno:locust --numprocesses=4\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p no:locust --numprocesses 4"\n',
    "pytest.toml": '[pytest]\naddopts = ["-p", "no:locust", "-n", "4"]\n',
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_are_read_from_each_kind_of_file_and_from_above(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SETTINGS[name])
    below = tmp_path / "tests" / "deep"
    below.mkdir(parents=True)
    found = pytest_settings.read(below)
    assert found.source == tmp_path / name
    words = found.words({})
    assert pytest_settings.plugin_is_off(words, "locust")
    assert pytest_settings.workers(words) == "4"


def test_options_of_the_environment_count_too(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = pytest_settings.read(tmp_path).words({"PYTEST_ADDOPTS": "-p no:locust -n auto"})
    assert pytest_settings.plugin_is_off(words, "locust")
    assert pytest_settings.workers(words) == "auto"


def test_a_plugin_that_nobody_switched_off_is_on() -> None:
    assert not pytest_settings.plugin_is_off(("-p", "no:cacheprovider", "no:locust"), "locust")
    assert pytest_settings.workers(("--no-header", "-p", "no:x")) == ""


def test_a_broken_ini_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("no section\n")
    with pytest.raises(UserError, match="cannot be parsed"):
        pytest_settings.read(tmp_path)
