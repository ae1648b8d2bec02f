"""A small bank of its own making, for tests of mappings and ledger adapters: SQLite, forms, amounts like 12.34.

It answers every transfer with 200 and says in the body what became of it. Its key is a field of the form. Its defects
are switches: ``double`` forgets keys, ``lose`` acknowledges and does not store, ``round`` drops the cents, ``slow``
answers the first try of some transfers too late, once it has acted.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

FILE = "bank.db"
PAGE = 50
SCHEMA = """
create table transfer (no integer primary key, ref text, minor integer, ccy text, src text, dst text, state text);
create table posting (no integer, account text, step integer, minor integer, ccy text, after integer);
create table account (name text primary key, kind text, opening integer, minor integer, step integer);
create table answer (ref text primary key, asked text, said text);
create index transfer_ref on transfer (ref);
"""
OPENING = 100_000_000
LIMIT_MINOR = 4_000  # transfers above are declined


class Bank:
    """The books.

    Args:
        folder: Where the database is.
        defects: Names of defects.
    """

    def __init__(self, folder: Path, defects: frozenset[str]) -> None:
        self.path, self.defects = folder / FILE, defects
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.tries: dict[str, int] = {}
        fresh = not self.path.exists()
        self.connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self.connection.execute("pragma journal_mode = wal")
        self.connection.execute("pragma synchronous = off")
        if fresh:
            self.connection.executescript(SCHEMA)
            names = [(f"acc-{number}", "customer") for number in range(1, 9)]
            names += [(f"shop-{number}", "shop") for number in range(1, 6)]
            rows = [(name, kind, OPENING, OPENING, 0) for name, kind in names]
            self.connection.executemany("insert into account values (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            self.connection.execute("begin immediate")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("rollback")
                raise
            self.connection.execute("commit")

    def transfer(self, form: Mapping[str, str]) -> dict[str, Any]:
        """What became of one transfer: the stored answer of its key, or a new one."""
        ref, asked = form["ref"], json.dumps(sorted(form.items()))
        if "lose" in self.defects and zlib.crc32(ref.encode()) % 5 == 0:
            return {"result": "DONE", "transfer": {"no": 900_000 + zlib.crc32(ref.encode()) % 100_000}}
        with self.transaction() as connection:
            if "double" not in self.defects:
                stored = connection.execute("select asked, said from answer where ref = ?", [ref]).fetchone()
                if stored is not None:
                    said: dict[str, Any] = json.loads(stored[1])
                    return said if stored[0] == asked else {"result": "REJECTED", "error": {"code": "REF_REUSED"}}
            said = self.book(connection, form)
            connection.execute("insert or replace into answer values (?, ?, ?)", [ref, asked, json.dumps(said)])
        return said

    def book(self, connection: sqlite3.Connection, form: Mapping[str, str]) -> dict[str, Any]:
        whole, _, cents = form["amount"].partition(".")
        minor = int(whole + cents)
        if minor > LIMIT_MINOR:
            return {"result": "DECLINED"}
        if "round" in self.defects and minor > 300:
            minor -= minor % 100
        row = [form["ref"], minor, form["ccy"], form["from"], form["to"], "BOOKED"]
        cursor = connection.execute(
            "insert into transfer (ref, minor, ccy, src, dst, state) values (?, ?, ?, ?, ?, ?)", row
        )
        number = cursor.lastrowid
        for account, amount in ((form["from"], -minor), (form["to"], minor)):
            connection.execute(
                "update account set minor = minor + ?, step = step + 1 where name = ?", [amount, account]
            )
            step, after = connection.execute("select step, minor from account where name = ?", [account]).fetchone()
            connection.execute(
                "insert into posting values (?, ?, ?, ?, ?, ?)", [number, account, step, amount, form["ccy"], after]
            )
        return {"result": "DONE", "transfer": {"no": number}}

    def is_slow(self, ref: str) -> bool:
        """True for the first try of one transfer in four, when the switch is on."""
        with self.lock:
            self.tries[ref] = self.tries.get(ref, 0) + 1
            return "slow" in self.defects and self.tries[ref] == 1 and zlib.crc32(ref.encode()) % 4 == 1

    def rows(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        with self.lock:
            cursor = self.connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def transfers(self, where: str = "", values: Sequence[object] = ()) -> list[dict[str, Any]]:
        rows = self.rows(f"select * from transfer {where}", values)
        for row in rows:
            row["amount"] = f"{row['minor'] // 100}.{row['minor'] % 100:02d}"
        return rows


class Handler(BaseHTTPRequestHandler):
    """The HTTP interface; a session in a header, and a merchant that the session opens."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bank: Bank

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def answer(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @property
    def known(self) -> bool:
        return self.headers.get("X-Session") == "s-1"

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()))
        if self.path == "/session":
            good = form.get("user") == "drill"
            self.answer(200 if good else 401, {}, {"X-Session": "s-1"} if good else {})
        elif not self.known:
            self.answer(401, {"error": "no session"})
        elif self.path == "/desk":
            self.answer(200, {"desk": {"id": 7}})
        elif self.path == "/desks/7/transfers":
            slow = self.bank.is_slow(form["ref"])
            said = self.bank.transfer(form)
            if slow:
                self.bank.over.wait(1.0)
            self.answer(200, said, {"X-Result": said["result"]})
        else:
            self.answer(404, {})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = dict(parse_qsl(url.query))
        if url.path == "/ready":
            self.answer(200, {"ready": True})
        elif not self.known:
            self.answer(401, {"error": "no session"})
        elif url.path == "/transfers":
            self.answer(200, {"transfers": self.bank.transfers("where ref = ?", [asked["ref"]])})
        elif url.path.startswith("/transfers/"):
            found = self.bank.transfers("where no = ?", [url.path.rpartition("/")[2]])
            self.answer(200 if found else 404, found[0] if found else {})
        elif url.path == "/export/transfers":
            self.page(asked, "transfers", self.bank.transfers("order by no"))
        elif url.path == "/export/postings":
            self.page(asked, "postings", self.bank.rows("select * from posting order by no, account"))
        elif url.path == "/export/accounts":
            self.answer(200, self.bank.rows("select * from account"))
        elif url.path == "/export/pending":
            self.answer(200, {"pending": 0})
        else:
            self.answer(404, {})

    def page(self, asked: Mapping[str, str], name: str, rows: Sequence[object]) -> None:
        at = int(asked.get("at", 0))
        following = f"/export/{name}?at={at + PAGE}" if at + PAGE < len(rows) else None
        self.answer(200, {"page": {"rows": rows[at : at + PAGE]}, "links": {"next": following}})


class Server(ThreadingHTTPServer):
    """Quiet about clients that hang up."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Quiet."""


def serve(bank: Bank, port: int = 0) -> Server:
    """A server on 127.0.0.1; the caller runs and ends it."""
    return Server(("127.0.0.1", port), type("OneHandler", (Handler,), {"bank": bank}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--defects", default="")
    options = parser.parse_args()
    defects = frozenset(name for name in options.defects.split(",") if name)
    serve(Bank(options.folder, defects), options.port).serve_forever()


if __name__ == "__main__":
    main()
