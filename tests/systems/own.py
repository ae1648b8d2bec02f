"""Systems that are not started by the harness: the tiny services run by a test itself, or behind a script of a team."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pytest_finchaos.environments import external
from pytest_finchaos.environments.ports import Ports
from pytest_finchaos.proxy.client import ToxiproxyClient
from pytest_finchaos.runtime.waiting import Not, wait_for
from tests.systems.nested import SYSTEMS
from tests.systems.proxies import HOST, toxiproxy

TINY = SYSTEMS / "tiny.py"
LINK = "store-link"
FOREIGN = "of-somebody-else"
READY_WITHIN_S = 20.0

# Everything behind the components: how the load speaks to the tiny system.
_TAIL = (SYSTEMS / "tiny.toml").read_text()
OPERATIONS = _TAIL[_TAIL.index("[environments.tiny.data.customer]") :]

ATTACH = """
[environments.tiny]
backend = "attach"
allowed_hosts = ["127.0.0.1"]
toxiproxy = "{toxiproxy}"

[environments.tiny.components.store]
address = "{store}"
ready = {{ http = "/ready", within_s = 3 }}
identity = {{ http = "/ready", field = "build" }}

[environments.tiny.components.api]
address = "{api}"
ready = {{ http = "/ready", within_s = 3 }}
identity = {{ http = "/ready", field = "build" }}

[[environments.tiny.edges]]
source = "clients"
target = "api"

[[environments.tiny.edges]]
source = "api"
target = "store"
proxy = "store-link"

[[environments.tiny.edges]]
source = "store"
target = "api"

"""

COMMAND = """
[environments.tiny]
backend = "command"
allowed_hosts = ["127.0.0.1"]
start = ["./up", "{port.store}", "{port.api}", "{edge.api.store}"]
stop = ["./down", "{port.store}"]
stop_within_s = 20
variables = { PYTHON = "{python}", WORK = "{workdir}" }

[environments.tiny.components.store]
ready = { http = "/ready", within_s = 20 }
identity = { http = "/ready", field = "build" }

[environments.tiny.components.api]
ready = { http = "/ready", within_s = 20 }
identity = { http = "/ready", field = "build" }

[[environments.tiny.edges]]
source = "clients"
target = "api"

[[environments.tiny.edges]]
source = "api"
target = "store"

"""

RETURNS = f"""#!/bin/sh
export TINY_BUILD=one
setsid "$PYTHON" {TINY} store --port $1 &
setsid "$PYTHON" {TINY} api --port $2 --store $3 &
"""
STAYS = f"""#!/bin/sh
export TINY_BUILD=one
"$PYTHON" {TINY} store --port $1 &
exec "$PYTHON" {TINY} api --port $2 --store $3
"""
DOWN = '#!/bin/sh\necho "stopped $1 in $WORK" >> stops\n'


@dataclass
class OwnSystem:
    """The tiny system, run by a test, with a Toxiproxy between its parts.

    Args:
        store: Address of its store.
        api: Address of its api.
        proxy: Client of its Toxiproxy.
        processes: What runs, by role.
    """

    store: str
    api: str
    link: str
    proxy: ToxiproxyClient
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, role: str, build: str = "one") -> None:
        """Start one part and wait until it listens."""
        port = (self.store if role == "store" else self.api).rpartition(":")[2]
        words = [sys.executable, str(TINY), role, "--port", port, "--store", self.link]
        self.processes[role] = subprocess.Popen(words, env={**os.environ, "TINY_BUILD": build})
        address = f"{HOST}:{port}"
        wait_for(lambda: True if external.accepts(address) else Not("refused"), what=address, within_s=READY_WITHIN_S)

    def stop(self, role: str) -> None:
        """End one part."""
        self.processes[role].kill()
        self.processes[role].wait()

    def runs(self) -> bool:
        """True while every part runs that was started."""
        return all(process.poll() is None for process in self.processes.values())

    def configuration(self) -> str:
        """``finchaos.toml`` that attaches to it."""
        return ATTACH.format(toxiproxy=self.proxy.url, store=self.store, api=self.api) + OPERATIONS


@contextmanager
def own_system(binary: str = "") -> Iterator[OwnSystem]:
    """The tiny system and its Toxiproxy, running, with a proxy of somebody else that nobody may touch.

    Args:
        binary: The real Toxiproxy server; else the built-in one serves.
    """
    ports = Ports()
    with toxiproxy(binary) as proxy:
        store, api, link, other = (f"{HOST}:{ports.claim()}" for _ in range(4))
        proxy.create(LINK, link, store)
        proxy.create(FOREIGN, other, store)
        proxy.add_toxic(FOREIGN, "theirs", "latency", "downstream", 1.0, {"latency": 5, "jitter": 0})
        proxy.add_toxic(LINK, "theirs", "latency", "downstream", 1.0, {"latency": 1, "jitter": 0})
        system = OwnSystem(store, api, link, proxy)
        try:
            system.start("store")
            system.start("api")
            yield system
        finally:
            for role in system.processes:
                system.stop(role)
            ports.release()


def write_command(folder: Path, *, up: str = RETURNS, down: str = DOWN, text: str = COMMAND) -> Path:
    """``finchaos.toml``, ``up`` and ``down`` of a system that a command starts."""
    for name, content in (("up", up), ("down", down)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    path = folder / "finchaos.toml"
    path.write_text(text + OPERATIONS)
    return path
