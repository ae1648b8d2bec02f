"""``finchaos COMMAND``: finds the command, runs it, turns mistakes into exit codes.

Exit codes: 0 pass, 1 fail or blocked, 2 wrong use or unreadable input, 3 undecided is the only ground.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from types import ModuleType

from pytest_finchaos.model.errors import UserError, suggest

COMMANDS = ("init", "doctor", "demo", "gc", "gate", "report")
SUMMARIES = {
    "init": "write finchaos.toml, a first drill and CI files for a system of yours",
    "doctor": "what this machine and this configuration can do, and the cure for what is missing",
    "demo": "run the demo suite on the reference payment system, in a folder of its own",
    "gc": "remove what runs that were killed left on this machine",
    "gate": "decide over one or many runs whether a release may pass",
    "report": "reliability review over a folder of runs",
}
PROGRAM = "finchaos"
WRONG_USE = 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell says it
READER_GONE = 141  # 128 + SIGPIPE; never one of the codes that carry a verdict
ROOM = "pytest_finchaos.cli"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point.

    Args:
        arguments: Words after the program's name; those of this process by default.

    Returns:
        The exit code.
    """
    try:
        code = run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # `finchaos … | head`: whoever reads has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except UserError as error:
        print(error.render(), file=sys.stderr)
        return WRONG_USE
    except OSError as error:  # a file that cannot be read or written is not this program's mistake
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return WRONG_USE
    return code


def run(words: list[str]) -> int:
    """Carry out one command line.

    Raises:
        UserError: Unknown command, or whatever the command says.
    """
    first = words[0] if words else ""
    if first in ("-h", "--help", "help"):
        print(overview())
        return 0
    if first in ("-V", "--version"):
        print(version())
        return 0
    if first not in COMMANDS:
        return refuse(first)
    parser = argparse.ArgumentParser(prog=PROGRAM, allow_abbrev=False)
    module = load(first)
    module.add(parser.add_subparsers(dest="command", metavar="COMMAND", required=True))
    try:
        parsed, rest = parser.parse_known_args(words)
    except SystemExit as end:  # argparse has said what is wrong, or has printed the help
        return end.code if isinstance(end.code, int) else WRONG_USE
    if rest and not hasattr(parsed, "rest"):  # a command that hands words on says so by declaring ``rest``
        raise UserError(f"{PROGRAM} {first}", f"nothing is known of {' '.join(rest)}", cure=f"{PROGRAM} {first} --help")
    parsed.rest = rest
    code: int = parsed.run(parsed)
    return code


def load(name: str) -> ModuleType:
    """The module of a command.

    Raises:
        UserError: This installation has none.
    """
    try:
        return importlib.import_module(f"{ROOM}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{ROOM}.{name}":
            raise
    raise UserError(
        f"{PROGRAM} {name}",
        f"this installation ({version()}) does not have this command",
        cure="install a newer pytest-finchaos: pip install -U pytest-finchaos",
    )


def refuse(word: str) -> int:
    """Say what could have been meant instead of ``word``."""
    if not word:
        print(overview(), file=sys.stderr)
        return WRONG_USE
    what = f"there is no option {word}" if word.startswith("-") else f"there is no command {word!r}"
    near = suggest(word, COMMANDS)
    cure = f"{PROGRAM} {near} --help" if near else f"{PROGRAM} --help"
    raise UserError(PROGRAM, what, allowed=COMMANDS, got=word, cure=cure)


def overview() -> str:
    """The help of the whole program."""
    lines = [f"usage: {PROGRAM} COMMAND [options]     {PROGRAM} COMMAND --help     {PROGRAM} --version", ""]
    lines += [f"  {name:8} {SUMMARIES[name]}" for name in COMMANDS]
    lines += ["", "exit codes: 0 pass, 1 fail or blocked, 2 wrong use or unreadable input, 3 only undecided blocks"]
    return "\n".join(lines)


def version() -> str:
    """Program, version, Python."""
    try:
        ours = metadata.version("pytest-finchaos")
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        ours = "not installed"
    return f"{PROGRAM} {ours} (Python {platform.python_version()})"


if __name__ == "__main__":
    sys.exit(main())
