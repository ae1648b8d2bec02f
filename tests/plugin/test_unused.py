"""Installed but unused, the plugin costs next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROBE = """
import json, os, sys

HEAVY = {
    "locust", "gevent", "chaoslib", "kubernetes", "numpy", "yaml", "jinja2", "jsonschema", "psutil", "asyncio",
    "psycopg", "toxiproxy", "requests", "cryptography",
}
seen = []

def hook(event, arguments):
    if event in ("subprocess.Popen", "socket.connect", "os.exec", "os.posix_spawn"):
        seen.append([event, str(arguments[0])])
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if str(arguments[0]) != "/dev/null" and "probe.json" not in str(arguments[0]):  # pytest opens the former
            seen.append([event, str(arguments[0])])

sys.addaudithook(hook)

def pytest_unconfigure(config):
    ours = sorted(name for name in sys.modules if name.split(".")[0] == "pytest_finchaos")
    heavy = sorted(HEAVY & set(sys.modules))
    with open(os.environ["PROBE_OUT"], "w") as file:
        json.dump({"ours": ours, "heavy": heavy, "seen": seen}, file)
"""


def probe(tmp_path: Path, test: str) -> dict[str, list[str]]:
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "test_plain.py").write_text(test)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "pytest_finchaos.plugin",
            "-p",
            "probe",
            "-p",
            "no:cacheprovider",
            "-s",
        ],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(tmp_path),
            "PROBE_OUT": str(tmp_path / "probe.json"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # other plugins of the machine load what they like
        },
        capture_output=True,
        check=False,
        timeout=120,
    )
    found: dict[str, list[str]] = json.loads((tmp_path / "probe.json").read_text())
    return found


def test_an_unused_plugin_loads_at_most_six_modules_no_heavy_one_and_does_no_io(tmp_path: Path) -> None:
    found = probe(tmp_path, "def test_plain():\n    assert True\n")
    assert 0 < len(found["ours"]) <= 6, found["ours"]
    assert found["heavy"] == []
    assert found["seen"] == []


def test_a_failing_test_of_somebody_else_loads_nothing_more(tmp_path: Path) -> None:
    found = probe(tmp_path, "def test_plain():\n    assert False\n")
    assert 0 < len(found["ours"]) <= 6, found["ours"]
    assert found["heavy"] == []


def test_the_probe_sees_a_heavy_module_when_there_is_one(tmp_path: Path) -> None:
    found = probe(
        tmp_path, "import json\nimport asyncio\nimport pytest_finchaos.slo\n\ndef test_plain():\n    assert asyncio\n"
    )
    assert found["heavy"] == ["asyncio"]


def test_a_parameter_that_happens_to_be_called_drill_is_no_drill(tmp_path: Path) -> None:
    test = "import pytest\n\n@pytest.mark.parametrize('drill', [1])\ndef test_hole(drill):\n    assert drill\n"
    found = probe(tmp_path, test)
    assert 0 < len(found["ours"]) <= 6, found["ours"]
    assert not (tmp_path / "reports").exists()
