"""Facts about a machine and a project, as plain data: what the doctor's checks read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Package:
    """A requirement of ours.

    Args:
        name: The distribution.
        wanted: The range of versions, e.g. ``>=8.4,<10``.
        found: The installed version, "" when it is not there.
        suits: True when the version is in the range.
    """

    name: str
    wanted: str
    found: str
    suits: bool


@dataclass(frozen=True, slots=True)
class Program:
    """A program or a server: where, which version, or why not.

    Args:
        place: Path or address; "" when there is none.
        version: In its own words.
        origin: How it was found.
        problem: Why it cannot be used; "" when it can.
    """

    place: str = ""
    version: str = ""
    origin: str = ""
    problem: str = ""

    @property
    def usable(self) -> bool:
        """True when it is there and answered."""
        return bool(self.place) and not self.problem


@dataclass(frozen=True, slots=True)
class Kube:
    """A kubeconfig file, read and not followed.

    Args:
        path: The file, "" when there is none.
        context: Its current context.
        problem: Why it cannot be read.
    """

    path: str = ""
    context: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """The project in the folder that the doctor was asked about.

    Args:
        configuration: The file, "" when there is none.
        mistakes: What is wrong with it, in sentences; "" when nothing is.
        locust_plugin: True when Locust's own pytest plugin would be loaded.
        host_declared_in: conftest files that declare ``--host`` too.
        workers: What ``-n`` says, in addopts or the environment.
        settings: The ini file, for messages.
    """

    configuration: str = ""
    mistakes: str = ""
    locust_plugin: bool = False
    host_declared_in: tuple[str, ...] = ()
    workers: str = ""
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured; every field has the value of a machine where nothing is wrong and nothing is extra.

    Args:
        python: Version.
        python_suits: True when we run on it.
        system: Kernel name.
        packages: Our requirements.
        toxiproxy: The server that environments would use; place "" means the built-in one.
        attached: Servers that the configuration or ``TOXIPROXY_URL`` names, by address.
        components: Attached components, by address.
        postgres: The server that a postgres component would use.
        envoy: The router.
        programs: Programs that the configuration starts by name.
        drivers: Python modules that read a ledger, name to True when importable.
        landlock_abi: 0 when the kernel has none.
        engine: The container engine.
        kube: The kubeconfig file.
        open_files: Soft and hard limit.
        cores: Usable ones, by affinity and by the control group.
        cache: Folder and why it cannot be used.
        cache_free_mb: Free space there.
        ends_processes: "" when processes are found by tag and ended by pidfd, else why not.
        ptrace_scope: As in ``/proc/sys/kernel/yama``, None without it.
        leftovers: What dead runs left, one line each.
    """

    python: str = "3.11.0"
    python_suits: bool = True
    system: str = "Linux"
    packages: tuple[Package, ...] = ()
    toxiproxy: Program = field(default_factory=Program)
    attached: dict[str, Program] = field(default_factory=dict)
    components: dict[str, Program] = field(default_factory=dict)
    postgres: Program = field(default_factory=Program)
    envoy: Program = field(default_factory=Program)
    programs: dict[str, Program] = field(default_factory=dict)
    drivers: dict[str, bool] = field(default_factory=dict)
    landlock_abi: int = 0
    engine: Program = field(default_factory=Program)
    kube: Kube = field(default_factory=Kube)
    open_files: tuple[int, int] = (65_536, 65_536)
    cores: float = 2.0
    cache: Program = field(default_factory=lambda: Program("/var/cache/finchaos"))
    cache_free_mb: int = 10_000
    ends_processes: str = ""
    ptrace_scope: int | None = None
    leftovers: tuple[str, ...] = ()
