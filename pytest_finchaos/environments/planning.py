"""From a specification to what the supervisor is told: ports, addresses, builds, commands."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_finchaos.environments import builds, fingerprint, postgres, template
from pytest_finchaos.environments.placeholders import EDGE, fill
from pytest_finchaos.environments.plan import ComponentPlan
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.environments.tagged import TAG
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.proxy.launcher import ServerChoice
from pytest_finchaos.runtime import codec

HOST = "127.0.0.1"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POSTGRES_READY_S = 30.0  # at least: recovery after a kill takes seconds on a busy host


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
        entries: Port of the router in front of a component, for those that have one.
    """

    id: str
    directory: Path
    logs: Path
    ports: Mapping[str, int]
    listens: Mapping[tuple[str, str], int]
    proxy_port: int
    proxy_url: str
    entries: Mapping[str, int] = field(default_factory=dict)

    def entry(self, component: str) -> int:
        """Port where others reach a component: its router's, else its own."""
        return self.entries.get(component, self.ports[component])

    def workdir(self, component: str) -> Path:
        """The folder of one component."""
        return self.directory / "work" / component


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
                upstream=f"{HOST}:{layout.entry(edge.target)}",
                protocol=protocol,
                probe_path=target.ready.http or "/",
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A component, planned.

    Args:
        spec: As declared.
        plan: What the supervisor is told.
        build: Its build.
        program: The file that is executed.
        server: For postgres: the server's version.
        schema: For postgres: digest of the schema text that went into the recipe.
        note: What a reader of the report must know, or "".
    """

    spec: ComponentSpec
    plan: ComponentPlan
    build: builds.Build
    program: Path
    server: str = ""
    schema: str = ""
    note: str = ""

    def digest(self) -> str:
        """The component's digest, from what stands on disk now.

        A template that is not what was made gives another digest, and so does a changed build or program.
        """
        build, schema = self.build.digest, self.schema
        if self.build.folder is not None and not builds.intact(self.build.folder, build):
            build = "changed"
        if self.plan.template is not None and Path(self.plan.template).exists():
            schema = schema if template.intact(Path(self.plan.template)) else "changed"
        python = "{python}" in self.spec.command
        return fingerprint.component_digest(
            self.spec,
            build=build,
            executable=fingerprint.interpreter() if python else fingerprint.digest_of_file(self.program),
            server=self.server,
            schema=schema,
        )

    def problems(self) -> list[str]:
        """What was changed on disk since the start, in sentences."""
        found = []
        if self.build.folder is not None and not builds.intact(self.build.folder, self.build.digest):
            found.append(f"its build in {self.build.folder} was changed while it served")
        if self.plan.template is not None and not template.intact(Path(self.plan.template)):
            found.append(f"its template {self.plan.template} was changed")
        return [f"component {self.spec.name}: {text}" for text in found]


def prepare(spec: ComponentSpec, layout: Layout) -> Prepared:
    """Build and plan one component.

    Raises:
        UserError: A build path is missing, a placeholder unknown, a program or PostgreSQL not found.
    """
    return _prepare_postgres(spec, layout) if spec.kind == "postgres" else _prepare_process(spec, layout)


def _prepare_process(spec: ComponentSpec, layout: Layout) -> Prepared:
    build = builds.prepare(spec.build)
    workdir = layout.workdir(spec.name)
    places = {
        "python": sys.executable,
        "port": str(layout.ports[spec.name]),
        "workdir": str(workdir),
        "build": str(build.folder or ""),
        "build_digest": build.digest,
    }
    for (source, target), port in layout.listens.items():
        if source == spec.name:
            places[f"{EDGE}{target}"] = f"{HOST}:{port}"
    where = f"component {spec.name}"
    variables = {
        **base_variables(layout.id, workdir),
        "FINCHAOS_BUILD": build.digest,
        "FINCHAOS_VERSION": spec.version,
        **{name: fill(value, places, f"{where}: variables.{name}") for name, value in spec.variables.items()},
    }
    argv = tuple(fill(word, places, f"{where}: command") for word in spec.command)
    plan = ComponentPlan(
        name=spec.name,
        kind=spec.kind,
        argv=argv,
        variables=variables,
        build=build.digest,
        port=layout.ports[spec.name],
        workdir=str(workdir),
        restart=spec.restart,
        ready_http=spec.ready.http,
        ready_fields=dict(spec.ready.fields),
        ready_within_s=spec.ready.within_s,
        log=str(layout.logs / f"{spec.name}.log"),
    )
    return Prepared(spec, plan, build, _program(argv[0], variables["PATH"], where))


def _program(name: str, path: str, where: str) -> Path:
    found = shutil.which(name, path=path)
    if found is None:
        what = "is no executable file" if "/" in name else f"is not in {path}"
        cure = "name it by its full path, or declare PATH in the component's variables: the caller's is not handed on"
        raise UserError(f"{where}: command", f"{name} {what}", cure=cure)
    return Path(found).resolve()


def _prepare_postgres(spec: ComponentSpec, layout: Layout) -> Prepared:
    server = postgres.find_server()
    data = layout.workdir(spec.name)
    wanted = template.recipe(server, spec, layout.directory / f"template-{spec.name}")
    template.discard_if_changed(Path(wanted.target))
    recipe_file = layout.directory / f"recipe-{spec.name}.json"
    recipe_file.write_text(codec.dumps(wanted), encoding="utf-8")  # a schema can be longer than an argument
    schema = hashlib.sha256(wanted.schema.encode()).hexdigest()
    plan = ComponentPlan(
        name=spec.name,
        kind=spec.kind,
        argv=tuple(postgres.argv(server, data, layout.ports[spec.name], wanted.settings)),
        variables=base_variables(layout.id, Path("/")) | postgres.VARIABLES,
        build=hashlib.sha256(f"{server.version}\0{Path(wanted.target).name}".encode()).hexdigest(),
        port=layout.ports[spec.name],
        workdir=str(data),
        restart=spec.restart,
        ready_http=None,
        ready_fields={},
        ready_within_s=max(spec.ready.within_s, POSTGRES_READY_S),
        log=str(layout.logs / f"{spec.name}.log"),
        template=wanted.target,
        recipe=str(recipe_file),
        owner=postgres.account(),
    )
    unsafe = " with fsync=off: a power loss is not covered" if wanted.settings.get("fsync") == "off" else ""
    return Prepared(
        spec=spec,
        plan=plan,
        build=builds.Build("", None),
        program=server.folder / "postgres",
        server=server.version,
        schema=schema,
        note=f"{spec.name}: {server.version} ({server.origin}){unsafe}",
    )


def base_variables(environment_id: str, workdir: Path) -> dict[str, str]:
    """All that a component gets beside what is declared."""
    return {
        "PATH": PATH,
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        TAG: environment_id,
    }
