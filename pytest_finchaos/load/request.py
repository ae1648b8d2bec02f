"""From operation and values to an HTTP request, from an answer to an outcome; for driver and client alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from pytest_finchaos.model import currency, matchers
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome
from pytest_finchaos.model.spec import OperationSpec, OutcomeRules
from pytest_finchaos.runtime import codec

# How an exchange can end. ``refused-connection``: the connection ended before a byte of the request left.
HTTP = "http"
TIMEOUT = "timeout"
RESET = "reset"
REFUSED_CONNECTION = "refused-connection"
MALFORMED = "malformed"
NONE = "none"
DETAILS = (NONE, HTTP, TIMEOUT, RESET, REFUSED_CONNECTION, MALFORMED)

MAJOR = "amount_major"  # the same amount as decimal text, 12.34 for 1234 in EUR
BUILT_IN = ("key", "amount_minor", MAJOR, "currency", "index")  # placeholders that every arrival brings
IN_SETUP = ("key", "index")  # those of a set-up operation
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)\}")
_HEADER = "header:"  # in place of a path: the value stands in a header
_MEDIA_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_CARD_NUMBER = re.compile(r"(?<![0-9A-Za-z-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{4})(?![0-9A-Za-z-])")


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be sent; its values may be secret, so its repr shows none.

    Args:
        method: HTTP method.
        path: Path with query, percent-encoded.
        headers: Name and value pairs, without Host and Content-Length.
        body: JSON or a form, UTF-8, or None.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)

    def wire(self, host: str) -> bytes:
        """The bytes of an HTTP/1.1 request to ``host`` (``name:port``) on a connection that stays open."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body is not None or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body or b'')}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body or b"")


class Reading(NamedTuple):
    """What an answer means: outcome, detail, digest of the reference, digest of the answer, value (see `Attempt`)."""

    outcome: Outcome
    detail: str
    reference: str = ""
    answer: str = ""
    value: float | None = None


def placeholders(operation: OperationSpec) -> frozenset[str]:
    """Names of all placeholders in path, headers and body."""
    texts = [operation.path, *operation.headers.values(), *_texts(operation.body)]
    return frozenset(name for text in texts for name in _PLACEHOLDER.findall(text))


def carries_key(operation: OperationSpec) -> bool:
    """True when the request holds the idempotency key."""
    return "key" in placeholders(operation)


def states_amount(operation: OperationSpec) -> bool:
    """True when the request holds the amount."""
    return not {"amount_minor", MAJOR}.isdisjoint(placeholders(operation))


def safe_to_retry(operation: OperationSpec) -> bool:
    """True for reads and for operations that carry their key; anything else might act twice."""
    return operation.method in ("GET", "HEAD") or carries_key(operation)


def check_template(operation: OperationSpec, allowed: Collection[str], where: str) -> None:
    """Refuse placeholders that nobody fills and literal card numbers.

    Raises:
        UserError: Names the operation and the allowed placeholders.
    """
    for name in sorted(placeholders(operation) - set(allowed)):
        raise UserError(where, f"unknown placeholder {{{name}}}", allowed=sorted(allowed), got=name)
    for text in (operation.path, *operation.headers.values(), *_texts(operation.body)):
        refuse_card_number(text, where)


def refuse_card_number(text: str, where: str) -> None:
    """Refuse a text that holds what may be a real card number (13 to 19 digits that pass the Luhn check).

    Raises:
        UserError: Without repeating the number.
    """
    digits = _card_digits(text)
    if digits:
        raise UserError(
            where,
            f"a value looks like a card number ({digits} digits that pass the Luhn check)",
            cure="use tokens or test identifiers; card numbers are never sent, logged or stored",
        )


def looks_like_card_number(text: str) -> bool:
    """True for what `refuse_card_number` refuses."""
    return _card_digits(text) > 0


def _card_digits(text: str) -> int:
    """How many digits a card number in ``text`` has; 0 without one."""
    for match in _CARD_NUMBER.finditer(text):
        digits = [int(digit) for digit in match.group() if digit.isdigit()]
        doubled = [digit if at % 2 == 0 else sum(divmod(2 * digit, 10)) for at, digit in enumerate(reversed(digits))]
        if sum(doubled) % 10 == 0:
            return len(digits)
    return 0


