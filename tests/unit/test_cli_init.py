"""What `finchaos init` makes of answers, documents, Compose files and ledgers: files that are right by the schema."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_finchaos.cli import compose, init, init_files, init_ledger, init_openapi, init_probe, init_toml, init_write
from pytest_finchaos.cli.init_probe import Answer, Chosen
from pytest_finchaos.cli.init_toml import Component, System
from pytest_finchaos.cli.toml_text import value
from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.load.profile import parse_profile
from pytest_finchaos.model.errors import UserError

API = Component("api", "127.0.0.1:8080", "/health")
PLAIN = System("shop", (API,), Chosen("/health", "/"))
DOCUMENT = """
openapi: 3.0.3
servers: [{url: "https://shop.example/v2"}]
paths:
  /catalogue: {get: {operationId: listCatalogue, responses: {"200": {}}}}
  /payments:
    post:
      operationId: createPayment
      summary: Create a payment
      parameters: [{name: Idempotency-Key, in: header, required: true}]
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      responses: {"201": {}, "402": {}, "409": {}, "422": {}}
  /payments/{paymentId}:
    parameters: [{name: paymentId, in: path, required: true}]
    get: {responses: {"200": {}, "404": {}}}
  /search: {get: {parameters: [{name: q, in: query, required: true}], responses: {default: {}}}}
components:
  schemas:
    Order:
      required: [amount, currency, debtor]
      properties:
        amount: {type: integer}
        currency: {type: string}
        debtor: {type: string, example: "acc-1"}
        note: {type: string}
