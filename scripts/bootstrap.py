"""Make `.venv` ready for `make demo` or `make test`; standard library only, since nothing is installed yet.

A stamp in `.venv` holds a digest of what the installation depends on, so that a second run does nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("demo", "dev")  # in this order, a later one holds the earlier ones
MINIMUM = (3, 11)


class SetupError(Exception):
    """What went wrong and what to do next, in sentences."""


def digest(root: Path) -> str:
    """Digest of everything that an installed `.venv` depends on.

    The path is part of it, because scripts in a virtual environment name their interpreter absolutely: a moved
    checkout needs a new one.
    """
    sha = hashlib.sha256()
    for name in ("pyproject.toml", "scripts/bootstrap.py"):
        sha.update((root / name).read_bytes())
    sha.update(os.fsencode(root))
    return sha.hexdigest()


def satisfied(venv: Path, extra: str, key: str) -> bool:
    """True when `venv` runs and was installed with `extra`, or with one that holds it, from the same inputs."""
    candidates = EXTRAS[EXTRAS.index(extra) :]
    stamped = any(_read(venv / f"installed-{name}") == key for name in candidates)
    return stamped and runs(venv / "bin" / "python")


def runs(python: Path) -> bool:
    """True when `python` starts and is new enough; one whose base was removed or is not readable does not."""
    check = f"import sys; sys.exit(sys.version_info < {MINIMUM})"
    try:
        return subprocess.run([python, "-I", "-c", check], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def ensure(root: Path, extra: str) -> bool:
    """Create or complete `root/.venv`.

    Args:
        root: The checkout.
        extra: ``demo`` or ``dev``.

    Returns:
        True when something was installed, False when all was there.

    Raises:
        SetupError: When it cannot be done.
    """
    venv = root / ".venv"
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # `make demo` and `make test` may start together
        key = digest(root)
        if satisfied(venv, extra, key):
            return False
        if not runs(venv / "bin" / "python"):
            say(f"creating {venv} with {sys.executable} (Python {sys.version.split()[0]})")
            shutil.rmtree(venv, ignore_errors=True)
            create(venv)
        say(f"installing pytest-finchaos[{extra}] into {venv}; a minute or two the first time")
        install(venv, root, extra)
        (venv / f"installed-{extra}").write_text(key)
        return True
    finally:
        os.close(handle)


def create(venv: Path) -> None:
    """A virtual environment with pip, by the first way that works on this machine."""
    reasons = []
    for attempt in (_by_venv, _by_debian_package, _by_other_pip, _by_virtualenv):
        shutil.rmtree(venv, ignore_errors=True)
        problem = attempt(venv)
        if problem is None:
            return
        reasons.append(problem)
    shutil.rmtree(venv, ignore_errors=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    tried = "\n".join(f"  tried: {reason}" for reason in reasons)
    raise SetupError(
        f"{sys.executable} cannot create a virtual environment with pip\n{tried}\n"
        f"  next: as root, apt-get install {version}-venv (or python3-venv), then run the same command again"
    )


def install(venv: Path, root: Path, extra: str) -> None:
    """Install the checkout, editable, with one extra."""
    command = [
        str(venv / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    done = subprocess.run([*command, "-e", f"{root}[{extra}]"], check=False, stdin=subprocess.DEVNULL, cwd=root)
    if done.returncode != 0:
        raise SetupError(
            f"pip could not install pytest-finchaos[{extra}] (exit {done.returncode}); its own words are above\n"
            "  next: see that the package index is reachable (pip config list); where a package has no wheel for this"
            " machine, as root: apt-get install build-essential python3-dev"
        )


def _by_venv(venv: Path) -> str | None:
    return _run([sys.executable, "-m", "venv", venv])


def _by_debian_package(venv: Path) -> str | None:
    """Debian splits ensurepip off into a package of its own; root may bring it."""
    if shutil.which("apt-get") is None:
        return "Debian's python3-venv: there is no apt-get here"
    if os.geteuid() != 0:
        return "Debian's python3-venv: installing it needs root"
    say("this Python lacks ensurepip; installing Debian's python3-venv")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    problem = _run(["apt-get", "update", "-qq"], environment) or _run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], environment
    )
    return problem or _run([sys.executable, "-m", "venv", venv])


def _by_other_pip(venv: Path) -> str | None:
    """A pip that belongs to the interpreter can install one into an environment that has none."""
    problem = _run([sys.executable, "-m", "venv", "--without-pip", venv])
    python = venv / "bin" / "python"
    return problem or _run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "pip"])


def _by_virtualenv(venv: Path) -> str | None:
    return _run([sys.executable, "-m", "virtualenv", "--quiet", venv])


def _run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> str | None:
    """None when it went well, else the command with its last words."""
    words = " ".join(str(word) for word in command)
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment
        )
    except OSError as error:
        return f"{words}: {error}"
    if done.returncode == 0:
        return None
    last = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
    return f"{words}: {last}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def say(text: str) -> None:
    """A line for the person who waits."""
    print(f"setup: {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extra", choices=EXTRAS)
    extra = parser.parse_args(arguments).extra
    try:
        ensure(ROOT, extra)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
