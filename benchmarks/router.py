"""What does the router in front of a component with versions add: to the start of an environment, and to a request?

``python benchmarks/router.py`` starts the tiny system ``RUNS`` times with and without versions, in turn, then asks its
api ``REQUESTS`` times past the router and through it, in turn, on one connection each. The peer is the system without a
router, in the same run.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.systems.environments import running  # noqa: E402 - the systems of the tests
from tests.systems.nested import tiny_configuration, versioned_configuration  # noqa: E402

RUNS = 5
REQUESTS = 1000


def started_s(folder: Path, text: str) -> float:
    """Seconds until everything is ready."""
    folder.mkdir()
    (folder / "finchaos.toml").write_text(text)
    with running(folder / "finchaos.toml", "tiny") as environment:
        return environment.time_to_ready_s


def asked_ms(connection: http.client.HTTPConnection) -> float:
    """Milliseconds of one request."""
    before_ns = time.perf_counter_ns()
    connection.request("GET", "/ready")
    connection.getresponse().read()
    return (time.perf_counter_ns() - before_ns) / 1e6


def requests_ms(folder: Path) -> tuple[list[float], list[float]]:
    """Past the router and through it."""
    folder.mkdir()
    (folder / "finchaos.toml").write_text(versioned_configuration())
    with running(folder / "finchaos.toml", "tiny") as environment:
        addresses = (environment.instance("api").address, environment.direct_address("api"))
        connections = [http.client.HTTPConnection(address, timeout=5) for address in addresses]
        pairs = [[asked_ms(connection) for connection in connections] for _ in range(REQUESTS)]
        for connection in connections:
            connection.close()
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def told(values: list[float], unit: str) -> str:
    """Smallest and median."""
    return f"min {min(values):.2f}, median {statistics.median(values):.2f} {unit}"


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, routed = [], []
        for number in range(RUNS):
            plain.append(started_s(folder / f"plain{number}", tiny_configuration()))
            routed.append(started_s(folder / f"routed{number}", versioned_configuration()))
        print(f"ready without router: {told(plain, 's')}")
        print(f"ready with router:    {told(routed, 's')}")
        past, through = requests_ms(folder / "requests")
        print(f"a request past it:    {told(past, 'ms')}")
        print(f"a request through it: {told(through, 'ms')}")
        print(f"added by the median:  {statistics.median(through) - statistics.median(past):.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