"""


def written(system: System, folder: Path) -> Path:
    path = folder / "finchaos.toml"
    path.write_text(init_toml.render(system))
    return path


def filled(path: Path, mark: str = init_toml.FILL) -> str:
    """As the text itself says: the marks taken away."""
    return re.sub(rf"^{re.escape(mark)} ?", "", path.read_text(), flags=re.MULTILINE)


def test_the_written_configuration_is_right_and_names_one_read(tmp_path: Path) -> None:
    loaded = load_configuration(written(PLAIN, tmp_path))
    spec = loaded.environments["shop"]
    assert spec.backend == "attach"
    assert list(spec.operations) == ["read"]
    assert spec.components["api"].ready.http == "/health"
    assert loaded.gates["release"]["require"] == [f"{init_toml.FIRST_DRILL}::*"]


def test_the_payment_template_is_right_once_its_marks_are_taken_away(tmp_path: Path) -> None:
    path = written(PLAIN, tmp_path)
    path.write_text(filled(path))
    spec = load_configuration(path).environments["shop"]
    assert list(spec.operations) == ["read", "login", "authorise", "lookup"]
    assert set(spec.data) == {"customer", "merchant"}
    assert spec.ledger is not None


def test_a_document_fills_the_payment_template_and_proposes_the_rest(tmp_path: Path) -> None:
    proposed = init_openapi.parse(DOCUMENT, "openapi.yaml")
    path = written(System("shop", (API,), Chosen("/health", "/"), proposed=proposed), tmp_path)
    load_configuration(path)  # all proposals are still behind their marks
    tables = tomllib.loads(filled(path))["environments"]["shop"]["operations"]
    assert tables["authorise"]["path"] == "/v2/payments"
    assert tables["authorise"]["headers"]["Idempotency-Key"] == "{key}"
    assert tables["authorise"]["body"] == {"amount": "{amount_minor}", "currency": "{currency}", "debtor": "acc-1"}
    assert tables["authorise"]["outcomes"]["declined"] == ["402"]
    assert tables["authorise"]["outcomes"]["unknown"][0] == "409"
    assert tables["lookup"]["path"] == "/v2/payments/{reference}"
    proposals = tomllib.loads(filled(path, init_toml.PROPOSAL))["environments"]["shop"]["operations"]
    assert set(proposals) >= {"listCatalogue", "createPayment", "get_payments_paymentId"}
    path.write_text(filled(path, init_toml.PROPOSAL))
    load_configuration(path)


def test_reads_that_need_nothing_are_what_is_asked_for() -> None:
    proposed = init_openapi.parse(DOCUMENT, "openapi.yaml")
    assert init_openapi.plain_reads(proposed) == ("/v2/catalogue",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2", "neither JSON nor YAML"),
        ("a: 1", "no OpenAPI document"),
        ("{", "neither JSON nor YAML"),
        ("", "no OpenAPI"),
    ],
)
def test_what_is_no_document_is_told(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        init_openapi.parse(text, "x")


@pytest.mark.parametrize(
    "paths",
    [
        {"/a": None},
        {"/a": {"get": {"parameters": "x", "responses": None}}},
        {"/a": {"post": {"requestBody": {"$ref": "#/nowhere"}}}},
        {"/a": {"post": {"requestBody": {"content": {}}}}},
        {"/a/{key}": {"get": {"parameters": [{"name": "key", "in": "path"}]}}},
    ],
)
def test_an_odd_document_is_read_as_far_as_it_goes(paths: dict[str, Any], tmp_path: Path) -> None:
    proposed = init_openapi.parse(yaml.safe_dump({"paths": paths}), "x")
    path = written(System("shop", (API,), Chosen(None, "/"), proposed=proposed), tmp_path)
    tomllib.loads(filled(path, init_toml.PROPOSAL))


CHOICES = {
    "health and root": ([("/", 200), ("/ready", 404), ("/health", 200)], "/health", "/", False),
    "ready before health": ([("/", 404), ("/ready", 204), ("/health", 200)], "/ready", "/ready", False),
    "root only": ([("/", 200), ("/health", 404)], "/", "/", False),
    "a read of the document": ([("/", 200), ("/health", 200), ("/catalogue", 200)], "/health", "/catalogue", False),
    "nothing well": ([("/", 404), ("/health", 401)], None, "/", True),
    "a broken system": ([("/", 500), ("/health", 503)], None, "/", True),
    "nobody": ([("/", 0)], None, "/", True),
}


@pytest.mark.parametrize("name", CHOICES)
def test_readiness_and_read_are_chosen_from_the_answers(name: str) -> None:
    answers, ready, read, doubt = CHOICES[name]
    chosen = init_probe.choose([Answer(path, status) for path, status in answers])
    assert (chosen.ready, chosen.read, bool(chosen.doubt)) == (ready, read, doubt)


def test_a_status_that_is_not_well_is_accepted_only_when_it_was_seen(tmp_path: Path) -> None:
    chosen = init_probe.choose([Answer("/", 404)])
    assert chosen.ok == ("2xx", "404")
    text = written(System("shop", (API,), chosen), tmp_path).read_text()
    assert "# LOOK HERE: " in text
    assert init_probe.choose([Answer("/", 500)]).ok == ("2xx",)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"state": "UP", "version": "1.4"}', "version"),
        (b'{"version": "1", "build": "9f"}', "build"),
        (b'{"version": 3}', ""),
        (b'{"version": ""}', ""),
        (b"[]", ""),
        (b"<html>", ""),
    ],
)
def test_a_build_is_proven_where_the_system_tells_it(body: bytes, field: str, tmp_path: Path) -> None:
    assert init_probe.build_field(body) == field
    chosen = init_probe.choose([Answer("/", 404), Answer("/status", 200, build=field)])
    assert chosen.identity == (("/status", field) if field else None)
    spec = load_configuration(written(System("shop", (API,), chosen), tmp_path)).environments["shop"]
    assert (spec.components["api"].identity is not None) is bool(field)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:80", "https://127.0.0.1", "ftp://x", "http://", "http://x:99999", "http://x/?a=1", "http://u@x"]
)
def test_what_is_no_base_url_is_told(url: str) -> None:
    with pytest.raises(UserError, match="--url"):
        init_probe.target_of(url)


def test_a_path_of_the_url_stands_before_every_other_one() -> None:
    target = init_probe.target_of("http://shop.test:8080/api/")
    assert (target.address, target.prefix) == ("shop.test:8080", "/api")
    chosen = init_probe.choose([Answer("/api/", 404), Answer("/api/health", 200)], target.prefix)
    assert (chosen.ready, chosen.read) == ("/api/health", "/api/health")


COMPOSE = """
services:
  db: {image: "postgres:16", ports: ["5432:5432"]}
  web:
    build: .
    ports: ["${WEB_PORT:-8080}:80"]
    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:80/healthz"]}
  worker: {image: worker}
