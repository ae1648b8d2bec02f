"""`finchaos init` as a newcomer types it in an empty folder: what it writes runs, and each mistake is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_finchaos.cli import init_start
from pytest_finchaos.cli.init_probe import Target
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.environments.ports import is_free
from pytest_finchaos.model.errors import UserError

FILES = {
    "finchaos.toml",
    "conftest.py",
    "pytest.ini",
    "tests/resilience/test_first_drill.py",
    "tests/resilience/test_payments.py",
    "loadprofiles/first_drill.toml",
    "loadprofiles/payments.toml",
    ".github/workflows/finchaos.yml",
    ".gitlab-ci.finchaos.yml",
}


def ours(folder: Path, *words: str, within_s: float = 120) -> tuple[int, str]:
    """`finchaos …` in a folder: exit code and all that it said."""
    return said([sys.executable, "-m", "pytest_finchaos.cli.main", *words], folder, within_s)


def said(command: list[str], folder: Path, within_s: float) -> tuple[int, str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=within_s, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def run_drills(folder: Path) -> tuple[int, str, str]:
    """`pytest`: exit code, output, the verdict of the run."""
    code, told = said([sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], folder, 180)
    report = folder / "reports" / "latest" / "report.json"
    return code, told, json.loads(report.read_text())["verdict"] if report.exists() else ""


def files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts and path.parts[0] != "reports"}


@dataclass
class Seen:
    """What a server was asked, and how it answers."""

    answers: dict[str, int]
    asked: list[str] = field(default_factory=list)
    url: str = ""
    port: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: Seen

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self.seen.asked.append(f"{self.command} {self.path}")
        body = b'{"state": "UP"}'
        self.send_response(self.seen.answers.get(self.path, 404))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()


@pytest.fixture
def server() -> Iterator[Seen]:
    """A server that is well at /health."""
    seen = Seen({"/health": 200, "/catalogue": 200})
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHandler", (Handler,), {"seen": seen}))
    http.daemon_threads = True
    seen.port = http.server_port
    seen.url = f"http://127.0.0.1:{seen.port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield seen
    http.shutdown()
    thread.join(10)
    http.server_close()


def a_port() -> int:
    return next(port for port in range(22_000 + os.getpid() % 500, 23_000) if is_free(port))


def test_the_written_drill_is_green_at_once_against_a_running_server(server: Seen, tmp_path: Path) -> None:
    code, told = ours(tmp_path, "init", "--url", server.url, "--name", "shop")
    assert code == 0, told
    assert files(tmp_path) == FILES
    assert "ready: /health; first drill reads /health" in told
    assert "next: pytest tests/resilience/test_first_drill.py" in told
    code, told, verdict = run_drills(tmp_path)
    assert (code, verdict) == (0, "PASS"), told
    assert "fill in the payment of finchaos.toml" in told
    code, told = ours(tmp_path, "gate", "release", "--reports", "reports")
    assert code == 0, told
    code, told = ours(tmp_path, "doctor")
    assert code == 0, told


def test_the_written_drill_goes_red_when_the_server_falls_ill(server: Seen, tmp_path: Path) -> None:
    code, told = ours(tmp_path, "init", "--url", server.url)
    assert code == 0, told
    text = (tmp_path / "finchaos.toml").read_text()
    (tmp_path / "finchaos.toml").write_text(text.replace('path = "/health"', 'path = "/gone"'))
    code, told, verdict = run_drills(tmp_path)
    assert (code, verdict) == (1, "FAIL"), told


def test_a_server_from_the_standard_library_is_started_by_its_command(tmp_path: Path) -> None:
    port = a_port()
    command = f"{sys.executable} -m http.server {port} --bind 127.0.0.1"
    code, told = ours(tmp_path, "init", "--command", command, "--port", str(port))
    assert code == 0, told
    assert is_free(port), "what was started to be asked is stopped again"
    code, told, verdict = run_drills(tmp_path)
    assert (code, verdict) == (0, "PASS"), told
    assert is_free(port)


def test_a_system_is_asked_with_a_few_reads_and_nothing_else(server: Seen, tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps({"paths": {"/catalogue": {"get": {}}, "/pay": {"post": {}}}}))
    code, told = ours(tmp_path, "init", "--url", server.url, "--openapi", "api.json", "p")
    assert code == 0, told
    assert set(server.asked) == {
        f"GET {path}" for path in ("/", "/ready", "/readyz", "/health", "/healthz", "/status", "/catalogue")
    }
    assert len(server.asked) == 7
    assert "first drill reads /catalogue" in told
    assert "operations proposed from your document: 2" in told


def test_a_document_may_be_fetched_from_the_system_itself(server: Seen, tmp_path: Path) -> None:
    code, told = ours(tmp_path, "init", "--url", server.url, "--openapi", f"{server.url}/health")
    assert code == 2
    assert "is no OpenAPI document" in told
    assert files(tmp_path) == set()


def test_a_compose_file_becomes_start_and_stop(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        f'services: {{web: {{image: x, ports: ["{a_port()}:80"]}}, db: {{image: "postgres:16", ports: ["5432:5432"]}}}}'
    )
    code, told = ours(tmp_path, "init", "--compose", "compose.yaml", "--name", "shop")
    assert code == 0, told
    spec = load_configuration(tmp_path / "finchaos.toml").environments["shop"]
    assert spec.start == ("docker", "compose", "-f", "compose.yaml", "up", "-d")
    assert spec.stop == ("docker", "compose", "-f", "compose.yaml", "down")
    assert list(spec.components) == ["web", "db"]
    assert "does not run, so it was not asked" in told


def test_nothing_is_overwritten_and_the_system_is_not_even_asked(server: Seen, tmp_path: Path) -> None:
    (tmp_path / "finchaos.toml").write_text("mine")
    (tmp_path / "conftest.py").write_text("mine too")
    code, told = ours(tmp_path, "init", "--url", server.url)
    assert code == 2
    assert "finchaos.toml, conftest.py are there already; nothing was changed" in told
    assert files(tmp_path) == {"finchaos.toml", "conftest.py"}
    assert server.asked == []
    code, told = ours(tmp_path, "init", "--url", server.url, "--force")
    assert code == 0, told
    assert (tmp_path / "conftest.py.old").read_text() == "mine too"


MISTAKES: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "one of the arguments --url --command --compose is required"),
    "two systems": (["--url", "http://127.0.0.1:1", "--compose", "x"], "not allowed with"),
    "nobody there": (["--url", "http://127.0.0.1:9"], "does not answer"),
    "no scheme": (["--url", "127.0.0.1:9"], "has no scheme"),
    "https": (["--url", "https://127.0.0.1:9"], "https is not spoken"),
    "no port": (["--command", "sleep 1"], "needs --port"),
    "port in words": (["--command", "sleep 1", "--port", "http"], "'http' is no port"),
    "port too high": (["--command", "sleep 1", "--port", "70000"], "'70000' is no port"),
    "port without command": (["--url", "http://127.0.0.1:9", "--port", "80"], "goes with --command only"),
    "open quote": (["--command", "sleep '1", "--port", "80"], "No closing quotation"),
    "empty command": (["--command", "", "--port", "80"], "is empty"),
    "no such command": (["--command", "no-such-program", "--port", "22999"], "cannot be run"),
    "command fails": (["--command", "sh -c 'echo no config >&2; exit 3'", "--port", "22999"], "status 3: no config"),
    "no compose file": (["--compose", "gone.yaml"], "cannot be read"),
    "no such document": (["--url", "http://127.0.0.1:9", "--openapi", "gone.json"], "gone.json cannot be read"),
    "no such ledger": (["--url", "http://127.0.0.1:9", "--ledger", "sqlite:///gone.db"], "no file"),
    "bad name": (["--url", "http://127.0.0.1:9", "--name", "drill"], "means something else"),
    "unknown option": (["--uri", "http://127.0.0.1:9"], "one of the arguments"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_wrong_use_and_leaves_no_file(name: str, tmp_path: Path) -> None:
    words, sentence = MISTAKES[name]
    code, told = ours(tmp_path, "init", *words)
    assert code == 2, told
    assert sentence in told
    assert files(tmp_path) == set()


def test_a_command_that_never_listens_is_told_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init_start, "UP_WITHIN_S", 1.0)
    mark = tmp_path / "stopped"
    target = Target("127.0.0.1", a_port())
    start = (sys.executable, "-c", "import os, signal; print('pid', os.getpid(), flush=True); signal.pause()")
    with (
        pytest.raises(UserError, match="its output: pid") as told,
        init_start.started(start, ("touch", str(mark)), target, tmp_path),
    ):
        pytest.fail("nobody listens there")
    pid = int(told.value.what.rpartition("pid ")[2])
    assert not Path(f"/proc/{pid}").exists()
    assert mark.exists()


def test_a_system_that_runs_already_is_neither_started_nor_stopped(server: Seen, tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    command = ("touch", str(mark))
    with init_start.started(command, command, Target("127.0.0.1", server.port), tmp_path):
        pass
    assert not mark.exists()
