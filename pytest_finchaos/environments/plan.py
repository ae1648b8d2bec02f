"""What the supervisor is told: everything resolved, plain data, one JSON line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ComponentPlan:
    """One component, ready to start.

    Args:
        name: Component name.
        kind: ``process`` or ``postgres``.
        argv: The command.
        variables: All of its environment variables.
        build: sha256 of the build.
        port: Where it will listen on 127.0.0.1.
        workdir: Its folder; emptied by a reset.
        restart: ``always`` or ``never``.
        ready_http: Path that must answer 2xx, or None.
        ready_fields: Body fields that must equal these texts; ``{pid}`` and ``{build_digest}`` are filled in.
        ready_within_s: Deadline.
        log: File for stdout and stderr.
        template: For postgres: the template data directory that is cloned into ``workdir``.
        recipe: For postgres: file with the `template.Recipe` that makes the template when it is missing.
        owner: For postgres: user and group ids to run as, or None.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    variables: Mapping[str, str]
    build: str
    port: int
    workdir: str
    restart: str
    ready_http: str | None
    ready_fields: Mapping[str, str]
    ready_within_s: float
    log: str
    template: str | None = None
    recipe: str = ""
    owner: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """A system that commands start and stop.

    Args:
        start: Argument vector; it may stay in the foreground or return.
        stop: Argument vector, or empty.
        variables: All environment variables of both.
        folder: Working directory of both.
        log: File for stdout and stderr of both.
        stop_within_s: Deadline of the stop command.
    """

    start: tuple[str, ...]
    stop: tuple[str, ...]
    variables: Mapping[str, str]
    folder: str
    log: str
    stop_within_s: float


@dataclass(frozen=True, slots=True)
class SupervisorPlan:
    """One environment.

    Args:
        id: Environment id, the tag of all its processes.
        parents: Pids whose end ends the environment.
        ttl_s: The environment ends after this, whatever happens.
        directory: Its data directory; removed at the end.
        events: File of its events.
        proxy_argv: Command of the fault proxy, or empty when attached.
        proxy_port: Port of its API.
        proxy_log: File for its output.
        components: In the order of the configuration.
        system: A system that commands start and stop, or None.
    """

    id: str
    parents: tuple[int, ...]
    ttl_s: float
    directory: str
    events: str
    proxy_argv: tuple[str, ...]
    proxy_port: int
    proxy_log: str
    components: tuple[ComponentPlan, ...] = field(default=())
    system: SystemPlan | None = None
