"""The finchaos.toml of a system that init was pointed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_finchaos.cli.init_ledger import Ledger
from pytest_finchaos.cli.init_openapi import UNKNOWN, Proposed, lookup, payment
from pytest_finchaos.cli.init_probe import Chosen
from pytest_finchaos.cli.toml_text import line, marked, value

FILL = "#|"
PROPOSAL = "#:"
LOOPBACK = "127.0.0.1"
READ, SLO, GATE = "read", "reads", "release"
FIRST_DRILL = "tests/resilience/test_first_drill.py"


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the system with an address.

    Args:
        name: Its name.
        address: ``host:port``.
        ready: Path that says when it is ready, or None.
        within_s: How long it may take.
    """

    name: str
    address: str
    ready: str | None = None
    within_s: int = 10


@dataclass(frozen=True, slots=True)
class System:
    """What is known of the system.

    Args:
        name: Name of the environment.
        components: The one where the load enters first.
        chosen: Readiness and read.
        start: Command that starts it; empty: it is attached.
        stop: Command that stops it.
        proposed: Operations of its own document.
        ledger: Where its money can be read, or None.
        prefix: Path in front of every other one.
    """

    name: str
    components: tuple[Component, ...]
    chosen: Chosen
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    proposed: tuple[Proposed, ...] = ()
    ledger: Ledger | None = None
    prefix: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def entry(self) -> Component:
        """Where the load enters."""
        return self.components[0]


def render(system: System) -> str:
    """The whole file."""
    where = f"environments.{system.name}"
    lines = ["# Written by finchaos init. Everything in it may be changed; finchaos doctor checks it."]
    lines += [*map("# {}".format, system.notes), "", f"[{where}]", *backend(system), ""]
    for component in system.components:
        identity = system.chosen.identity if component is system.entry else None
        lines += [*one_component(where, component, identity), ""]
    lines += [f"[[{where}.edges]]".ljust(42) + " # where the load enters: network faults act here"]
    lines += [line("source", "clients"), line("target", system.entry.name), ""]
    lines += [*first_read(where, system), "", *judged(where), "", *payments(where, system)]
    if system.proposed:
        lines += ["", *proposals(where, system)]
    return "\n".join(lines) + "\n"


def backend(system: System) -> list[str]:
    """How the environment comes about."""
    books = system.ledger.connect.get("host") if system.ledger else None
    addresses = [one.address.rpartition(":")[0] for one in system.components]
    hosts = list(dict.fromkeys([*addresses, LOOPBACK, *([books] if books else [])]))
    allowed = line("allowed_hosts", hosts, "nothing else is ever contacted; never name a production host")
    if not system.start:
        return [line("backend", "attach", "the system runs already; it is never started or stopped"), allowed]
    lines = [line("backend", "command", "started for each environment, and stopped after it"), allowed]
    lines.append(line("start", list(map(braced, system.start))))
    if system.stop:
        lines.append(line("stop", list(map(braced, system.stop))))
    else:
        lines.append('# stop = ["…"]  # without it the processes that start left are ended')
    return lines


def braced(word: str) -> str:
    """A word of a command without placeholders."""
    return word.replace("{", "{{").replace("}", "}}")


def one_component(where: str, component: Component, identity: tuple[str, str] | None) -> list[str]:
    """Address, readiness, build."""
    ready: dict[str, Any] = {"http": component.ready} if component.ready else {}
    remark = "" if component.ready else 'its port accepts; better: { http = "/health", … }'
    if identity is None:
        build = '# identity = { http = "/version", field = "build" }  # where it says which build serves'
    else:
        build = line("identity", dict(zip(("http", "field"), identity, strict=True)), "it says here which build serves")
    return [
        f"[{where}.components.{component.name}]",
        line("address", component.address),
        line("ready", {**ready, "within_s": component.within_s}, remark),
        build,
    ]


def first_read(where: str, system: System) -> list[str]:
    """The operation of the first drill, and the objective that it is judged by."""
    outcomes = {"ok": list(system.chosen.ok), "refused": ["4xx"], "unknown": list(UNKNOWN)}
    doubt = [f"# LOOK HERE: {system.chosen.doubt}."] if system.chosen.doubt else []
    return [
        f"[{where}.operations.{READ}]".ljust(42) + " # what the first drill sends",
        *doubt,
        line("component", system.entry.name),
        line("path", system.chosen.read),
        line("outcomes", outcomes),
        line("timeout_s", 2.0),
        "",
        f"[{where}.slos.{SLO}]".ljust(42) + " # what it is judged by",
        line("title", "reads end well in time"),
        line("operation", READ),
        line("indicator", "outcome"),
        line("target", "0.99"),
        line("deadline_s", 2.0),
    ]


def judged(where: str) -> list[str]:
    """The gate."""
    del where
    return [
        f"[gates.{GATE}]".ljust(42) + f" # finchaos gate {GATE} --reports reports",
        line("require", [f"{FIRST_DRILL}::*"]),
        line("max_age_h", 24),
        line("on_undecided", "block"),
    ]


def payments(where: str, system: System) -> list[str]:
    """The paying operation with all that belongs to it, to be filled in."""
    pays = payment(system.proposed)
    reads = lookup(system.proposed, pays) if pays else None
    entry = system.entry.name
    lines = [
        "# ---- Money ----------------------------------------------------------------------------------------------",
        f'# Fill in the lines that begin with "{FILL}", then take these marks away:',
        f"#     sed -i 's/^{FILL} \\{{0,1\\}}//' finchaos.toml",
        "# and remove the line pytest.skip(…) in tests/resilience/test_payments.py.",
    ]
    body = [*data(where), *login(where, entry), *authorise(where, system, pays), *read_back(where, system, reads)]
    return [*lines, *marked([*body, *ledger(where, system)], FILL)]


