"""``finchaos demo``: the demo suite in a folder of its own, from a checkout or from an installed wheel."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.runtime.files import write_atomic

TEXT = "Copy the demo suite into a folder of its own and run it there; further arguments go to pytest."
MARK = ".finchaos-demo"
FOLDER = "finchaos-demo"
OURS = "../pytest_finchaos/"  # how the suite's configuration reaches the package from the checkout
SUFFIXES = (".py", ".toml", ".yaml", ".yml", ".json", ".csv", ".sql")
ENDS_WITHIN_S = 60.0
INTERRUPTED = 130
# pytest's: all passed, some failed, interrupted, internal error, usage error, no tests collected
CODES = {0: 0, 1: 1, 2: INTERRUPTED, 3: 1, 4: 2, 5: 2}
INI = "[pytest]\naddopts = -p no:locust -ra\nfinchaos_config = finchaos.toml\n"
FILES = (".yaml", ".yml", ".json")  # experiments as files; named one by one, for reports in the copy are JSON too


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("demo", description=TEXT, allow_abbrev=False)
    parser.add_argument("--into", metavar="DIR", default=FOLDER, help=f"folder of the copy (default: ./{FOLDER})")
    parser.add_argument("--reports", metavar="DIR", help="where run folders are written (default: reports in the copy)")
    parser.set_defaults(run=run, rest=[])


def run(arguments: argparse.Namespace) -> int:
    """Copy, run, say where the report is.

    Raises:
        UserError: The folder is somebody else's, or this installation has no demo suite.
    """
    folder = Path(arguments.into).resolve()
    copy(suite(), package(), folder)
    print(f"demo suite: {folder}", flush=True)
    reports = Path(arguments.reports).resolve() if arguments.reports else folder / "reports"
    command = [sys.executable, "-m", "pytest", f"--finchaos-reports={reports}", *arguments.rest]
    before = latest(reports)
    code = carry_out(command, folder)
    written = latest(reports)
    if written is not None and written != before:
        print(f"report: {written / 'report.html'}")
    else:
        print("no report was written: no drill ran", file=sys.stderr)
    return CODES.get(code, 128 - code if code < 0 else 1)


def package() -> Path:
    """The folder of the installed package."""
    return Path(__file__).resolve().parents[1]


def suite() -> Path:
    """The folder with the demo suite: inside an installed package, else at the top of the checkout.

    Raises:
        UserError: Neither is there.
    """
    installed, checkout = package() / "demo", package().parent / "experiments"
    for folder in (installed, checkout):
        if (folder / "finchaos.toml").is_file():
            return folder
    raise UserError("finchaos demo", f"no demo suite in {installed}", cure="install pytest-finchaos again")


def copy(source: Path, ours: Path, folder: Path) -> None:
    """Copy the suite; its configuration names the package where it is installed.

    Args:
        source: The suite.
        ours: The package's folder.
        folder: Target: new, empty, or a copy of before, whose files are written again; reports in it stay.

    Raises:
        UserError: The target holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError("--into", f"{folder} is a file", cure="name a new folder")
    if folder.is_dir() and not (folder / MARK).exists() and any(folder.iterdir()):
        raise UserError("--into", f"{folder} is not empty and is no copy of the demo", cure="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / MARK, "made by finchaos demo, which writes its files again at each run\n")
    for path in sorted(source.iterdir()):
        if path.suffix in SUFFIXES and path.is_file():
            shutil.copyfile(path, folder / path.name)
    text = (source / "finchaos.toml").read_text(encoding="utf-8")
    write_atomic(folder / "finchaos.toml", placed(text, ours))
    write_atomic(folder / "pytest.ini", settings(path.name for path in sorted(source.iterdir())))


def settings(names: Iterable[str]) -> str:
    """The copy's settings for pytest, with each experiment file among ``names``."""
    files = [name for name in names if name.endswith(FILES)]
    return INI + "".join(f"    {name}\n" for name in ("finchaos_experiments =", *files)).lstrip() if files else INI


def placed(text: str, ours: Path) -> str:
    """The configuration with the package's paths as they are here."""
    return text.replace(f'"{OURS}', f'"{json.dumps(str(ours), ensure_ascii=False)[1:-1]}/')


def latest(reports: Path) -> Path | None:
    """The newest run folder with a report, None when there is none."""
    found = reports / "latest"
    return found.resolve() if (found / "report.html").exists() else None


def carry_out(command: Sequence[str], folder: Path) -> int:
    """Run to the end; an interrupt is the child's as well, which is given time to take everything down."""
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    with handed_on(process):
        try:
            return process.wait()
        except KeyboardInterrupt:
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise


@contextmanager
def handed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """While inside, a SIGTERM to us goes to ``process``; its end is then ours."""
    before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
