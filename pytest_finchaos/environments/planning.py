"""From a specification to what the supervisor is told: ports, addresses, builds, digests."""

from __future__ import annotations

import os
import pwd
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_finchaos.environments import builds, fingerprint, postgres
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.environments.tagged import TAG
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.launcher import ServerChoice

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of an environment is.

    Args:
        id: Environment id.
        directory: Data directory, in the cache.
        logs: Folder of its logs, in the run folder.
        ports: Port of each component.
        listens: Port of each edge's proxy, by (source, target).
        proxy_port: Port of the fault proxy's API.
        proxy_url: Its base URL.
    """

    id: str
    directory: Path
    logs: Path
    ports: Mapping[str, int]
    listens: Mapping[tuple[str, str], int]
    proxy_port: int
    proxy_url: str


def lay_out(
    spec: EnvironmentSpec, *, environment_id: str, directory: Path, logs: Path, ports: Ports, choice: ServerChoice
) -> Layout:
    """Claim ports for every component, edge and the proxy's API."""
    proxy_port = 0 if choice.kind == "attached" else ports.claim()
    return Layout(
        id=environment_id,
        directory=directory,
        logs=logs,
        ports={name: ports.claim() for name in spec.components},
        listens={(edge.source, edge.target): ports.claim() for edge in spec.edges},
        proxy_port=proxy_port,
        proxy_url=choice.url if choice.kind == "attached" else f"http://{HOST}:{proxy_port}",
    )


def edges_of(spec: EnvironmentSpec, layout: Layout) -> tuple[Edge, ...]:
    """The edges with their proxies' addresses."""
    found = []
    for edge in spec.edges:
        target = spec.components[edge.target]
        protocol = "postgres" if target.kind == "postgres" else "http" if target.ready.http else "tcp"
        found.append(
            Edge(
                environment=layout.id,
                source=edge.source,
                target=edge.target,
                proxy=f"{layout.id}.{edge.source}.{edge.target}",
                api_url=layout.proxy_url,
                listen=f"{HOST}:{layout.listens[edge.source, edge.target]}",
                upstream=f"{HOST}:{layout.ports[edge.target]}",
                protocol=protocol,
                probe_path=target.ready.http or "/",
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A component with its plan and digest."""

    plan: ComponentPlan
    digest: str
    build: builds.Build
    note: str = ""


def prepare(spec: ComponentSpec, layout: Layout) -> Prepared:
    """Build and plan one component.

    Raises:
        UserError: A build path is missing, a placeholder unknown, PostgreSQL not found.
    """
    if spec.kind == "postgres":
        return _prepare_postgres(spec, layout)
    build = builds.prepare(spec.build)
    workdir = layout.directory / "work" / spec.name
    places = {
        "python": sys.executable,
        "port": str(layout.ports[spec.name]),
        "workdir": str(workdir),
        "build": str(build.folder or ""),
        "build_digest": build.digest,
        "pid": "{pid}",
    }
    edges = {target: f"{HOST}:{port}" for (source, target), port in layout.listens.items() if source == spec.name}
    plan = ComponentPlan(
        name=spec.name,
        kind=spec.kind,
        argv=tuple(fill(word, places, edges, f"component {spec.name}: command") for word in spec.command),
        variables={
            **base_variables(layout.id, workdir),
            "FINCHAOS_BUILD": build.digest,
            "FINCHAOS_VERSION": spec.version,
            **{
                name: fill(value, places, edges, f"component {spec.name}: variables.{name}")
                for name, value in spec.variables.items()
            },
        },
        build=build.digest,
        port=layout.ports[spec.name],
        workdir=str(workdir),
        restart=spec.restart,
        ready_http=spec.ready.http,
        ready_fields=dict(spec.ready.fields),
        ready_within_s=spec.ready.within_s,
        log=str(layout.logs / f"{spec.name}.log"),
    )
    digest = fingerprint.component_digest(spec, build=build.digest, server="")
    return Prepared(plan, digest, build)


def _prepare_postgres(spec: ComponentSpec, layout: Layout) -> Prepared:
    server = postgres.find_server()
    template = postgres.template(server, spec)
    data = layout.directory / "work" / spec.name
    entry = pwd.getpwnam(postgres.UNPRIVILEGED) if os.geteuid() == 0 else None
    settings = postgres.settings_of(spec)
    digest = fingerprint.component_digest(spec, build="", server=server.version)
    plan = ComponentPlan(
        name=spec.name,
        kind=spec.kind,
        argv=tuple(postgres.argv(server, data, layout.ports[spec.name], settings)),
        variables=base_variables(layout.id, Path("/")) | {"LC_ALL": "C.UTF-8"},
        build=digest,
        port=layout.ports[spec.name],
        workdir=str(data),
        restart=spec.restart,
        ready_http=None,
        ready_fields={},
        ready_within_s=max(spec.ready.within_s, 30.0),
        log=str(layout.logs / f"{spec.name}.log"),
        template=str(template),
        owner=(entry.pw_uid, entry.pw_gid) if entry else None,
    )
    unsafe = " with fsync=off: a power loss is not covered" if settings.get("fsync") == "off" else ""
    return Prepared(plan, digest, builds.Build("", None), f"{spec.name}: {server.version} ({server.origin}){unsafe}")


def base_variables(environment_id: str, workdir: Path) -> dict[str, str]:
    """All that a component gets beside what is declared."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        TAG: environment_id,
    }


def fill(text: str, places: Mapping[str, str], edges: Mapping[str, str], where: str) -> str:
    """``text`` with its placeholders replaced: ``{port}``, ``{workdir}``, …, ``{edge.TARGET}``.

    Raises:
        UserError: Unknown placeholder.
    """
    parts = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise UserError(where, f"{text!r}: {error}", cure="write {{ and }} for plain braces") from None
    for literal, name, _, _ in parsed:
        parts.append(literal)
        if name is None:
            continue
        allowed = {**{f"edge.{target}": address for target, address in edges.items()}, **places}
        if name not in allowed:
            raise UserError(where, f"unknown placeholder {{{name}}}", allowed=sorted(allowed), got=name)
        parts.append(allowed[name])
    return "".join(parts)
