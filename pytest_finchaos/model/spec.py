"""What a user declares in ``finchaos.toml``, parsed: frozen, validated, without any behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ReadySpec:
    """When a component counts as ready.

    Args:
        http: Path that must answer 2xx, or None (then: the port accepts, owned by our process).
        within_s: Deadline from start.
        fields: Body fields that must equal these values when configured, dotted path to value;
            the placeholders ``{pid}`` and ``{build}`` stand for what the harness started.
    """

    http: str | None = None
    within_s: float = 15.0
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """Where a component that the harness did not build says which build serves.

    Args:
        http: Path that answers 2xx.
        field: Dotted path in its JSON body, or "": the whole body is what it says.
    """

    http: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One replaceable part of an environment.

    Args:
        name: Its name in the configuration.
        kind: ``process``, ``postgres`` or, in a system that the harness does not start itself, ``external``.
        command: Argument vector with placeholders ``{python} {port} {workdir} {build} {edge.NAME}``.
        build: Files or folders (absolute) whose content is the build; copied read-only, content-addressed,
            and hashed into the fingerprint. Empty: the build is the interpreter plus the command.
        variables: Environment variables given to the process, and nothing else is given.
        ready: Readiness.
        restart: ``always`` or ``never``: what the supervisor does when the process dies.
        schema: SQL file (absolute) of a ``postgres`` component.
        settings: Server settings of a ``postgres`` component, name to value.
        database: Name of a ``postgres`` component's database and of the role that owns it.
        versions: Overrides per version name: any of the keys above.
        version: Name of the version that this spec is.
        unversioned: The component before any version's overrides, or None when it has no versions.
        address: ``host:port`` of a component that is not started by the harness; "": the harness claims a port.
        identity: Where such a component says which build serves, or None.
    """

    name: str
    kind: str = "process"
    command: tuple[str, ...] = ()
    build: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    ready: ReadySpec = field(default_factory=ReadySpec)
    restart: str = "never"
    schema: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: str = ""
    database: str = "payments"
    unversioned: ComponentSpec | None = None
    address: str = ""
    identity: IdentitySpec | None = None


