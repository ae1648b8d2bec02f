"""`make demo` and `make test` from nothing, in clean clones of HEAD, and a table of how long each step took.

Two rows: root, with what the machine has (system PostgreSQL, Go or a real Toxiproxy); and an unprivileged user with
none of them, hidden by PATH and by settings, nothing uninstalled. Each clone lies in a new 0700 folder. Run by a user,
there is one row. Everything that was made is removed; the output of each step is kept in reports/fresh-check/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import accounts

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "reports" / "fresh-check"
STEP_WITHIN_S = 2400.0
PASSED_ON = ("PIP_", "GOPROXY", "GOFLAGS", "GOSUMDB", "GONOSUMDB", "SSL_CERT_", "REQUESTS_CA_BUNDLE")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")  # of the network, in either case
HIDDEN = ("go", "toxiproxy-server", "postgres", "initdb", "pg_ctl")


@dataclass(frozen=True, slots=True)
class Row:
    """One way to come from nothing.

    Args:
        name: For the table.
        folder: 0700 folder of the clone.
        variables: The whole environment of its steps.
        account: Who runs it; None for whoever runs this.
        results: Filled step by step: name, outcome, seconds, seconds until the first drill started.
        notes: Filled by the demo: what it says of the parts that it ran on.
    """

    name: str
    folder: Path
    variables: Mapping[str, str]
    account: accounts.Account | None = None
    results: list[tuple[str, str, float, float | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def checkout(self) -> Path:
        """The clone."""
        return self.folder / "checkout"


def variables_of(environ: Mapping[str, str], *, path: str, home: Path, user: str) -> dict[str, str]:
    """A login's variables and what package clients need to reach their registries; nothing else of the caller's."""
    passed = {name: value for name, value in environ.items() if name.startswith(PASSED_ON) or name.lower() in PROXIES}
    return passed | {"PATH": path, "HOME": str(home), "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}


def path_without(names: Sequence[str], folders: Sequence[Path], farm: Path) -> str:
    """A PATH on which `names` do not exist: a folder that holds one is replaced by links to all else in it."""
    kept = []
    for number, folder in enumerate(folders):
        if not any((folder / name).exists() for name in names):
            kept.append(folder)
            continue
        links = farm / str(number)
        links.mkdir(parents=True)
        for tool in folder.iterdir():
            if tool.name not in names:
                (links / tool.name).symlink_to(tool)
        kept.append(links)
    return ":".join(map(str, kept))


def run(row: Row, step: str, command: Sequence[str], extra: Mapping[str, str] | None = None) -> bool:
    """Carry out one step as the row's account; its output goes to a log, a failure's last lines to the terminal."""
    log = LOGS / f"{row.name.replace(' ', '-')}-{step.replace(' ', '-')}.log"
    print(f"fresh-check: {row.name}: {step}", flush=True)
    started_ns = time.monotonic_ns()
    log.unlink(missing_ok=True)
    with log.open("ab") as output:  # appending, so that no program can write over what another wrote
        code = _wait(row, command, dict(row.variables) | dict(extra or {}), output.fileno())
    seconds = (time.monotonic_ns() - started_ns) / 1e9
    first = first_drill_s(row.checkout, started_ns) if "demo" in step else None
    row.results.append((step, "ok" if code == 0 else f"FAILED ({code})", seconds, first))
    if code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]
        print("\n".join(f"  | {line}" for line in tail), f"  (all of it: {log})", sep="\n", flush=True)
    return code == 0


def _wait(row: Row, command: Sequence[str], variables: Mapping[str, str], output: int) -> int | str:
    """Run to the end or to the deadline, when the whole process group is ended."""
    account = row.account
    process = subprocess.Popen(
        command,
        cwd=row.checkout,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    try:
        return process.wait(STEP_WITHIN_S)
    except subprocess.TimeoutExpired:
        return f"ended after {STEP_WITHIN_S:g} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def first_drill_s(checkout: Path, started_ns: int) -> float | None:
    """Seconds from `started_ns` to the first drill's start; one monotonic clock serves all processes of a host."""
    try:
        report = json.loads((checkout / "reports" / "latest" / "report.json").read_text(encoding="utf-8"))
        starts = [drill["started_ns"] for drill in report["drills"]]
    except (OSError, ValueError, KeyError):
        return None
    seen = [start for start in starts if start > started_ns]
    return (min(seen) - started_ns) / 1e9 if seen else None


def demo_notes(checkout: Path) -> list[str]:
    """What the demo says of the parts that it ran on (which PostgreSQL, which fault proxy), as proof of the row."""
    try:
        report = json.loads((checkout / "reports" / "latest" / "report.json").read_text(encoding="utf-8"))
        return sorted({note for drill in report["drills"] for note in (drill["environment"] or {}).get("notes", ())})
    except (OSError, ValueError, KeyError):
        return []