"""


def test_the_load_enters_at_the_service_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(COMPOSE)
    first, second = compose.read(tmp_path / "c.yaml")
    assert (first.name, first.port, first.inner, first.ready) == ("web", 8080, 80, "/healthz")
    assert (second.name, second.store, second.ready) == ("db", True, None)


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ("8080:80", (8080, 80)),
        ("127.0.0.1:8080:80/tcp", (8080, 80)),
        ("8080:80/udp", None),
        ("80", None),
        (80, None),
        ("3000-3005:3000-3005", None),
        ({"target": 80, "published": "8080"}, (8080, 80)),
        ({"target": 80}, None),
    ],
)
def test_published_ports_are_read_in_each_spelling(given: Any, pair: tuple[int, int] | None) -> None:
    assert compose.ports(given) == pair


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: {web: {image: x}}", "publishes a port"),
        ("a: 1", "no Compose file"),
        ("a: [", "not YAML"),
        (None, "read"),
    ],
)
def test_a_compose_file_of_no_use_is_told(text: str | None, told: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=told):
        compose.read(tmp_path / "c.yaml")


def test_a_command_with_braces_is_no_placeholder(tmp_path: Path) -> None:
    system = System("shop", (API,), Chosen("/health", "/"), start=("node", "-e", "f({a: 1})"), stop=("x",))
    spec = load_configuration(written(system, tmp_path)).environments["shop"]
    assert spec.start == ("node", "-e", "f({{a: 1}})")


def test_a_sqlite_ledger_is_told_with_its_tables(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "books.db")
    connection.execute("create table payment (id integer, cents integer)")
    connection.close()
    found = init_ledger.of("sqlite:///books.db", tmp_path)
    assert found.connect == {"database": str(tmp_path / "books.db")}
    assert found.seen == ("payment(id, cents)",)
    assert init_ledger.of(f"sqlite:///{tmp_path}/books.db", Path("/")).connect == found.connect
    system = System("shop", (API,), Chosen("/health", "/"), ledger=found)
    path = written(system, tmp_path)
    assert "#     payment(id, cents)" in path.read_text()
    path.write_text(filled(path))
    assert load_configuration(path).environments["shop"].ledger is not None


def test_a_postgresql_ledger_is_written_without_its_password(tmp_path: Path) -> None:
    found = init_ledger.of("postgresql://drill:s3cret@10.0.0.7:5433/books", tmp_path)
    system = System("shop", (API,), Chosen("/health", "/"), ledger=found)
    path = written(system, tmp_path)
    assert "s3cret" not in path.read_text()
    assert "10.0.0.7" in tomllib.loads(path.read_text())["environments"]["shop"]["allowed_hosts"]
    path.write_text(filled(path))
    ledger = load_configuration(path).environments["shop"].ledger
    assert ledger is not None


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite:///gone.db", "sqlite://", "postgresql://x", "postgresql://x:y/z", "books.db"]
)
def test_a_ledger_that_cannot_be_meant_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--ledger"):
        init_ledger.of(url, tmp_path)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database, although it is long enough to be taken for one" * 100)
    with pytest.raises(UserError, match="cannot be read"):
        init_ledger.of("sqlite:///x.db", tmp_path)


@pytest.mark.parametrize("name", ["", "1st", "class", "drill", "a b", "x" * 41])
def test_a_name_that_no_fixture_can_have_is_told(name: str) -> None:
    with pytest.raises(UserError, match="--name"):
        init.fixture_of(name)


def test_a_name_with_a_dash_makes_a_fixture_with_an_underscore() -> None:
    assert init.fixture_of("my-shop") == "my_shop"


def test_the_files_around_are_python_profiles_and_yaml() -> None:
    files = init_files.around(name="my-shop", fixture="my_shop", entry="api", attached=True, has_settings=False)
    for name, text in files.items():
        if name.endswith(".py"):
            compile(text, name, "exec")
            assert "my_shop" in text
        elif name.startswith("loadprofiles/"):
            parse_profile(text, name=Path(name).stem, where=name)
        elif name.endswith(".yml"):
            assert "finchaos gate release" in str(yaml.safe_load(text))
    assert "pytest.ini" in files


def test_settings_of_the_project_for_pytest_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-q"\n')
    names = init_write.write(PLAIN, "shop", tmp_path, force=False)
    assert "pytest.ini" not in names
    assert "-p no:locust" in init_write.locust_warning(tmp_path)


def test_nothing_is_overwritten_and_nothing_is_written_when_one_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("mine")
    with pytest.raises(UserError, match=r"conftest\.py is there already; nothing was changed"):
        init_write.write(PLAIN, "shop", tmp_path, force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["conftest.py"]


def test_force_overwrites_and_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("mine")
    init_write.write(PLAIN, "shop", tmp_path, force=True)
    assert "environment_fixture" in (tmp_path / "conftest.py").read_text()
    assert (tmp_path / "conftest.py.old").read_text() == "mine"
    init_write.write(PLAIN, "shop", tmp_path, force=True)
    assert (tmp_path / "conftest.py.old").read_text() == "mine"  # an equal file is no news


@pytest.mark.parametrize("given", ['a"b', "tab\there", "ü", "\x7f\x01", 3, 2.5, True, ["x", 1], {"a b": {"c": None}}])
def test_every_value_that_is_written_is_read_again(given: Any) -> None:
    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: plain(inner) for key, inner in part.items()}
        return str(part) if part is None else part

    assert tomllib.loads(f"x = {value(given)}")["x"] == plain(given)
