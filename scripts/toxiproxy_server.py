"""Print the path of the real Toxiproxy server, built once where Go exists; exit 1 with the reason where there is none.

Looked for, in this order: what ``FINCHAOS_TEST_TOXIPROXY_SERVER`` names (``none`` hides every other one), what
``FINCHAOS_TOXIPROXY_SERVER`` names, ``toxiproxy-server`` on PATH, the cache, a build by ``go install``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

VERSION = "v2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server"  # its binary is called `server`
BUILD_WITHIN_S = 600.0


class NoServerError(Exception):
    """Why there is no real Toxiproxy here."""


def cache_folder(environ: Mapping[str, str], *, root: bool) -> Path:
    """Where binaries live, outside every checkout; the rule of `runtime.files.cache_directory`."""
    if named := environ.get("FINCHAOS_CACHE"):
        return Path(named)
    if root:
        return Path("/var/cache/finchaos")
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finchaos"


def find(environ: Mapping[str, str], cache: Path) -> Path:
    """The server's path.

    Args:
        environ: Environment variables.
        cache: Folder of binaries that outlives the checkout.

    Raises:
        NoServerError: With the reason, when there is none and none can be built.
    """
    for variable in ("FINCHAOS_TEST_TOXIPROXY_SERVER", "FINCHAOS_TOXIPROXY_SERVER"):
        named = environ.get(variable, "")
        if named == "none":
            raise NoServerError(f"{variable}=none")
        if named:
            if not os.access(named, os.X_OK):
                raise NoServerError(f"{variable}={named}: not an executable file")
            return Path(named)
    if on_path := shutil.which("toxiproxy-server", path=environ.get("PATH")):
        return Path(on_path)
    cached = cache / "bin" / f"toxiproxy-server-{VERSION}"
    if os.access(cached, os.X_OK):
        return cached
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise NoServerError("no toxiproxy-server on PATH, none in the cache, and no Go on PATH to build it")
    build(go, cached, environ)
    return cached


def build(go: str, target: Path, environ: Mapping[str, str]) -> None:
    """Build the server and put it at `target` in one rename, so that a second builder never sees half of it."""
    print(f"toxiproxy: building {MODULE}@{VERSION} into {target}; once", file=sys.stderr, flush=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.parent.parent.chmod(0o711)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            settings = {**environ, "GOBIN": folder, "CGO_ENABLED": "0"}
            done = subprocess.run(
                [go, "install", "-trimpath", f"{MODULE}@{VERSION}"],
                check=False,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                env=settings,
                timeout=BUILD_WITHIN_S,
            )
            if done.returncode != 0:
                last = (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
                raise NoServerError(f"go install {MODULE}@{VERSION}: {last}")
            binary = Path(folder) / "server"
            binary.chmod(0o755)
            binary.replace(target)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoServerError(f"building {MODULE}@{VERSION}: {error}") from error


def main() -> int:
    """Entry point."""
    try:
        print(find(os.environ, cache_folder(os.environ, root=os.geteuid() == 0)))
    except NoServerError as error:
        print(f"toxiproxy: no real server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