def _texts(plain: Any) -> list[str]:
    if isinstance(plain, str):
        return [plain]
    if isinstance(plain, Mapping):
        return [text for item in plain.values() for text in _texts(item)]
    if isinstance(plain, list | tuple):
        return [text for item in plain for text in _texts(item)]
    return []


def render(operation: OperationSpec, values: Mapping[str, Any]) -> Request:
    """Fill an operation's templates.

    Args:
        operation: The operation.
        values: Placeholder values. In the path they are percent-encoded; a body string that is exactly one
            placeholder takes the value's own type; elsewhere they are put into the text.

    Returns:
        The request.

    Raises:
        UserError: A placeholder without a value, a value that a header cannot hold, or what may be a card number.
    """
    where = f"operation {operation.name!r}"
    for name, value in values.items():
        if isinstance(value, str) and name not in ("key", "reference"):  # the harness's own, and the system's own
            refuse_card_number(value, f"{where}: {name}")
    path = _fill(operation.path, values, where, lambda value: quote(str(value), safe=""))
    headers = [
        (name, _header(name, _fill(text, values, where, str), where)) for name, text in operation.headers.items()
    ]
    body = None
    if operation.body is not None:
        filled = _fill_body(operation.body, values, where)
        body = (_form(filled, where) if operation.encoding == "form" else codec.dumps(filled)).encode()
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("Content-Type", _MEDIA_TYPES[operation.encoding]))
    return Request(operation.method, path, tuple(headers), body)


def _form(fields: Mapping[str, Any], where: str) -> str:
    """A body of ``application/x-www-form-urlencoded``; a list repeats its field."""
    pairs = []
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping | list) or each is None:
                raise UserError(where, f"field {name!r} of a form must be one text or number, or a list of them")
            pairs.append((name, each if isinstance(each, str) else json.dumps(each)))
    return urlencode(pairs)


def _fill(text: str, values: Mapping[str, Any], where: str, spell: Callable[[Any], str]) -> str:
    return _PLACEHOLDER.sub(lambda match: spell(_value(match.group(1), values, where)), text)


def _value(name: str, values: Mapping[str, Any], where: str) -> Any:
    if name == MAJOR and "amount_minor" in values:
        return currency.major(values["amount_minor"], str(values.get("currency", "")))
    try:
        return values[name]
    except KeyError:
        raise UserError(where, f"unknown placeholder {{{name}}}", allowed=sorted(values), got=name) from None


