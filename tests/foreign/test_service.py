"""The foreign payment service by itself: what it promises, and what its planted defect does. No part of the product is used."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ALICE, BOB = "XX37TEST0000000001", "XX74TEST0000000002"
WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and JSON body."""

    status: int
    headers: Message
    body: Any


@dataclass(frozen=True, slots=True)
class Remit:
    """A running service and a session on it."""

    process: subprocess.Popen[str]
    url: str
    session: str

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"X-Session": self.session}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_S) as got:
                return Answer(got.status, got.headers, json.load(got))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, json.load(error))

    def pay(self, request: str, units: str = "1.00", *, source: str = ALICE, to: str = BOB) -> Answer:
        body = {"to": to, "value": {"units": units, "ccy": "EUR"}}
        return self.ask("PUT", f"/accounts/{source}/transfers/{request}", body)

    def balance(self, iban: str) -> str:
        return str(self.ask("GET", f"/accounts/{iban}").body["balance"]["units"])

    def export(self, limit: int = 500) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page: str | None = f"/export/ledger?limit={limit}"
        while page:
            answer = self.ask("GET", page).body
            rows, page = rows + answer["transfers"], answer["next"]
        return rows


def hundredths(units: str) -> int:
    """The service writes two decimals always."""
    return int(units.replace(".", ""))


def address_of(process: subprocess.Popen[str]) -> str:
    """The service's own first line says where it listens."""
    assert process.stderr is not None
    readable, _, _ = select.select([process.stderr], [], [], WITHIN_S)
    line = process.stderr.readline() if readable else ""
    found = re.search(r"listens on (127\.0\.0\.1:\d+)", line)
    assert found, f"remit did not start: {line!r}"
    return f"http://{found[1]}"


def opened_session(url: str, secret: str = "open-sesame") -> str:
    form = f"client_id=paydesk&secret={secret}".encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/session", form), timeout=WITHIN_S) as got:
        return str(got.headers["X-Session"])


@contextmanager
def running(binary: Path, folder: Path, bug: str = "none") -> Iterator[Remit]:
    arguments = [
        "--port",
        "0",
        "--db",
        str(folder / "remit.db"),
        "--accounts",
        str(HERE / "accounts.csv"),
        "--bug",
        bug,
    ]
    with subprocess.Popen([str(binary), *arguments], stderr=subprocess.PIPE, text=True) as process:
        try:
            url = address_of(process)
            yield Remit(process, url, opened_session(url))
        finally:
            process.terminate()
            process.wait(WITHIN_S)


@pytest.fixture
def repaired(remit_binary: Path, tmp_path: Path) -> Iterator[Remit]:
    with running(remit_binary, tmp_path) as remit:
        yield remit


@pytest.fixture
def defective(remit_binary: Path, tmp_path: Path) -> Iterator[Remit]:
    with running(remit_binary, tmp_path, "double-charge") as remit:
        yield remit


def test_an_outcome_stands_in_the_body_not_in_the_status(repaired: Remit) -> None:
    done, rejected = repaired.pay("a", "12.34"), repaired.pay("b", "99999.00")

    assert (done.status, done.body["state"]) == (200, "DONE")
    assert (rejected.status, rejected.body["state"]) == (200, "REJECTED")
    assert rejected.body["transfer"]["reason"] == "INSUFFICIENT_FUNDS"
    assert (repaired.balance(ALICE), repaired.balance(BOB)) == ("9987.66", "10012.34")


def test_a_transfer_is_found_by_its_number_and_by_its_request_id(repaired: Remit) -> None:
    made = repaired.pay("a").body["transfer"]

    assert repaired.ask("GET", f"/transfers/{made['no']}").body == {"state": "DONE", "transfer": made}
    assert repaired.ask("GET", f"/accounts/{ALICE}/transfers?request=a").body == {"transfers": [made]}
    assert repaired.ask("GET", f"/accounts/{ALICE}/transfers?request=b").body == {"transfers": []}
    assert repaired.ask("GET", "/transfers/999").status == 404


def test_a_request_id_used_for_another_transfer_is_a_conflict(repaired: Remit) -> None:
    repaired.pay("a", "1.00")

    assert repaired.pay("a", "2.00").status == 409
    assert repaired.pay("a", "2.00", source=BOB, to=ALICE).status == 200, "ids are scoped to the source account"


def test_without_a_session_nothing_is_told(repaired: Remit) -> None:
    stranger = Remit(repaired.process, repaired.url, "paydesk.9999999999.00")

    assert stranger.pay("a").status == 401
    assert stranger.ask("GET", f"/accounts/{ALICE}").status == 401
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        opened_session(repaired.url, "guess")
    refused.value.close()


