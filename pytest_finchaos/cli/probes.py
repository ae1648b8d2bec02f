"""Looks at this machine: programs, servers, packages. Contacts loopback and hosts that the configuration allows."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

from pytest_finchaos.cli.machine import Kube, Package, Program
from pytest_finchaos.cli.needs import Needs
from pytest_finchaos.model.errors import UserError

CALL_WITHIN_S = 2.0
RUN_WITHIN_S = 20.0


def packages() -> tuple[Package, ...]:
    """Our requirements against what is installed; optional ones are not looked at."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("pytest-finchaos") or ()
    except metadata.PackageNotFoundError:
        return ()
    found = []
    for line in lines:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        version = _version(wanted.name)
        suits = bool(version) and wanted.specifier.contains(version, prereleases=True)
        found.append(Package(wanted.name, str(wanted.specifier), version, suits))
    return tuple(found)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def said(command: list[str]) -> Program:
    """What a program says of its version, or why it could not be run."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Program(command[0], problem=f"cannot be run: {error}")
    text = next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), "")
    if done.returncode != 0:
        return Program(command[0], problem=f"{command[0]} ended with status {done.returncode}: {text[:200]}")
    return Program(command[0], version=text[:120])


def toxiproxy(environ: Mapping[str, str]) -> Program:
    """The server that an environment would start; place "" for the built-in one or an attached one."""
    from pytest_finchaos.proxy.launcher import BINARY_VARIABLE, find_server

    try:
        choice = find_server({name: value for name, value in environ.items() if name != "TOXIPROXY_URL"})
    except UserError as error:
        return Program(environ.get(BINARY_VARIABLE, ""), problem=error.what)
    if choice.kind != "real":
        return Program()
    origin = "FINCHAOS_TOXIPROXY_SERVER" if environ.get(BINARY_VARIABLE, "").strip() else "on PATH"
    answer = said([choice.binary, "-version"])
    return Program(choice.binary, answer.version, origin, answer.problem)


def attached(needs: Needs, environ: Mapping[str, str]) -> dict[str, Program]:
    """Toxiproxy servers that run already: do they answer? One outside the allowed hosts is not contacted."""
    named = environ.get("TOXIPROXY_URL", "").strip()
    found = {}
    for url in dict.fromkeys([*needs.toxiproxies, *([named] if named else [])]):
        found[url] = _answering(url, needs)
    return found


def _answering(url: str, needs: Needs) -> Program:
    from pytest_finchaos.proxy.client import ToxiproxyClient

    if not needs.allows(url):
        return Program(url, problem=f"not contacted: its host is not among the allowed ones {list(needs.hosts)}")
    try:
        return Program(url, version=ToxiproxyClient(url, timeout_s=CALL_WITHIN_S).version())
    except UserError as error:
        return Program(url, problem=error.what)


def components(needs: Needs) -> dict[str, Program]:
    """Attached components: does the port accept?"""
    found = {}
    for address in needs.addresses:
        if not needs.allows(address):
            found[address] = Program(address, problem="not contacted: its host is not among the allowed ones")
            continue
        name, _, port = address.rpartition(":")
        try:
            with socket.create_connection((name.strip("[]"), int(port)), timeout=CALL_WITHIN_S):
                found[address] = Program(address)
        except (OSError, ValueError) as error:
            found[address] = Program(address, problem=f"does not accept connections: {error}")
    return found


def postgres(environ: Mapping[str, str]) -> Program:
    """The server that a postgres component would use, run once as the user that will run it."""
    from pytest_finchaos.environments.postgres import find_server

    try:
        server = find_server(environ)
    except (UserError, OSError) as error:
        return Program(problem=error.what if isinstance(error, UserError) else str(error))
    return Program(str(server.folder), server.version, server.origin)


def envoy(environ: Mapping[str, str]) -> Program:
    """The Envoy that a component with versions would get, run once."""
    from pytest_finchaos.environments.router.envoy import NoRouter, find_envoy

    try:
        found = find_envoy(environ)
    except NoRouter as error:
        return Program(problem=error.why)
    return Program(str(found.binary), found.version, found.origin)


def programs(names: Iterable[str], folder: Path, environ: Mapping[str, str]) -> dict[str, Program]:
    """Programs that the configuration names: on PATH, or as a path from its folder."""
    found = {}
    for name in names:
        path = str(folder / name) if "/" in name else name
        place = shutil.which(path, path=environ.get("PATH", ""))
        found[name] = Program(place) if place else Program(problem="not found, or not executable")
    return found


def drivers(names: Iterable[str]) -> dict[str, bool]:
    """Python modules by name: can they be imported? They are not."""
    return {name: _importable(name) for name in names}


def _importable(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def engine(environ: Mapping[str, str]) -> Program:
    """The container engine behind a Unix socket; a remote one is named, not contacted."""
    named = environ.get("DOCKER_HOST", "")
    if named and not named.startswith("unix://"):
        return Program(named, problem=f"DOCKER_HOST={named} is not on this machine: not contacted")
    places = [named.removeprefix("unix://")] if named else list(_sockets(environ))
    for place in places:
        if Path(place).is_socket():
            return _ping(place)
    return Program(problem=f"no socket at {' or '.join(places)}")


def _sockets(environ: Mapping[str, str]) -> Iterable[str]:
    runtime = environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    docker = ("/var/run/docker.sock", f"{runtime}/docker.sock")
    return (*docker, "/run/podman/podman.sock", f"{runtime}/podman/podman.sock")


def _ping(place: str) -> Program:
    connection = http.client.HTTPConnection("localhost", timeout=CALL_WITHIN_S)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(CALL_WITHIN_S)
            link.connect(place)
            connection.sock = link
            connection.request("GET", "/_ping")
            answer = connection.getresponse()
            name = answer.headers.get("Server", "an engine")
    except (OSError, http.client.HTTPException) as error:
        return Program(place, problem=f"{place} does not answer: {error}")
    if answer.status != http.client.OK:
        return Program(place, problem=f"{place} answers with status {answer.status}")
    return Program(place, version=name)


def kube(environ: Mapping[str, str]) -> Kube:
    """The kubeconfig file that would be used; read only, nothing is contacted."""
    named = environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    path = Path(named) if named else Path(environ.get("HOME", "/nonexistent")) / ".kube" / "config"
    if not path.is_file():
        return Kube(named, problem="no such file" if named else "")
    import yaml

    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return Kube(str(path), problem=f"cannot be read: {str(error).splitlines()[0]}")
    if not isinstance(document, dict):
        return Kube(str(path), problem="is no kubeconfig")
    return Kube(str(path), context=str(document.get("current-context") or ""))
