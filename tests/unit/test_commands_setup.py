"""What `make demo` and `make test` decide before they install or build anything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import accounts
import bootstrap
import fresh_check
import pytest
import toxiproxy_server


def checkout(folder: Path) -> Path:
    (folder / "scripts").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "scripts" / "bootstrap.py").write_text("")
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return folder


def tool(folder: Path, name: str, text: str = "#!/bin/sh\nexit 0\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_installed_environment_is_reused_until_what_it_depends_on_changes(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a")
    key = bootstrap.digest(root)
    (root / ".venv" / "installed-demo").write_text(key)

    assert bootstrap.satisfied(root / ".venv", "demo", key)
    assert not bootstrap.satisfied(root / ".venv", "dev", key)  # demo lacks the tools of dev
    (root / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert not bootstrap.satisfied(root / ".venv", "demo", bootstrap.digest(root))


def test_an_environment_with_dev_serves_the_demo(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a")
    key = bootstrap.digest(root)
    (root / ".venv" / "installed-dev").write_text(key)

    assert bootstrap.satisfied(root / ".venv", "demo", key)


def test_an_environment_whose_interpreter_is_gone_is_not_reused(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a")
    key = bootstrap.digest(root)
    (root / ".venv" / "installed-demo").write_text(key)
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "removed")

    assert not bootstrap.satisfied(root / ".venv", "demo", key)


def test_a_moved_checkout_needs_a_new_environment(tmp_path: Path) -> None:
    assert bootstrap.digest(checkout(tmp_path / "a")) != bootstrap.digest(checkout(tmp_path / "b"))


def test_when_no_way_makes_an_environment_every_way_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(bootstrap.SetupError) as error:
        bootstrap.create(tmp_path / ".venv")

    assert str(error.value).count("tried: ") == 4
    assert "there is no apt-get here" in str(error.value)
    assert "next: as root, apt-get install python3" in str(error.value)


def test_the_toxiproxy_that_the_tests_are_given_comes_before_path_and_cache(tmp_path: Path) -> None:
    named = tool(tmp_path / "named", "server")
    tool(tmp_path / "path", "toxiproxy-server")
    environ = {"FINCHAOS_TEST_TOXIPROXY_SERVER": str(named), "PATH": str(tmp_path / "path")}

    assert toxiproxy_server.find(environ, tmp_path) == named
    assert toxiproxy_server.find({"PATH": environ["PATH"]}, tmp_path) == tmp_path / "path" / "toxiproxy-server"


def test_none_hides_every_toxiproxy(tmp_path: Path) -> None:
    tool(tmp_path, "toxiproxy-server")

    with pytest.raises(toxiproxy_server.NoServerError, match="=none"):
        toxiproxy_server.find({"FINCHAOS_TEST_TOXIPROXY_SERVER": "none", "PATH": str(tmp_path)}, tmp_path)


def test_without_go_the_reason_says_so(tmp_path: Path) -> None:
    with pytest.raises(toxiproxy_server.NoServerError, match="no Go on PATH"):
        toxiproxy_server.find({"PATH": str(tmp_path)}, tmp_path)


def test_a_build_is_kept_in_the_cache_and_used_again(tmp_path: Path) -> None:
    go = '#!/bin/sh\necho "$@" >>"$0.calls"\nprintf "#!/bin/sh\\n" >"$GOBIN/server"\n'
    path = tool(tmp_path / "path", "go", go)
    cache = tmp_path / "cache"

    first = toxiproxy_server.find({"PATH": str(path.parent)}, cache)
    second = toxiproxy_server.find({"PATH": str(path.parent)}, cache)

    assert first == second
    assert os.access(first, os.X_OK)
    assert (tmp_path / "path" / "go.calls").read_text().count("v2.12.0") == 1
    assert cache.stat().st_mode & 0o777 == 0o711


def test_a_failed_build_says_the_last_words_of_go(tmp_path: Path) -> None:
    tool(tmp_path / "path", "go", "#!/bin/sh\necho 'no such module' >&2\nexit 1\n")

    with pytest.raises(toxiproxy_server.NoServerError, match="no such module"):
        toxiproxy_server.find({"PATH": str(tmp_path / "path")}, tmp_path / "cache")


def test_fresh_check_hides_tools_by_path_and_leaves_the_others_there(tmp_path: Path) -> None:
    tool(tmp_path / "one", "go")
    kept = tool(tmp_path / "one", "git")
    tool(tmp_path / "two", "make")

    path = fresh_check.path_without(["go"], [tmp_path / "one", tmp_path / "two"], tmp_path / "farm")

    first, second = path.split(":")
    assert second == str(tmp_path / "two")
    assert [entry.name for entry in Path(first).iterdir()] == ["git"]
    assert (Path(first) / "git").resolve() == kept


def test_fresh_check_passes_on_nothing_but_a_login_and_the_registries_settings() -> None:
    caller = {"PIP_CERT": "/ca.pem", "HTTPS_PROXY": "http://proxy", "PYTEST_ADDOPTS": "-x", "VIRTUAL_ENV": "/v"}

    variables = fresh_check.variables_of(caller, path="/usr/bin", home=Path("/home/u"), user="u")

    assert variables == {
        "PIP_CERT": "/ca.pem",
        "HTTPS_PROXY": "http://proxy",
        "PATH": "/usr/bin",
        "HOME": "/home/u",
        "USER": "u",
        "LOGNAME": "u",
        "LANG": "C.UTF-8",
    }


def test_fresh_check_reads_when_the_first_drill_started_on_the_hosts_clock(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "latest"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text('{"drills": [{"started_ns": 9000000000}, {"started_ns": 4000000000}]}')

    assert fresh_check.first_drill_s(tmp_path, 1_000_000_000) == 3.0
    assert fresh_check.first_drill_s(tmp_path, 10_000_000_000) is None  # an older run's report says nothing
    assert fresh_check.first_drill_s(tmp_path / "missing", 0) is None


def test_a_process_is_found_by_the_variable_that_it_was_started_with() -> None:
    # This process's own variables are those of its start; the search leaves itself out.
    assert accounts.processes_with("FINCHAOS_CACHE", "/nowhere/at/all") == []
