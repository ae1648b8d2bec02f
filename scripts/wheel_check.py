"""Build the wheel, install it into a new environment of another Python, and use it there, away from the checkout.

Usage: wheel_check.py PYTHON. What the checkout has and the wheel lacks shows here and nowhere else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEP_WITHIN_S = 900.0
WHEREABOUTS = "import pytest_finchaos, sys; print(pytest_finchaos.__file__, 'on', sys.version.split()[0])"
PROFILES = "from pytest_finchaos.load.profile import load_profile; load_profile('card_pos_auth')"
NESTED = '''"""A test without a drill: the plugin is loaded and stays out of the way."""


def test_the_plugin_is_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("finchaos")


def test_the_public_names_load():
    import pytest_finchaos

    for name in pytest_finchaos.__all__:
        assert getattr(pytest_finchaos, name) is not None, name
'''


class StepError(Exception):
    """The step that failed."""


def step(name: str, command: Sequence[str | Path], folder: Path) -> None:
    """Run one command, showing its output; raise when it fails."""
    print(f"== wheel: {name}", flush=True)
    settings = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, check=False, cwd=folder, env=settings, stdin=subprocess.DEVNULL, timeout=STEP_WITHIN_S
    )
    if done.returncode != 0:
        raise StepError(f"{name}: exit {done.returncode}")


def carry_out(interpreter: str, folder: Path) -> None:
    """All steps, in `folder`, which is outside the checkout."""
    pip = ["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    step("build", [sys.executable, *pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], folder)
    (wheel,) = folder.glob("*.whl")
    step("environment", [interpreter, "-m", "venv", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    step("install", [python, *pip, "install", f"{wheel}[demo,dev]"], folder)
    step("import", [python, "-c", WHEREABOUTS], folder)
    step("shipped load profiles", [python, "-c", PROFILES], folder)
    project = folder / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\naddopts = -p no:locust\nfilterwarnings = error\n")
    (project / "test_nested.py").write_text(NESTED)
    step("collect", [python, "-m", "pytest", "--co", "-q"], project)
    step("nested tests", [python, "-m", "pytest", "-q"], project)
    pytest = folder / "venv" / "bin" / "pytest"  # not `python -m`, which would put the checkout before the wheel
    step("unit and property tests", [pytest, "-q", "-p", "no:cacheprovider", "tests/unit", "tests/property"], ROOT)
    table = "tests/integration/test_experiments_chaos_toolkit.py"  # the newer lib needs a newer Python than .venv's
    step("Chaos Toolkit table", [pytest, "-q", "-p", "no:cacheprovider", table], ROOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python")
    interpreter = parser.parse_args(arguments).python
    with tempfile.TemporaryDirectory(prefix="finchaos-wheel-") as folder:
        try:
            carry_out(interpreter, Path(folder).resolve())
        except (StepError, subprocess.TimeoutExpired) as error:
            print(f"wheel: {error}", file=sys.stderr)
            return 1
    print(f"wheel: builds, installs and works with {interpreter}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
