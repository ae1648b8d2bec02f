"""Which Toxiproxy serves an environment: a running one, a real binary, or the built-in server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.proxy.client import ToxiproxyClient

URL_VARIABLE = "TOXIPROXY_URL"
BINARY_VARIABLE = "FINCHAOS_TOXIPROXY_SERVER"
BINARY_NAME = "toxiproxy-server"
BUILT_IN_MODULE = "pytest_finchaos.proxy.server"


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The server to use.

    Args:
        kind: ``attached`` (runs already), ``real`` (a binary to start) or ``built-in``.
        url: Base URL when attached, else "".
        binary: Path of the binary when real, else "".
    """

    kind: str
    url: str = ""
    binary: str = ""

    def argv(self, host: str, port: int, seed: str = "0") -> list[str]:
        """The command that starts it.

        Args:
            host: Address of its API.
            port: Port of its API.
            seed: Names the draws of toxicity and jitter; the real server has no working seed and is not given one.

        Raises:
            UserError: When attached: there is nothing to start.
        """
        if self.kind == "attached":
            raise UserError(URL_VARIABLE, f"{self.url} is attached to, not started")
        if self.kind == "real":
            return [self.binary, "-host", host, "-port", str(port)]
        return [sys.executable, "-m", BUILT_IN_MODULE, "--host", host, "--port", str(port), "--seed", seed]

    def describe(self) -> str:
        """One phrase for reports."""
        return {"attached": f"attached Toxiproxy {self.url}", "real": f"Toxiproxy {self.binary}"}.get(
            self.kind, "built-in Toxiproxy"
        )


def find_server(environ: Mapping[str, str]) -> ServerChoice:
    """The server that ``environ`` asks for.

    ``TOXIPROXY_URL`` attaches; ``FINCHAOS_TOXIPROXY_SERVER`` names a binary; else ``toxiproxy-server`` on ``PATH``;
    else the built-in one.

    Raises:
        UserError: When the URL is malformed or the named binary cannot be run.
    """
    if url := environ.get(URL_VARIABLE, "").strip():
        return ServerChoice("attached", url=ToxiproxyClient(url).url)
    if named := environ.get(BINARY_VARIABLE, "").strip():
        path = shutil.which(named, path=environ.get("PATH"))
        if path is None:
            raise UserError(
                BINARY_VARIABLE, _why_not(named), cure=f"name a toxiproxy-server, or unset {BINARY_VARIABLE}"
            )
        return ServerChoice("real", binary=str(Path(path).absolute()))
    found = shutil.which(BINARY_NAME, path=environ.get("PATH", ""))
    return ServerChoice("real", binary=found) if found else ServerChoice("built-in")


def _why_not(named: str) -> str:
    path = Path(named)
    if path.is_dir():
        return f"{named} is a folder"
    if path.exists():
        return f"{named} is not executable (mode {path.stat().st_mode & 0o777:o})"
    return f"{named} does not exist"