def clone(row: Row) -> None:
    """A clean clone of HEAD: made by this checkout's owner (git refuses others), then given to the row's account."""
    row.folder.mkdir(mode=0o700)
    started_s = time.monotonic()
    command = ["git", "clone", "--quiet", "--no-local", "--no-hardlinks", str(ROOT), str(row.checkout)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    if row.account is not None:
        accounts.give(row.folder, row.account)
    row.results.append(("clone", "ok", time.monotonic() - started_s, None))


def with_everything(base: Path) -> Row:
    """The row that has what the machine has; with a cache of its own, since the usual one may be warm."""
    cache = base / "cache"
    user = "root" if os.geteuid() == 0 else "user"
    variables = variables_of(os.environ, path=os.environ["PATH"], home=Path.home(), user=user)
    return Row(f"{user} with all", base / "with-all", variables | {"FINCHAOS_CACHE": str(cache)})


def with_nothing(base: Path, account: accounts.Account) -> Row:
    """The row of an unprivileged user without system PostgreSQL, Go and Toxiproxy."""
    folders = [Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin")]
    variables = variables_of(
        os.environ, path=path_without(HIDDEN, folders, base / "tools"), home=account.home, user=account.name
    )
    hidden = {"FINCHAOS_PG": "embedded", "FINCHAOS_TEST_TOXIPROXY_SERVER": "none"}
    return Row("user with nothing", base / "with-nothing", variables | hidden, account)


def carry_out(row: Row) -> None:
    """All steps of a row; the tests run also when the demo failed."""
    clone(row)
    extra: dict[str, str] = {}
    if row.account is None:
        python = subprocess.run(
            ["sh", "scripts/find_python.sh"], check=True, capture_output=True, text=True, cwd=row.checkout
        ).stdout.strip()
        if run(row, "toxiproxy", [python, "scripts/toxiproxy_server.py"]):
            log = LOGS / f"{row.name.replace(' ', '-')}-toxiproxy.log"
            extra = {"FINCHAOS_TOXIPROXY_SERVER": log.read_text().splitlines()[-1]}
    run(row, "make demo", ["make", "demo"], extra)
    run(row, "make demo again", ["make", "demo"], extra)
    row.notes.extend(demo_notes(row.checkout))
    run(row, "make test", ["make", "test"])


def left_running(row: Row) -> list[str]:
    """Processes that a row left behind, told by its account, or by the cache that only its processes were given."""
    if row.account is not None:
        return accounts.processes_of(row.account.uid)
    return accounts.processes_with("FINCHAOS_CACHE", row.variables["FINCHAOS_CACHE"])


def table(rows: Sequence[Row], unchecked: Sequence[str]) -> str:
    """What to read at the end."""
    lines = [f"{'row':<20} {'step':<18} {'result':<12} {'seconds':>8} {'first drill':>12}"]
    for row in rows:
        for step, outcome, seconds, first in row.results:
            shown = f"{first:.1f} s" if first is not None else ""
            lines.append(f"{row.name:<20} {step:<18} {outcome:<12} {seconds:>8.1f} {shown:>12}".rstrip())
    lines += [f"{row.name}: the demo ran on: {'; '.join(row.notes) or 'it says nothing of its parts'}" for row in rows]
    return "\n".join([*lines, *(f"not checked: {text}" for text in unchecked)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--row", choices=("with all", "with nothing"), help="only this one; the other is listed as not checked"
    )
    only = parser.parse_args(arguments).row
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the account and the folders go too
    LOGS.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="finchaos-fresh-"))
    base.chmod(0o711)  # PostgreSQL passes through to the cache; the clones lie in 0700 folders
    rows = [with_everything(base)]
    unchecked = [] if shutil.which("go") else ["real Toxiproxy: no Go on PATH to build it"]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        unchecked.append("system PostgreSQL: this machine has none")
    account = None
    try:
        if os.geteuid() == 0:
            account = accounts.create(base / "home")
            rows.append(with_nothing(base, account))
        else:
            unchecked.append("the row of another user: only root can make one")
        unchecked += [f"row {row.name}: not asked for" for row in rows if only and not row.name.endswith(only)]
        rows = [row for row in rows if not only or row.name.endswith(only)]
        for row in rows:
            carry_out(row)
            left = left_running(row)
            row.results.append(("nothing left", "FAILED" if left else "ok", 0.0, None))
            print("".join(f"  left running: {line}\n" for line in left), end="", flush=True)
    finally:
        if account is not None:
            accounts.remove(account)
        shutil.rmtree(base, ignore_errors=True)
    print(table(rows, unchecked))
    return 0 if all(outcome == "ok" for row in rows for _, outcome, _, _ in row.results) else 1


if __name__ == "__main__":
    sys.exit(main())
