"""From an OpenAPI document to proposed operations: what is in it, nothing guessed about what an answer means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_finchaos.model.errors import UserError

METHODS = ("get", "post", "put", "patch", "delete")
MOST = 30
RESERVED = ("key", "index", "amount_minor", "currency", "reference")  # placeholders that the load fills by itself
DEEPEST = 5
BYTES = 10_000_000
WITHIN_S = 5.0
UNKNOWN = ("5xx", "timeout", "reset", "malformed")
MONEY_PATH = re.compile(r"payment|transfer|charge|authori[sz]|remit|order", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Proposed:
    """One operation of the document.

    Args:
        name: A name for it in finchaos.toml.
        method: HTTP method.
        path: Path; parameters stand as placeholders.
        summary: The document's words.
        headers: Header templates; the idempotency key where the document has one.
        body: Body template, or None.
        outcomes: Outcome to matchers, as far as the document declares answers.
        fill: Placeholders that the user has to declare as data.
    """

    name: str
    method: str
    path: str
    summary: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    outcomes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fill: tuple[str, ...] = ()

    @property
    def keyed(self) -> bool:
        """True when the document knows an idempotency key."""
        return "{key}" in json.dumps([self.path, dict(self.headers), self.body])


def fetch(place: str) -> str:
    """The text of a file, or of a URL that the user gave.

    Raises:
        UserError: It cannot be read.
    """
    if not place.startswith(("http://", "https://")):
        try:
            return Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError("--openapi", f"{place} cannot be read: {error}", cure="name a file or a URL") from None
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(place, headers={"User-Agent": "finchaos"}), timeout=WITHIN_S) as answer:
            text: str = answer.read(BYTES).decode("utf-8")
            return text
    except (URLError, OSError, ValueError) as error:
        raise UserError("--openapi", f"{place} cannot be read: {error}", cure="see that it answers") from None


def parse(text: str, place: str) -> tuple[Proposed, ...]:
    """Every operation of a document, OpenAPI 3 or Swagger 2, JSON or YAML.

    Raises:
        UserError: It is none.
    """
    import yaml

    try:
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError("--openapi", f"{place} is neither JSON nor YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("paths"), Mapping):
        cure = "name the document of the API, with the key paths"
        raise UserError("--openapi", f"{place} is no OpenAPI document", cure=cure)
    prefix = _prefix(document)
    found: dict[str, Proposed] = {}
    for path, item in document["paths"].items():
        for method, operation in _operations(item):
            shared = _list(item.get("parameters"))
            name = _word(str(operation.get("operationId") or f"{method}{path}"))
            proposed = replace(_proposed(document, f"{prefix}{path}", method, operation, shared), name=name)
            found.setdefault(proposed.name, proposed)
    return tuple(found.values())[:MOST]


def plain_reads(proposed: Sequence[Proposed]) -> tuple[str, ...]:
    """Paths of reads that need nothing filled in."""
    return tuple(one.path for one in proposed if one.method == "GET" and not one.fill and not one.keyed)


def payment(proposed: Sequence[Proposed]) -> Proposed | None:
    """The operation that most looks as if it pays: it posts with a key, or to a path that speaks of payments."""
    posts = [one for one in proposed if one.method in ("POST", "PUT")]
    ranked = sorted(posts, key=lambda one: (not one.keyed, MONEY_PATH.search(one.path) is None))
    if ranked and (ranked[0].keyed or MONEY_PATH.search(ranked[0].path)):
        return ranked[0]
    return None


def lookup(proposed: Sequence[Proposed], pays: Proposed) -> Proposed | None:
    """The read of one payment: a GET one level below the paying path."""
    for one in proposed:
        if one.method == "GET" and re.fullmatch(re.escape(pays.path.rstrip("/")) + r"/\{\w+\}", one.path):
            return one
    return None


def _operations(item: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(item, Mapping):
        for method in METHODS:
            if isinstance(item.get(method), Mapping):
                yield method, item[method]


def _prefix(document: Mapping[str, Any]) -> str:
    servers = document.get("servers")
    url = servers[0].get("url", "") if isinstance(servers, list) and servers and isinstance(servers[0], Mapping) else ""
    path = urlsplit(str(url)).path if "{" not in str(url) else ""
    return str(document.get("basePath") or path).rstrip("/")


def _proposed(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], shared: Sequence[Any]
) -> Proposed:
    headers, fill = {}, []
    template = path
    for given in [*shared, *_list(operation.get("parameters"))]:
        parameter = _resolved(document, given)
        name, place = str(parameter.get("name", "")), parameter.get("in")
        if place == "header" and "idempot" in name.lower():
            headers[name] = "{key}"
        elif place == "header" and parameter.get("required"):
            headers[name] = f"{{{_word(name)}}}"
            fill.append(_word(name))
        elif place == "path":
            template = template.replace(f"{{{name}}}", f"{{{_word(name)}}}")
            fill.append(_word(name))
        elif place == "query" and parameter.get("required"):
            template += f"{'&' if '?' in template else '?'}{name}={{{_word(name)}}}"
            fill.append(_word(name))
    body = _body(document, operation)
    return Proposed(
        name="",
        method=method.upper(),
        path=template,
        summary=str(operation.get("summary") or "").strip().split("\n")[0][:100],
        headers=headers,
        body=body,
        outcomes=_outcomes(operation),
        fill=tuple(dict.fromkeys(fill)),
    )


def _outcomes(operation: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    declared = [str(status).lower() for status in operation.get("responses") or ()]
    statuses = [status for status in declared if re.fullmatch(r"[1-5](\d\d|xx)", status)]
    good = tuple(status for status in statuses if status[0] == "2") or ("2xx",)
    declined = tuple(status for status in statuses if status == "402")
    conflict = tuple(status for status in statuses if status == "409")  # in work, or the key was used: nobody can tell
    refused = tuple(status for status in statuses if status[0] == "4" and status not in (*declined, *conflict))
    found = {"ok": good, "declined": declined, "refused": refused or ("4xx",), "unknown": (*conflict, *UNKNOWN)}
    return {name: matchers for name, matchers in found.items() if matchers}


def _body(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    request = _resolved(document, operation.get("requestBody"))
    content = request.get("content")
    if isinstance(content, Mapping):
        media: Any = content.get("application/json") or next(iter(content.values()), {})
        schema = media.get("schema") if isinstance(media, Mapping) else None
    else:  # Swagger 2
        parameters = [_resolved(document, given) for given in _list(operation.get("parameters"))]
        schema = next((given.get("schema") for given in parameters if given.get("in") == "body"), None)
    sample = _sample(document, "", schema, 0) if schema is not None else None
    return sample if isinstance(sample, Mapping) else None


def _sample(document: Mapping[str, Any], name: str, given: Any, depth: int) -> Any:
    schema = _resolved(document, given)
    for part in ("allOf", "oneOf", "anyOf"):
        if _list(schema.get(part)):
            merged = [_resolved(document, one) for one in schema[part][: None if part == "allOf" else 1]]
            properties = {key: value for one in merged for key, value in one.get("properties", {}).items()}
            schema = {**schema, "properties": {**properties, **schema.get("properties", {})}}
    lowered = name.lower()
    if "idempot" in lowered:
        return "{key}"
    if lowered == "currency":
        return "{currency}"
    if "amount" in lowered and schema.get("type") in ("integer", "number"):
        return "{amount_minor}"
    if isinstance(schema.get("properties"), Mapping) and depth < DEEPEST:
        wanted = _list(schema.get("required")) or list(schema["properties"])
        inner = {key: value for key, value in schema["properties"].items() if key in wanted}
        return {str(key): _sample(document, str(key), value, depth + 1) for key, value in inner.items()}
    for key in ("example", "default"):
        if key in schema:
            return schema[key]
    if _list(schema.get("enum")):
        return schema["enum"][0]
    return {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(str(schema.get("type")), "text")


def _resolved(document: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
    """A part of the document, followed through local references."""
    for _ in range(DEEPEST):
        if not isinstance(given, Mapping):
            return {}
        reference = given.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return given
        given = document
        for part in reference[2:].split("/"):
            given = given.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(given, Mapping) else {}
    return {}


def _list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _word(text: str) -> str:
    """A name that may stand in finchaos.toml and in braces."""
    word = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40].strip("_")
    return word if word and word[0].isalpha() and word not in RESERVED else f"p_{word}"[:40]
