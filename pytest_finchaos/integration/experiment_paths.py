"""Which files are experiments: by their place and their name; light, because pytest asks it of every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.model.errors import UserError

SUFFIXES = (".yaml", ".yml", ".json")
_PATHS: pytest.StashKey[tuple[Path, ...]] = pytest.StashKey()


def configure(config: pytest.Config) -> None:
    """Check the configured paths; what the option names is collected even when no argument of pytest leads there.

    An ini key only permits: `pytest tests` does not run the experiments of another folder.

    Raises:
        pytest.UsageError: A path does not exist.
    """
    config.stash[_PATHS] = found = _found(config)
    if not config.getoption("finchaos_experiments", default=None):
        return
    roots = [(config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args]
    for path in found:
        if not any(path == root or root in path.parents for root in roots):
            config.args.append(str(path))
            roots.append(path)


def claims(config: pytest.Config, path: Path) -> bool:
    """True when ``path`` is YAML or JSON below a configured path; it is not opened."""
    if path.suffix not in SUFFIXES:
        return False
    resolved = path.resolve()
    return any(resolved == known or known in resolved.parents for known in config.stash.get(_PATHS, ()))


def _found(config: pytest.Config) -> tuple[Path, ...]:
    """Absolute; an option's are meant from where pytest was called, the ini key's from its file."""
    given = config.getoption("finchaos_experiments", default=None)
    name, base = "--finchaos-experiments", config.invocation_params.dir
    if not given:
        given, name = config.getini("finchaos_experiments"), "finchaos_experiments"
        base = config.inipath.parent if config.inipath else config.rootpath
    found = [(base / text).resolve() for text in given]
    for text, path in zip(given, found, strict=True):
        if not path.exists():
            told = UserError(f"{name} {text}", f"no file or folder {path}", cure="name an existing one")
            raise pytest.UsageError(told.render())
    return tuple(found)