def data(where: str) -> list[str]:
    """Test data."""
    return [
        "# Who pays and who is paid: {customer} and {merchant} in the operations below. Other sources of data:",
        '#     { file = "accounts.csv", column = "iban" }         .csv with a header, .jsonl, or plain lines',
        '#     { query = "select iban from accounts" }            asked of the ledger\'s database, see below',
        f"[{where}.data]",
        line("customer", {"format": "cust-{n:04d}", "count": 200}),
        line("merchant", {"format": "shop-{n:04d}", "count": 50}),
        "",
    ]


def login(where: str, entry: str) -> list[str]:
    """A set-up step."""
    return [
        "# A login, run once before the load. No login: leave this table out, and Authorization in the two below.",
        f"[{where}.operations.login]",
        line("component", entry),
        line("method", "POST"),
        line("path", "/login"),
        line("body", {"user": "drill", "password": "drill-only"}, 'a form instead: encoding = "form"'),
        line("setup", True),
        line("provides", {"token": "token"}, "{token} is this field of the answer; or header:NAME"),
        "",
    ]


def authorise(where: str, system: System, pays: Proposed | None) -> list[str]:
    """The operation that moves money."""
    method, path = ("POST", f"{system.prefix}/payments") if pays is None else (pays.method, pays.path)
    headers = {"Idempotency-Key": "{key}", "Authorization": "Bearer {token}"}
    body: Mapping[str, Any] = {
        "amount_minor": "{amount_minor}",
        "currency": "{currency}",
        "debtor": "{customer}",
        "creditor": "{merchant}",
    }
    outcomes: Mapping[str, Sequence[str]] = {
        "ok": ["201"],
        "declined": ["402"],
        "refused": ["400", "401", "404", "422"],
        "unknown": ["409", *UNKNOWN],
    }
    if pays is not None:
        headers = {**pays.headers, "Authorization": "Bearer {token}"}
        body, outcomes = pays.body if pays.body is not None else body, pays.outcomes
    return [
        "# The payment. The idempotency key {key} stands in a header, in the path or in the body; a try again has the",
        '# same key. An amount is whole minor units (1234), or text of major ones: "{amount_major}" is "12.34".',
        "# Outcomes are read by status, by json:FIELD=VALUE or header:NAME=VALUE, or by both:",
        '#     declined = ["200 & json:status=DECLINED"], ok = ["200"]         the most specific one counts',
        *([f"# {pays.method} {pays.path} of your document: {pays.summary or pays.name}"] if pays else []),
        f"[{where}.operations.authorise]",
        line("component", system.entry.name),
        line("method", method),
        line("path", path),
        line("headers", headers),
        line("body", body),
        line("outcomes", {name: list(matchers) for name, matchers in outcomes.items()}),
        line("timeout_s", 2.0),
        line("reference", "id", "field of the answer: the system's own id"),
        line("answer", ["id"], "fields that must be equal in all answers to one key"),
        "",
    ]


def read_back(where: str, system: System, reads: Proposed | None) -> list[str]:
    """The look-up."""
    if reads is not None:
        path = reads.path[: reads.path.rindex("{")] + "{reference}"
    else:
        path = f"{system.prefix}/payments?key={{key}}"
    return [
        "# Reads one payment back, by its key or by the system's own id {reference}: settles what a timeout left open.",
        f"[{where}.operations.lookup]",
        line("component", system.entry.name),
        line("path", path),
        line("headers", {"Authorization": "Bearer {token}"}),
        line("outcomes", {"ok": ["200"], "refused": ["404"], "unknown": ["401", *UNKNOWN]}),
        line("reference", "id"),
        "",
    ]


def ledger(where: str, system: System) -> list[str]:
    """How the money is read."""
    if system.ledger is None:
        fields = {"amount_minor": "amount_minor", "currency": "currency", "status": "status"}
        return [
            '# How the money is read. adapter "api" looks payments up one by one; "sql" reads the books themselves and',
            "# checks far more: finchaos init --ledger sqlite:///path or postgresql://user@host/database writes that.",
            f"[{where}.ledger]",
            line("adapter", "api"),
            line("operation", "authorise"),
            line("lookup", "lookup"),
            line("fields", fields, "field of ours = field of the look-up's answer"),
        ]
    return [
        "# How the money is read: SQL of yours that gives these columns in this order. What is left out is listed in",
        "# each report as not checked.",
        *(f"#     {text}" for text in system.ledger.seen),
        f"[{where}.ledger]",
        line("adapter", "sql"),
        line("driver", system.ledger.driver),
        line("connect", system.ledger.connect, system.ledger.remark),
        line("operation", "authorise"),
        line("lookup", "lookup"),
        "",
        f"[{where}.ledger.queries]",
        *(f"{name} = {value(text)}" for name, text in system.ledger.queries.items()),
    ]


def proposals(where: str, system: System) -> list[str]:
    """Every operation of the document, behind a mark of its own."""
    lines = [
        "# ---- Operations of your API document ----------------------------------------------------------------------",
        f'# Take the marks "{PROPOSAL}" away where a load profile names one. {{x}} is declared in [{where}.data].',
    ]
    for one in system.proposed:
        told = f"# {one.method} {one.path}" + (f": {one.summary}" if one.summary else "")
        body = [line("body", one.body)] if one.body is not None else []
        headers = [line("headers", one.headers)] if one.headers else []
        table = [
            f"[{where}.operations.{one.name}]",
            line("component", system.entry.name),
            line("method", one.method),
            line("path", one.path),
            *headers,
            *body,
            line("outcomes", {name: list(matchers) for name, matchers in one.outcomes.items()}),
        ]
        lines += ["", told, *marked(table, PROPOSAL)]
    return lines
