"""Redaction, the child's environment variables, the socket, values for the configuration."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.experiments import process, reading, values, wire
from pytest_finchaos.experiments.redaction import redact_journal, redact_text, values_of
from pytest_finchaos.experiments.server import Later, Server
from pytest_finchaos.model.errors import UserError

SECRETS = {"vault": {"token": "s3cr3t/ä=", "pin": 12, "nested": ["hunter2"]}, "empty": ""}


def test_secrets_are_found_however_deep_and_the_longest_comes_first() -> None:
    assert values_of(SECRETS) == ("s3cr3t/ä=", "hunter2", "12")


def test_a_journal_keeps_no_secret_in_whatever_form() -> None:
    found = values_of(SECRETS)
    encoded = base64.b64encode("s3cr3t/ä=".encode()).decode()
    journal = {
        "experiment": {
            "secrets": {"vault": {"token": "s3cr3t/ä="}, "k": {"type": "env", "key": "TOKEN"}},
            "configuration": {"probe": {"provider": {"secrets": SECRETS}}},
        },
        "run": [{"output": {"url": "http://x/?t=s3cr3t%2F%C3%A4%3D", "auth": f"Basic {encoded}", "pin": 12, "n": 120}}],
    }
    text = json.dumps(redact_journal(journal, found), ensure_ascii=False)
    for secret in ("s3cr3t", "hunter2", encoded, '"pin": 12'):
        assert secret not in text
    assert '"key": "TOKEN"' in text
    assert '"n": 120' in text


def test_a_short_secret_does_not_blacken_every_figure() -> None:
    assert redact_text("12 of 120", ("12",)) == "12 of 120"
    assert redact_text("12", ("12",)) == "[redacted]"


def test_the_child_inherits_what_the_file_names_and_nothing_else() -> None:
    caller = {"PATH": "/bin", "LC_ALL": "C", "AWS_SECRET_ACCESS_KEY": "x", "TOKEN": "t", "URL": "u", "EXTRA": "e"}
    document = {
        "secrets": {"group": {"token": {"type": "env", "key": "TOKEN"}}},
        "configuration": {"url": {"type": "env", "key": "URL", "default": "d"}, "plain": 1},
    }
    found = process.variables(caller, document, home=Path("/h"), handed_on=("EXTRA",), kubeconfig="")
    assert {name: found[name] for name in ("PATH", "LC_ALL", "TOKEN", "URL", "EXTRA")} == {
        name: caller[name] for name in ("PATH", "LC_ALL", "TOKEN", "URL", "EXTRA")
    }
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert found["HOME"] == "/h"
    assert found["KUBECONFIG"] == "/h/no-kubeconfig"


def talk(server: Server, message: Mapping[str, Any] | bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(server.path))
        connection.sendall(message if isinstance(message, bytes) else wire.line(message))
        for _ in range(5):
            server.serve(0.2)
        return wire.table(connection.recv(65_536))


def handle(call: str, arguments: Mapping[str, Any]) -> Any:
    if call == "refuse":
        raise UserError("here", "no")
    if call == "later":
        answers = iter([None, None, "now"])
        return Later(lambda: next(answers))
    return {"call": call, **arguments}


@pytest.fixture
def server(tmp_path: Path) -> Any:
    made = Server(tmp_path, handle)
    yield made
    made.close()
    made.close()  # twice without harm


def test_a_call_with_the_token_is_answered(server: Server) -> None:
    asked = {"token": server.token, "call": "x", "arguments": {"a": 1}}
    assert talk(server, asked) == {"ok": True, "value": {"call": "x", "a": 1}}


def test_an_answer_may_come_later_while_others_are_served(server: Server) -> None:
    assert talk(server, {"token": server.token, "call": "later"}) == {"ok": True, "value": "now"}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"token": "guess", "call": "x"}, "wrong token"),
        ({"call": "x"}, "wrong token"),
        (b"nonsense\n", "no JSON"),
        (b"[]\n", "no object"),
    ],
)
def test_who_has_no_token_or_talks_nonsense_gets_nothing_done(server: Server, message: Any, told: str) -> None:
    answer = talk(server, message)
    assert answer["ok"] is False
    assert told in answer["error"]


def test_a_refusal_carries_its_reason(server: Server) -> None:
    assert talk(server, {"token": server.token, "call": "refuse"}) == {"ok": False, "error": "here: no"}


def spec(folder: Path, **changes: Any) -> Any:
    path = folder / "x.json"
    path.write_text(json.dumps({"title": "t", "description": "d", "method": [], **changes}))
    return reading.read_experiment(path, "x.json")


def test_a_file_that_knows_toxiproxy_is_given_ours(tmp_path: Path) -> None:
    url = "http://127.0.0.1:8474"
    ours = {"toxiproxy_url": url, "toxiproxy_host": "127.0.0.1", "toxiproxy_port": 8474}
    configured = spec(tmp_path, configuration={"toxiproxy_host": "elsewhere"})
    assert values.configuration(configured, {}, url) == ours
    action = {"type": "action", "name": "a", "provider": {"type": "python", "module": "chaostoxi.toxic.actions"}}
    assert values.configuration(spec(tmp_path, method=[action]), {}, url) == ours


def test_another_file_is_given_what_its_extension_asks_for(tmp_path: Path) -> None:
    extension = {"name": "finchaos", "environment": "e", "configuration": {"at": "{url.api}/ready", "n": 3}}
    file = spec(tmp_path, extensions=[extension])
    assert values.configuration(file, {"url.api": "http://a"}, "http://t") == {"at": "http://a/ready", "n": 3}
    with pytest.raises(UserError, match=r"unknown placeholder \{url.api\}"):
        values.configuration(file, {"url.apx": "x"}, "")
