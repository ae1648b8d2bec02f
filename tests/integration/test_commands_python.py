"""`scripts/find_python.sh` finds an interpreter that the caller can run, not merely one that exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "find_python.sh"
BROKEN_SHIM = "#!/bin/sh\necho 'pyenv: python3.11: command not found' >&2\nexit 127\n"


def shim(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def find(minimum: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), minimum],
        check=False,
        capture_output=True,
        text=True,
        env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"} | variables,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def test_a_shim_that_fails_is_passed_over_for_one_further_along_the_path(tmp_path: Path) -> None:
    shim(tmp_path / "shims", "python3.11", BROKEN_SHIM)
    shim(tmp_path / "shims", "python3", BROKEN_SHIM)
    shim(tmp_path / "good", "python3.11", f'#!/bin/sh\nexec {sys.executable} "$@"\n')

    found = find("3.11", PATH=f"{tmp_path}/shims:{tmp_path}/good:/usr/bin:/bin")

    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == sys.executable  # what the shim stands for, not the shim


def test_a_version_that_pyenv_holds_is_found_without_its_shims(tmp_path: Path) -> None:
    shim(tmp_path / "versions" / "3.11.99" / "bin", "python3.11", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("tr", "id"):
        (tools / name).symlink_to(Path("/usr/bin") / name)

    found = find("3.11", PATH=str(tools), PYENV_ROOT=str(tmp_path))

    assert found.stdout.strip() == sys.executable


def test_an_interpreter_that_is_named_and_fails_is_an_error_with_a_cure(tmp_path: Path) -> None:
    named = shim(tmp_path, "python", BROKEN_SHIM)

    found = find("3.11", PYTHON=str(named))

    assert found.returncode == 2
    assert f"PYTHON={named}: does not run" in found.stderr
    assert "next: " in found.stderr


def test_when_every_candidate_is_older_the_message_names_them_and_what_to_install(tmp_path: Path) -> None:
    shim(tmp_path, "python3", BROKEN_SHIM)

    found = find("3.99", PATH=f"{tmp_path}:/usr/bin:/bin")

    assert found.returncode == 2
    assert "no Python 3.99 or newer" in found.stderr
    assert f"{tmp_path}/python3" in found.stderr
    assert "apt-get install python3" in found.stderr
