"""Asks a system, kindly, where it says that it is well: a handful of reads with short deadlines, one host."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pytest_finchaos.model.errors import UserError

BUILD_FIELDS = ("build", "version", "revision", "commit", "git_sha", "gitCommit")
HEALTH = ("/ready", "/readyz", "/health", "/healthz", "/status")
WITHIN_S = 2.0
MORE = 5  # further reads that a document of the system proposes
BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Target:
    """Where a system answers.

    Args:
        host: Name or address.
        port: TCP port.
        prefix: Path in front of every other one, "" or ``/…``.
    """

    host: str
    port: int
    prefix: str = ""

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one read brought.

    Args:
        path: What was asked for.
        status: HTTP status, 0 without an answer.
        problem: Why there was none.
        build: Field of its JSON body that says which build serves, "" without one.
    """

    path: str
    status: int
    problem: str = ""
    build: str = ""

    @property
    def well(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the answers lead to.

    Args:
        ready: Path that says when the system is ready, or None: then its port must accept.
        read: Path of the first drill's operation.
        ok: Statuses that count as good there.
        doubt: What the user should look at, "" when nothing.
        identity: Path and field that say which build serves, or None.
    """

    ready: str | None
    read: str
    ok: tuple[str, ...] = ("2xx",)
    doubt: str = ""
    identity: tuple[str, str] | None = None


def target_of(url: str) -> Target:
    """The target that a URL names.

    Raises:
        UserError: Not ``http://HOST[:PORT][/PREFIX]``.
    """
    cure = "write it as http://HOST:PORT, e.g. http://127.0.0.1:8080"
    if "://" not in url:
        raise UserError("--url", f"{url!r} has no scheme", cure=cure)
    parts = urlsplit(url)
    if parts.scheme == "https":
        raise UserError("--url", "https is not spoken: drills act on the plain connection behind it", cure=cure)
    try:
        port = parts.port or 80
        name = parts.hostname or ""
    except ValueError:
        raise UserError("--url", f"{url!r} has no usable port", cure=cure) from None
    if parts.scheme != "http" or not name or ":" in name or parts.username or parts.query or parts.fragment:
        raise UserError("--url", f"{url!r} is no base URL of an HTTP service", cure=cure)
    return Target(name, port, parts.path.rstrip("/"))


def ask(target: Target, further: Sequence[str] = ()) -> tuple[Answer, ...]:
    """Read ``/``, the usual health paths and a few that the system's own document names; redirects are not followed."""
    paths = dict.fromkeys(["/", *HEALTH, *further[:MORE]])
    answers = []
    for path in paths:
        answers.append(read(target, f"{target.prefix}{path}" if target.prefix else path))
        if answers[-1].status == 0 and len(answers) == 1:
            break  # nobody is there: no need to ask five times more
    return tuple(answers)


def read(target: Target, path: str) -> Answer:
    """One GET."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=WITHIN_S)
    try:
        connection.request("GET", path, headers={"User-Agent": "finchaos", "Accept": "*/*", "Connection": "close"})
        response = connection.getresponse()
        body = response.read(BODY_BYTES)
        return Answer(path, response.status, build=build_field(body))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(path, 0, str(error) or type(error).__name__)
    finally:
        connection.close()


def build_field(body: bytes) -> str:
    """The field of a JSON object that names a build, in the words that services use for it."""
    try:
        plain = json.loads(body)
    except ValueError:
        return ""
    texts = plain if isinstance(plain, dict) else {}
    return next((name for name in BUILD_FIELDS if isinstance(texts.get(name), str) and texts[name]), "")


def choose(answers: Iterable[Answer], prefix: str = "") -> Chosen:
    """From answers to readiness and a read, pure: what a document names first, then ``/``, then a health path."""
    by_path = {answer.path: answer for answer in answers}
    top = f"{prefix}/" if prefix else "/"
    health = [f"{prefix}{path}" for path in HEALTH]
    well = [path for path, answer in by_path.items() if answer.well]
    ready = next((path for path in [*health, top] if path in well), None)
    named = [path for path in well if path not in (top, *health)]
    identity = next(((path, by_path[path].build) for path in well if by_path[path].build), None)
    if well:
        read_path = next(iter([*named, *(path for path in (top, ready) if path in well)]))
        return Chosen(ready, read_path, identity=identity)
    answered = [answer for answer in by_path.values() if 0 < answer.status < 500]
    if answered:
        first = answered[0]
        doubt = f"no path that was tried answers 2xx, {first.path} answers {first.status}: name a read of your own"
        return Chosen(None, first.path, ("2xx", str(first.status)), doubt)
    seen = ", ".join(f"{answer.path} {answer.status or answer.problem}" for answer in by_path.values())
    return Chosen(None, top, doubt=f"nothing answered well ({seen or 'nothing was asked'}): name a read of your own")