@dataclass(frozen=True, slots=True)
class EdgeSpec:
    """A connection that the harness may disturb; ``source`` may be ``clients``.

    Args:
        source: Component name or ``clients``.
        target: Component name.
        proxy: Name of the proxy of the system's own Toxiproxy that stands on it already, or "".
    """

    source: str
    target: str
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeRules:
    """How a response or a transport failure of an operation is read.

    Each tuple holds matchers (see `model.matchers`): ``"2xx"``, ``"402"``, ``"json:PATH=VALUE"``,
    ``"header:NAME=VALUE"``, several joined by `` & ``; ``"timeout"``, ``"reset"``, ``"refused-connection"``,
    ``"malformed"``. The most specific one decides; equally specific ones that disagree leave it unknown. What no rule
    matches is ``unknown``, save a refused connection: nothing was sent, so ``failed``.
    """

    ok: tuple[str, ...] = ("2xx",)
    declined: tuple[str, ...] = ()
    refused: tuple[str, ...] = ("4xx",)
    unknown: tuple[str, ...] = ("5xx", "timeout", "reset", "malformed")


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """How a profile's operation speaks to this system, as data.

    Args:
        name: The profile's name for it, e.g. ``authorise``.
        component: Where it goes; through the proxy of the edge ``clients`` → component if one is declared.
        method: HTTP method.
        path: Path template; placeholders are ``{key} {amount_minor} {amount_major} {currency} {index}``,
            names of `data` and names that a setup operation provides.
        headers: Header templates.
        body: Body template, or None; in JSON a string that is one placeholder takes the value's own type.
        outcomes: How answers are read.
        timeout_s: Client deadline of one attempt.
        reference: Dotted path in the answer's body to the system's own id of what was made.
        answer: Dotted paths whose values must be the same in every terminal answer to one key.
        value: Dotted path to a number in the body that an SLO may judge (e.g. an age in seconds).
        setup: True when run once before the load (e.g. login): ``provides`` keeps values of its answer.
        provides: Placeholder name to dotted path in the answer's body, or to ``header:NAME``.
        encoding: ``json`` or ``form``: how the body is sent.
        items: For a look-up that answers with a list: dotted path to the list, ``.`` where the answer is the list.
            ``reference`` is then a path in each item.
    """

    name: str
    component: str
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    outcomes: OutcomeRules = field(default_factory=OutcomeRules)
    timeout_s: float = 2.0
    reference: str | None = None
    answer: tuple[str, ...] = ()
    value: str | None = None
    setup: bool = False
    provides: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "json"
    items: str | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A named source of test data: ``format`` with ``{n}`` counted from 1 to ``count``, or a file, or a query.

    Args:
        name: Its placeholder; with several columns the placeholders are ``NAME.COLUMN``.
        format, count: For a generator.
        file: CSV with a header, JSON lines or plain lines (absolute).
        column: The one column that is meant; dotted path in JSON lines.
        query: SQL, asked of the ledger's database when the load starts.
        columns, rows: What file or query gave; see `load.data`.
    """

    name: str
    format: str = ""
    count: int = 0
    file: Path | None = None
    column: str | None = None
    query: str | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class SettlementSpec:
    """How the settlement file is cut and read.

    Args:
        component: Whose HTTP endpoint it is.
        cut_off: ``METHOD /path`` that closes the current file and answers JSON with ``file`` (its path to fetch).
        file: Path template to fetch the file, ``{file}`` from the cut-off's answer.
        columns: Our name (``key id amount_minor currency``) to the CSV column.
        total_count: First cell of the trailer row that holds the control totals, e.g. ``TOTAL``:
            then the number of rows and the sum in minor units follow.
    """

    component: str
    cut_off: str
    file: str
    columns: Mapping[str, str]
    trailer: str = "TOTAL"


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """Where one table of a REST ledger is read.

    Args:
        path: Path with query; ``{cursor}`` in it stands for what ``next`` gave, and for nothing at first.
        items: Dotted path to the list of rows; ``.``: the answer is the list.
        fields: Our name of a column to the dotted path in a row, or to ``=`` and a constant.
        next: Dotted path to the next page: a path, a URL or a cursor; nothing there ends the list.
        value: For ``busy``: dotted path to the number.
        nested: Dotted path in each item to the list of rows, where these stand in another thing, e.g. entries in their
            payment; ``^.PATH`` in `fields` is then a path in that thing.
    """

    path: str
    items: str = "."
    fields: Mapping[str, str] = field(default_factory=dict)
    next: str | None = None
    value: str | None = None
    nested: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerSpec:
    """How the money is read; absent: nothing but answers is known.

    Args:
        adapter: ``sql``, ``rest`` or ``api``.
        component: ``sql``: the database's component, or None with a driver. ``rest``: who is asked.
        operation: The operation that moves money, e.g. ``authorise``.
        lookup: The operation that reads one payment by key or by the system's own id, e.g. ``lookup``.
        queries: ``sql``: ``payments``, ``entries``, ``balances``, ``busy`` (a number, 0 when quiet): SQL text;
            ``begin``: a statement before them, e.g. one that sets the isolation level.
        settlement: The settlement file, if there is one.
        quiet_within_s: Deadline to become quiet after the load.
        driver: ``sql``: module of a DB-API driver, e.g. ``sqlite3``.
        connect: Keyword arguments of its ``connect``; texts may hold ``{workdir.NAME} {host.NAME} {port.NAME}`` of
            components and ``{env.NAME}`` of pytest's own environment.
        endpoints: ``rest``: as ``queries``.
        headers: ``rest``: header templates, with what set-up operations provide.
        fields: ``api``: our name to the dotted path in a look-up's answer, or to ``=`` and a constant.
        amount: Unit of all amounts: ``minor`` (whole numbers) or ``major`` (decimal text).
        no_effect: Further statuses of payments by which no money moved.
        exclusive: True when nobody but the drill pays; None: when the harness started the system.
        parties: ``debtor`` and ``creditor`` to the placeholder of the operation that is it, as far as declared.
    """

    adapter: str
    component: str | None
    operation: str
    lookup: str | None
    queries: Mapping[str, str]
    settlement: SettlementSpec | None = None
    quiet_within_s: float = 15.0
    driver: str | None = None
    connect: Mapping[str, Any] = field(default_factory=dict, repr=False)
    endpoints: Mapping[str, EndpointSpec] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    amount: str = "minor"
    no_effect: tuple[str, ...] = ()
    exclusive: bool | None = None
    parties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """One ``[environments.NAME]`` table.

    Args:
        name: NAME.
        backend: ``processes`` (the harness starts every component), ``command`` (a command of the team starts the
            system) or ``attach`` (it runs already).
        allowed_hosts: Hosts that may ever be contacted.
        components: By name, in the order of the file.
        edges: Declared edges.
        operations: By name.
        data: By name.
        ledger: The adapter, or None.
        slos: SLO name to overrides, e.g. operation names (see the catalogue in `slo`).
        source: The file that it came from, for messages.
        start: For ``command``: argument vector that starts the system, with placeholders
            ``{python} {workdir} {port.COMPONENT} {edge.SOURCE.TARGET}``.
        stop: For ``command``: argument vector that stops it, or empty.
        variables: For ``command``: environment variables of both.
        stop_within_s: For ``command``: deadline of the stop command.
        toxiproxy: Base URL of a Toxiproxy that the system uses already, or "".
    """

    name: str
    backend: str
    allowed_hosts: tuple[str, ...]
    components: Mapping[str, ComponentSpec]
    edges: tuple[EdgeSpec, ...] = ()
    operations: Mapping[str, OperationSpec] = field(default_factory=dict)
    data: Mapping[str, DataSpec] = field(default_factory=dict)
    ledger: LedgerSpec | None = None
    slos: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = "finchaos.toml"
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    stop_within_s: float = 30.0
    toxiproxy: str = ""
