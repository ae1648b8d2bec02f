"""``finchaos init``: writes finchaos.toml, a fixture, drills and CI files for a system of yours."""

from __future__ import annotations

import argparse
import keyword
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finchaos.model.errors import UserError

if TYPE_CHECKING:
    from pytest_finchaos.cli.init_ledger import Ledger
    from pytest_finchaos.cli.init_openapi import Proposed
    from pytest_finchaos.cli.init_toml import System

TEXT = """Write finchaos.toml, conftest.py, drills, load profiles and CI files for a system that runs already (--url),
that a command starts (--command), or that a Compose file describes (--compose). Only that system is contacted, with a
few reads. Nothing is overwritten without --force."""
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")
TAKEN = ("drill", "request", "cache", "config", "capsys", "capfd", "monkeypatch", "pytestconfig", "recwarn", "caplog")
LOOPBACK = "127.0.0.1"
START_WITHIN_S = 60


def add(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("init", description=TEXT, allow_abbrev=False)
    system = parser.add_argument_group("the system, one of").add_mutually_exclusive_group(required=True)
    system.add_argument("--url", metavar="URL", help="it runs already, e.g. http://127.0.0.1:8080")
    system.add_argument("--command", metavar="CMD", dest="start", help="this starts it; needs --port")
    system.add_argument("--compose", metavar="FILE", help="this Compose file describes it")
    parser.add_argument("--port", metavar="N", help="with --command: where it listens on 127.0.0.1")
    parser.add_argument("--stop", metavar="CMD", help="with --command: this stops it (default: its processes end)")
    parser.add_argument("--name", default="system", help="name of the environment and its fixture (default: system)")
    parser.add_argument("--openapi", metavar="FILE_OR_URL", help="its API document: operations are proposed from it")
    parser.add_argument("--ledger", metavar="URL", help="its books: sqlite:///path or postgresql://user@host/database")
    parser.add_argument("--no-start", action="store_true", help="with --command: do not start it once to ask it")
    parser.add_argument("--force", action="store_true", help="overwrite what is there; old files stay as NAME.old")
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="the project (default: this folder)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the system, write the files, say what to do next.

    Raises:
        UserError: Wrong use, a system that does not answer, files that are there already; nothing is changed then.
    """
    from pytest_finchaos.cli import init_write

    folder = Path(arguments.folder).resolve()
    fixture = fixture_of(arguments.name)
    refuse_mixed(arguments)
    init_write.refuse_existing(folder, arguments.force)
    system = describe(arguments, folder)
    written = init_write.write(system, fixture, folder, force=arguments.force)
    print("\n".join(told(system, written, folder)))
    return 0


def fixture_of(name: str) -> str:
    """The fixture's name.

    Raises:
        UserError: The name cannot be an environment's and a fixture's.
    """
    fixture = name.replace("-", "_")
    if not NAME.match(name):
        raise UserError("--name", f"{name!r}: letters, digits, - and _, at most 40, a letter first")
    if keyword.iskeyword(fixture) or fixture in TAKEN:
        raise UserError("--name", f"{name!r} means something else in a pytest file", cure="choose another one")
    return fixture


def refuse_mixed(arguments: argparse.Namespace) -> None:
    """Options that belong to another kind of system.

    Raises:
        UserError: The first of them.
    """
    for option in ("port", "stop"):
        if getattr(arguments, option) is not None and arguments.start is None:
            raise UserError(f"--{option}", "goes with --command only", cure="leave it out, or use --command")
    if arguments.no_start and arguments.start is None:
        raise UserError("--no-start", "goes with --command only", cure="leave it out")
    if arguments.start is not None and arguments.port is None:
        raise UserError("--command", "needs --port, where the system then listens", cure="e.g. --port 8080")


def describe(arguments: argparse.Namespace, folder: Path) -> System:
    """Everything that is known of the system, asked for where it can be."""
    from pytest_finchaos.cli import init_openapi

    proposed: tuple[Proposed, ...] = ()
    if arguments.openapi:
        proposed = init_openapi.parse(init_openapi.fetch(arguments.openapi), arguments.openapi)
    common: Mapping[str, Any] = {"name": arguments.name, "proposed": proposed}
    if arguments.start is not None:
        return commanded(arguments, folder, common)
    common = {**common, "ledger": books(arguments.ledger, folder)}
    if arguments.url is not None:
        return attached(arguments.url, common)
    return composed(Path(arguments.compose), folder, common)


def books(url: str | None, folder: Path) -> Ledger | None:
    """The ledger, when one is named."""
    from pytest_finchaos.cli import init_ledger

    return init_ledger.of(url, folder) if url else None


def attached(url: str, common: Mapping[str, Any]) -> System:
    """A system that runs already.

    Raises:
        UserError: It does not answer.
    """
    from pytest_finchaos.cli import init_probe
    from pytest_finchaos.cli.init_openapi import plain_reads
    from pytest_finchaos.cli.init_toml import Component, System

    target = init_probe.target_of(url)
    answers = init_probe.ask(target, plain_reads(common["proposed"]))
    if answers[0].status == 0:
        cure = "start the system first, or let finchaos start it: finchaos init --command CMD --port N"
        raise UserError(f"--url {url}", f"does not answer: {answers[0].problem}", cure=cure)
    chosen = init_probe.choose(answers, target.prefix)
    component = Component("api", target.address, chosen.ready)
    return System(components=(component,), chosen=chosen, prefix=target.prefix, **common)


def commanded(arguments: argparse.Namespace, folder: Path, common: Mapping[str, Any]) -> System:
    """A system that a command starts; started once to be asked, unless that is not wanted.

    Raises:
        UserError: Not a command, not a port, or it did not come up.
    """
    from pytest_finchaos.cli import init_probe, init_start
    from pytest_finchaos.cli.init_openapi import plain_reads
    from pytest_finchaos.cli.init_toml import Component, System

    start, stop = words(arguments.start, "--command"), words(arguments.stop or "", "--stop")
    if not start:
        raise UserError("--command", "is empty", cure='e.g. --command "node server.js"')
    target = init_probe.Target(LOOPBACK, port_of(arguments.port))
    further = plain_reads(common["proposed"])
    if arguments.no_start:
        chosen = init_probe.Chosen(None, "/", doubt="the system was not asked: name a read that answers 2xx")
        ledger = books(arguments.ledger, folder)
    else:
        with init_start.started(start, stop, target, folder):
            chosen = init_probe.choose(init_probe.ask(target, further))
            ledger = books(arguments.ledger, folder)  # its first start may have made the database
    component = Component("api", target.address, chosen.ready, START_WITHIN_S)
    return System(components=(component,), chosen=chosen, start=start, stop=stop, ledger=ledger, **common)


def composed(file: Path, folder: Path, common: Mapping[str, Any]) -> System:
    """A system that a Compose file describes; asked when it runs already, and not started."""
    from pytest_finchaos.cli import compose, init_probe
    from pytest_finchaos.cli.init_openapi import plain_reads
    from pytest_finchaos.cli.init_toml import Component, System

    services = compose.read(file)
    place = str(file.resolve().relative_to(folder)) if file.resolve().is_relative_to(folder) else str(file.resolve())
    entry, *others = services
    answers = init_probe.ask(init_probe.Target(LOOPBACK, entry.port), plain_reads(common["proposed"]))
    if answers[0].status:
        chosen = init_probe.choose(answers)
    else:
        doubt = "" if entry.ready else f"{entry.name} does not run, so it was not asked: name a read that answers 2xx"
        chosen = init_probe.Chosen(entry.ready, entry.ready or "/", doubt=doubt)
    first = Component(entry.name, f"{LOOPBACK}:{entry.port}", chosen.ready or entry.ready, START_WITHIN_S)
    rest = [Component(one.name, f"{LOOPBACK}:{one.port}", one.ready, START_WITHIN_S) for one in others]
    command = ("docker", "compose", "-f", place)
    return System(
        components=(first, *rest),
        chosen=chosen,
        start=(*command, "up", "-d"),
        stop=(*command, "down"),
        notes=(f"Services of {place} that publish a port; the load enters at {entry.name}.",),
        **common,
    )


def words(text: str, option: str) -> tuple[str, ...]:
    """A command line as a list; no shell reads it.

    Raises:
        UserError: An open quote.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UserError(option, f"{text!r}: {error}", cure="close the quote") from None


def port_of(text: str) -> int:
    """A TCP port.

    Raises:
        UserError: It is none.
    """
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise UserError("--port", f"{text!r} is no port", allowed=("1 to 65535",))
    return int(text)


def told(system: System, written: tuple[str, ...], folder: Path) -> list[str]:
    """What was done, and what to do next."""
    from pytest_finchaos.cli import init_write
    from pytest_finchaos.cli.init_files import PAYMENT_DRILL
    from pytest_finchaos.cli.init_toml import FIRST_DRILL

    here = "" if folder == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    ready = system.entry.ready or f"port of {system.entry.address} accepts"
    lines = [f"wrote {name}" for name in written]
    if warning := init_write.locust_warning(folder):
        lines.append(warning)
    lines.append(f"ready: {ready}; first drill reads {system.chosen.read}")
    if system.chosen.doubt:
        lines.append(f"look at finchaos.toml: {system.chosen.doubt}")
    if system.proposed:
        lines.append(f"operations proposed from your document: {len(system.proposed)}")
    return [*lines, "", f"next: {here}pytest {FIRST_DRILL}", f"then: fill in the payment, see {PAYMENT_DRILL}"]
