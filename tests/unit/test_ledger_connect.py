"""Where a driver may connect to: allowed hosts, files of this machine, nothing that nobody can tell; no secret told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.ledger.connect import destination
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import ComponentSpec, EnvironmentSpec
from tests.systems.books import SPEC

WHERE = "finchaos.toml: environments.bank.ledger.connect"

WITH_DB = replace(SPEC, components={"db": ComponentSpec("db")})


@dataclass(frozen=True)
class Here:
    """An environment with one component, ``db``."""

    folder: Path
    spec: EnvironmentSpec = WITH_DB

    def database_url(self, component: str) -> str:
        raise AssertionError

    def base_url(self, component: str) -> str:
        raise AssertionError

    def direct_address(self, component: str) -> str:
        return "127.0.0.1:5433"

    def workdir(self, component: str) -> Path:
        return self.folder


@pytest.fixture
def here(tmp_path: Path) -> Here:
    (tmp_path / "a.db").touch()
    return Here(tmp_path)


def test_placeholders_are_filled_and_a_port_is_a_number(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_PASSWORD", "s3cret")
    connect = {"host": "{host.db}", "port": "{port.db}", "password": "{env.BANK_PASSWORD}", "ssl": False}

    found = destination("pymysql", connect, here, WHERE)

    assert found.arguments == {"host": "127.0.0.1", "port": 5433, "password": "s3cret", "ssl": False}
    assert found.told("access denied for s3cret") == "access denied for …"


def test_a_file_in_a_components_folder_is_found(here: Here) -> None:
    found = destination("sqlite3", {"database": "{workdir.db}/a.db"}, here, WHERE)

    assert found.arguments == {"database": str(here.folder / "a.db")}


@pytest.mark.parametrize(
    ("connect", "said"),
    [
        ({"host": "192.0.2.1"}, "host '192.0.2.1' is not allowed"),
        ({"server": "db.example.org"}, "host 'db.example.org' is not allowed"),
        ({"dsn": "mysql://user:pw@db.example.org/x"}, "host 'db.example.org' is not allowed"),
        ({"conninfo": "host=db.example.org dbname=x"}, "host 'db.example.org' is not allowed"),
        ({"database": "x", "dsn": "Server=db.example.org;Uid=me"}, "host 'db.example.org' is not allowed"),
        ({"user": "me"}, "names neither a host nor a file"),
        ({"database": "relative.db"}, "no file relative.db on this machine"),
        ({"database": "/no/such/file.db"}, "no file /no/such/file.db on this machine"),
        ({"database": ":memory:"}, "no file :memory: on this machine"),
        ({"host": "{host.bd}"}, "no component 'bd'"),
        ({"host": "127.0.0.1", "password": "{env.NO_SUCH_VARIABLE}"}, "the variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_what_may_not_be_contacted_or_is_not_there_is_refused(here: Here, connect: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        destination("some", connect, here, WHERE)

    assert said in caught.value.what
    assert caught.value.where.startswith(WHERE)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "/var/run/postgresql"])
def test_this_machine_is_allowed_by_its_names(here: Here, host: str) -> None:
    connect = {"host": host, "database": "payments"}

    assert destination("some", connect, here, WHERE).arguments == connect


def test_urls_and_connection_texts_are_told_without_passwords(here: Here) -> None:
    found = destination("some", {"host": "127.0.0.1"}, here, WHERE)

    assert found.told("cannot reach postgresql://me:pw@127.0.0.1/x password=hunter2 now") == (
        "cannot reach postgresql:…127.0.0.1/x password=… now"
    )