def test_the_status_says_which_build_serves(repaired: Remit, remit_binary: Path, tmp_path_factory: Any) -> None:
    key = remit_binary.name.removeprefix("remit-")

    with running(remit_binary, tmp_path_factory.mktemp("other"), "double-charge") as defective:
        assert repaired.ask("GET", "/status").body == {"service": "remit", "state": "UP", "build": f"1.4.0+{key}"}
        assert defective.ask("GET", "/status").body["build"] == f"1.3.2+{key}"


def test_concurrent_retries_move_the_money_once(repaired: Remit) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: repaired.pay("same"), range(8)))

    assert {answer.body["transfer"]["no"] for answer in answers} == {1}
    assert sorted(answer.headers.get("Replayed", "no") for answer in answers) == ["no", *["yes"] * 7]
    assert repaired.balance(ALICE) == "9999.00"


def test_concurrent_retries_move_the_money_each_time_in_the_defective_version(defective: Remit) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: defective.pay("same"), range(8)))

    assert {answer.body["transfer"]["no"] for answer in answers} == set(range(1, 9))
    assert defective.balance(ALICE) == "9992.00"
    assert len(defective.ask("GET", f"/accounts/{ALICE}/transfers?request=same").body["transfers"]) == 8


def test_a_retry_after_a_lost_answer_pays_twice_in_the_defective_version_only(
    repaired: Remit, remit_binary: Path, tmp_path_factory: Any
) -> None:
    with running(remit_binary, tmp_path_factory.mktemp("other"), "double-charge") as defective:
        for remit in (repaired, defective):
            remit.pay("lost")
            remit.pay("lost")

        assert (repaired.balance(ALICE), defective.balance(ALICE)) == ("9999.00", "9998.00")


@pytest.mark.parametrize("bug", ["none", "double-charge"])
def test_traffic_without_retries_looks_perfect_in_both_versions(remit_binary: Path, tmp_path: Path, bug: str) -> None:
    accounts = [line.split(",")[0] for line in (HERE / "accounts.csv").read_text().splitlines()[1:]]
    with running(remit_binary, tmp_path, bug) as remit:

        def pay(turn: int) -> str:
            source, target = accounts[turn % 48], accounts[(turn * 7 + 1) % 48]
            return str(remit.pay(f"t{turn}", f"{turn + 1}.50", source=source, to=target).body["state"])

        with ThreadPoolExecutor(4) as pool:
            states = list(pool.map(pay, range(120)))
        rows = remit.export(limit=50)
        balances = {iban: hundredths(remit.balance(iban)) for iban in accounts}

    moved = dict.fromkeys(accounts, 1_000_000)
    for row in rows:
        for posting in row.get("postings", []):
            moved[posting["iban"]] += hundredths(posting["units"])
    assert sorted(row["request"] for row in rows) == sorted(f"t{turn}" for turn in range(120)), "each once"
    assert states.count("DONE") == sum(row["state"] == "DONE" for row in rows) > 100
    assert balances == moved
    assert sum(balances.values()) == 48 * 1_000_000


def test_a_killed_service_remembers_what_it_has_answered(remit_binary: Path, tmp_path: Path) -> None:
    with running(remit_binary, tmp_path) as remit:
        first = remit.pay("a").body
        remit.process.kill()
        remit.process.wait(WITHIN_S)
    with running(remit_binary, tmp_path) as remit:
        again = remit.pay("a")

        assert (again.body, again.headers["Replayed"]) == (first, "yes")
        assert remit.balance(ALICE) == "9999.00"


def test_the_own_unit_tests_of_the_service_pass(remit_binary: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("no Go compiler on PATH")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    command = [
        "go",
        "test",
        "-count=1",
        "-vet=off",
        "-trimpath",
        "./...",
    ]  # -trimpath: the packages that build.sh has compiled
    done = subprocess.run(
        command, cwd=HERE / "service", env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def build(cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    here = {**os.environ, "FINCHAOS_CACHE": str(cache), **environment}
    return subprocess.run(
        [str(HERE / "build.sh")], env=here, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def test_the_build_says_plainly_that_there_is_no_go(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "id", "cat", "sha256sum", "cut"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)

    done = build(tmp_path / "cache", PATH=str(tools))

    assert done.returncode == 3
    assert "no Go compiler on PATH" in done.stderr


def test_the_build_says_plainly_that_the_modules_are_out_of_reach(tmp_path: Path) -> None:
    if shutil.which("go") is None:
        pytest.skip("no Go compiler on PATH")

    done = build(tmp_path / "cache", GOPROXY="off", GOMODCACHE=str(tmp_path / "modules"))

    assert done.returncode == 4
    assert "neither in the module cache nor within reach" in done.stderr