def _header(name: str, text: str, where: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise UserError(where, f"header {name!r} would hold a character that headers cannot hold")
    return text


def _fill_body(plain: Any, values: Mapping[str, Any], where: str) -> Any:
    if isinstance(plain, str):
        whole = _PLACEHOLDER.fullmatch(plain)
        return _value(whole.group(1), values, where) if whole else _fill(plain, values, where, str)
    if isinstance(plain, Mapping):
        return {name: _fill_body(item, values, where) for name, item in plain.items()}
    if isinstance(plain, list | tuple):
        return [_fill_body(item, values, where) for item in plain]
    return plain


def classify(
    operation: OperationSpec,
    status: int | None,
    detail: str,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
) -> Reading:
    """Read the end of an exchange by the operation's rules.

    Args:
        operation: The operation.
        status: HTTP status, or None without a complete answer.
        detail: One of `DETAILS`: how the exchange ended.
        body: The answer's body, empty without one.
        headers: The answer's headers.

    Returns:
        The reading. What no rule matches is unknown, save a refused connection: nothing was sent, so failed.
        An ok whose body must hold something (a reference, an answer, a value, provided values, a list of items, what a
        rule looks at) and does not parse is malformed.
    """
    if status is None or detail != HTTP:
        return Reading(_by_ending(operation, detail), detail)
    rules = _rules(operation.outcomes)
    in_body = rules.in_body or _reads_body(operation)
    plain = _parsed(body) if in_body else None
    named = {name.lower(): value.strip() for name, value in headers} if rules.in_headers else {}
    outcome = _by_answer(rules, status, named, plain)
    if not in_body:
        return Reading(outcome, HTTP)
    if operation.items is not None:
        reference, whole = None, items_of(plain, operation.items) is not None
    else:
        reference = dig(plain, operation.reference) if operation.reference else None
        whole = plain is not None and not (operation.reference and reference is None)
    if outcome is Outcome.OK and not whole:
        return Reading(_by_ending(operation, MALFORMED), MALFORMED)
    value = dig(plain, operation.value) if operation.value else None
    return Reading(
        outcome,
        HTTP,
        digest_reference(str(reference)) if reference is not None else "",
        _digest_answer(plain, operation.answer) if outcome.terminal else "",
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None,
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """An operation's rules, parsed once: endings, and matchers of answers in groups, the most specific one first."""

    endings: Mapping[str, Outcome]
    groups: tuple[tuple[tuple[matchers.Matcher, Outcome], ...], ...]
    in_body: bool
    in_headers: bool


@lru_cache(maxsize=1024)
def _rules(rules: OutcomeRules) -> _Rules:
    kinds = (
        (Outcome.OK, rules.ok),
        (Outcome.DECLINED, rules.declined),
        (Outcome.REFUSED, rules.refused),
        (Outcome.UNKNOWN, rules.unknown),
    )
    endings: dict[str, Outcome] = {}
    by_rank: dict[tuple[int, int], list[tuple[matchers.Matcher, Outcome]]] = defaultdict(list)
    for outcome, texts in kinds:
        for matcher in map(matchers.parse, texts):
            if matcher.ending:
                endings.setdefault(matcher.ending, outcome)
            else:
                by_rank[matcher.rank].append((matcher, outcome))
    found = [matcher for group in by_rank.values() for matcher, _ in group]
    return _Rules(
        endings,
        tuple(tuple(by_rank[rank]) for rank in sorted(by_rank, reverse=True)),
        in_body=any(matcher.values for matcher in found),
        in_headers=any(matcher.headers for matcher in found),
    )


def _reads_body(operation: OperationSpec) -> bool:
    in_body = any(not path.startswith(_HEADER) for path in operation.provides.values())
    return bool(operation.reference or operation.answer or operation.value or operation.items or in_body)


def _by_ending(operation: OperationSpec, detail: str) -> Outcome:
    """How an exchange without a readable answer is read."""
    unruled = Outcome.FAILED if detail == REFUSED_CONNECTION else Outcome.UNKNOWN
    return _rules(operation.outcomes).endings.get(detail, unruled)


def _by_answer(rules: _Rules, status: int, headers: Mapping[str, str], plain: Any) -> Outcome:
    """What the most specific rules say, e.g. 409 before 4xx; unknown where none matches or they disagree."""
    for group in rules.groups:
        said = {outcome for matcher, outcome in group if matcher.matches(status, headers, plain)}
        if said:
            return said.pop() if len(said) == 1 else Outcome.UNKNOWN
    return Outcome.UNKNOWN


def provided(operation: OperationSpec, body: bytes, headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The values that a set-up operation keeps of its answer.

    Args:
        operation: The operation.
        body: The answer's body.
        headers: The answer's headers.

    Raises:
        UserError: The answer lacks one of them.
    """
    plain = _parsed(body)
    named = {name.lower(): value.strip() for name, value in headers}
    found: dict[str, Any] = {}
    for placeholder, path in operation.provides.items():
        in_header = path.startswith(_HEADER)
        value = named.get(path.removeprefix(_HEADER).lower()) if in_header else dig(plain, path)
        if value is None:
            raise UserError(f"setup operation {operation.name!r}", f"its answer has nothing at {path!r}")
        found[placeholder] = value
    return found


def items_of(plain: Any, path: str) -> list[Any] | None:
    """The list at a dotted path, ``.`` for the answer itself; None where there is none."""
    found = plain if path == "." else dig(plain, path)
    return found if isinstance(found, list) else None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def dig(plain: Any, dotted: str) -> Any:
    """The value at a dotted path, list positions as numbers; None when there is none."""
    found = matchers.find(plain, dotted)
    return None if matchers.missing(found) else found


def digest_reference(reference: str) -> str:
    """blake2b with 16 bytes, hex: how a reference stands in records."""
    return hashlib.blake2b(reference.encode(), digest_size=16).hexdigest()


def _digest_answer(plain: Any, paths: tuple[str, ...]) -> str:
    projection = [dig(plain, path) for path in paths]
    if all(value is None for value in projection):
        return ""  # nothing to compare
    return hashlib.blake2b(json.dumps(projection, sort_keys=True).encode(), digest_size=8).hexdigest()
