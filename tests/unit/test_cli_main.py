"""The command line itself: help, unknown words, exit codes, mistakes without a traceback."""

from __future__ import annotations

import argparse
import sys
from types import ModuleType
from typing import Any

import pytest

from pytest_finchaos.cli import main as cli
from pytest_finchaos.model.errors import UserError


def commanded(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """`finchaos gc` carries out ``run``."""
    module = ModuleType("pytest_finchaos.cli.gc")

    def add(subparsers: Any) -> None:
        parser: argparse.ArgumentParser = subparsers.add_parser("gc")
        parser.add_argument("--number", type=int, default=0)
        parser.set_defaults(run=run)

    module.add = add  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytest_finchaos.cli.gc", module)
    monkeypatch.setattr("pytest_finchaos.cli.gc", module, raising=False)


def raising(error: BaseException) -> Any:
    def run(_: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_names_every_command_and_every_exit_code(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in cli.COMMANDS)
    assert "3 only undecided" in told


def test_every_command_has_a_summary() -> None:
    assert set(cli.SUMMARIES) == set(cli.COMMANDS)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("finchaos ")


def test_no_command_is_wrong_use_and_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "usage: finchaos COMMAND" in capsys.readouterr().err


def test_an_unknown_command_is_wrong_use_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["docter"]) == 2
    told = capsys.readouterr().err
    assert "did you mean 'doctor'?" in told
    assert "allowed: init, doctor" in told


def test_an_unknown_option_before_the_command_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--verbose", "doctor"]) == 2
    assert "there is no option --verbose" in capsys.readouterr().err


def test_a_command_that_this_installation_lacks_is_told_politely(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "COMMANDS", (*cli.COMMANDS, "teleport"))
    assert cli.main(["teleport"]) == 2
    told = capsys.readouterr().err
    assert "does not have this command" in told
    assert "pip install -U" in told


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_is_the_commands_own(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    commanded(monkeypatch, lambda _: code)
    assert cli.main(["gc"]) == code


def test_a_wrong_option_of_a_command_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commanded(monkeypatch, lambda _: 0)
    assert cli.main(["gc", "--number", "many"]) == 2
    assert "invalid int value: 'many'" in capsys.readouterr().err


def test_a_mistake_is_told_with_its_cure_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commanded(monkeypatch, raising(UserError("here", "this is wrong", cure="do that")))
    assert cli.main(["gc"]) == 2
    assert capsys.readouterr().err == "here: this is wrong\n  next: do that\n"


def test_a_file_that_cannot_be_written_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commanded(monkeypatch, raising(PermissionError(13, "Permission denied", "/etc/finchaos.toml")))
    assert cli.main(["gc"]) == 2
    assert "/etc/finchaos.toml" in capsys.readouterr().err


def test_an_interrupt_has_the_exit_code_that_shells_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commanded(monkeypatch, raising(KeyboardInterrupt()))
    assert cli.main(["gc"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    commanded(monkeypatch, raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        cli.main(["gc"])
