"""Client of a Toxiproxy server, over ``toxiproxy-python``, whose faults are mended here.

The library keeps host and port on a class (one server per process), sets no deadlines, lets 5xx pass as
success and obeys ``HTTP_PROXY``. Here each client owns a subclass of the library's consumer, so that its class
attributes are its own; every call has a deadline and every other status than 2xx raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from pytest_finchaos.model.errors import UserError

NO_ENVIRONMENT_PROXY = {"http": None, "https": None, "all": None}
DEFAULT_PORT = 8474


class ProxyError(UserError):
    """The Toxiproxy server could not be reached or said no.

    Args:
        url: What was called.
        status: HTTP status, 0 when there was no answer.
        text: The server's own words.
        cure: What to do next.
    """

    def __init__(self, url: str, status: int, text: str, *, cure: str | None = None) -> None:
        self.url = url
        self.status = status
        self.text = text
        said = f"status {status}: {text}" if status else text
        super().__init__(f"Toxiproxy at {url}", said, cure=cure)


@dataclass(frozen=True, slots=True)
class ToxicState:
    """A toxic as the server reports it; ``kind`` is the API's ``type``."""

    name: str
    kind: str
    stream: str
    toxicity: float
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy as the server reports it; ``listen`` is the resolved ``host:port``."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...] = ()


class ToxiproxyClient:
    """One server's API.

    Args:
        url: ``http://host:port``; without a port 8474 is meant.
        timeout_s: Deadline of each call, seconds.

    Raises:
        UserError: When ``url`` is no plain HTTP base URL.
    """

    def __init__(self, url: str, timeout_s: float = 2.0) -> None:
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._consumer = _consumer_of(self.url)

    def version(self) -> str:
        """The server's version, e.g. ``2.12.0``; 2.5 and older answer ``git``."""
        plain = self._call("get", "/version")
        return str(plain.get("version", "")) if isinstance(plain, Mapping) else str(plain)

    def proxies(self) -> Mapping[str, ProxyState]:
        """Every proxy by name, with its toxics."""
        plain = self._call("get", "/proxies")
        if not isinstance(plain, Mapping):
            raise ProxyError(f"{self.url}/proxies", 200, f"expected an object of proxies, got {plain!r:.80}")
        return {name: self._proxy(proxy) for name, proxy in plain.items()}

    def proxy(self, name: str) -> ProxyState:
        """One proxy.

        Raises:
            ProxyError: Status 404 when it does not exist.
        """
        return self._proxy(self._call("get", f"/proxies/{_quoted(name)}"))

    def create(self, name: str, listen: str, upstream: str) -> ProxyState:
        """A new proxy; ``listen`` may end in ``:0``, the answer holds the real port.

        Raises:
            ProxyError: Status 409 when the name is taken, 500 when the port is.
        """
        body = {"name": name, "listen": listen, "upstream": upstream, "enabled": True}
        return self._proxy(self._call("post", "/proxies", body))

    def delete(self, name: str) -> None:
        """Remove a proxy with its connections."""
        self._call("delete", f"/proxies/{_quoted(name)}")

    def set_enabled(self, name: str, enabled: bool) -> ProxyState:
        """Open or close the proxy's listener; closing ends its connections."""
        return self._proxy(self._call("post", f"/proxies/{_quoted(name)}", {"enabled": enabled}))

    def add_toxic(  # noqa: PLR0917 - the API's own fields, in its order
        self,
        proxy: str,
        name: str,
        kind: str,
        stream: str,
        toxicity: float,
        attributes: Mapping[str, Any],
    ) -> ToxicState:
        """A new toxic at the end of the chain of ``stream`` (``upstream``: client to server).

        Args:
            proxy: Name of the proxy.
            name: Name of the toxic.
            kind: ``latency``, ``bandwidth``, ``timeout``, ``reset_peer``, ``slow_close``, ``slicer``, ``limit_data``.
            stream: ``upstream`` or ``downstream``.
            toxicity: Share of connections that it touches, 0 to 1.
            attributes: As the API documents them for ``kind``.
        """
        body = {"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": dict(attributes)}
        return self._toxic(self._call("post", f"/proxies/{_quoted(proxy)}/toxics", body))

    def update_toxic(
        self, proxy: str, toxic: str, *, attributes: Mapping[str, Any] | None = None, toxicity: float | None = None
    ) -> ToxicState:
        """Change attributes (merged) or toxicity of a toxic; what is None stays."""
        body: dict[str, Any] = {}
        if attributes is not None:
            body["attributes"] = dict(attributes)
        if toxicity is not None:
            body["toxicity"] = toxicity
        return self._toxic(self._call("post", f"/proxies/{_quoted(proxy)}/toxics/{_quoted(toxic)}", body))

    def remove_toxic(self, proxy: str, toxic: str) -> None:
        """Remove a toxic.

        Raises:
            ProxyError: Status 404 when it or its proxy does not exist.
        """
        self._call("delete", f"/proxies/{_quoted(proxy)}/toxics/{_quoted(toxic)}")

    def reset(self) -> None:
        """Enable every proxy and remove every toxic of the whole server."""
        self._call("post", "/reset", {})

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        import requests
        from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

        url = self.url + path
        options: dict[str, Any] = {
            "timeout": self.timeout_s,
            "proxies": NO_ENVIRONMENT_PROXY,
            "allow_redirects": False,
            "headers": {"User-Agent": "finchaos"},
        }
        if body is not None:
            options["json"] = body
        try:
            response = getattr(self._consumer, method)(path, **options)
        except (InvalidToxic, NotFound, ProxyExists) as error:
            status = {InvalidToxic: 400, NotFound: 404, ProxyExists: 409}[type(error)]
            raise ProxyError(url, status, _said(error.args[0] if error.args else b"")) from None
        except requests.Timeout:
            cure = "see what the server is doing; a real Toxiproxy can hang while it removes a toxic under traffic"
            raise ProxyError(url, 0, f"no answer within {self.timeout_s:g} s", cure=cure) from None
        except requests.RequestException as error:
            raise ProxyError(url, 0, f"not reachable: {_cause(error)}", cure=_unreachable_cure(self.url)) from None
        if not 200 <= response.status_code < 300:
            raise ProxyError(url, response.status_code, _said(response.content))
        if not response.content:
            return {}
        try:
            return response.json()
        except ValueError:
            cure = "point TOXIPROXY_URL at a Toxiproxy; something else answers there"
            raise ProxyError(url, response.status_code, f"no JSON: {_said(response.content)}", cure=cure) from None

    def _proxy(self, plain: Any) -> ProxyState:
        try:
            toxics = tuple(self._toxic(toxic) for toxic in plain.get("toxics") or ())
            return ProxyState(
                str(plain["name"]), str(plain["listen"]), str(plain["upstream"]), bool(plain["enabled"]), toxics
            )
        except (AttributeError, KeyError, TypeError):
            raise ProxyError(self.url, 200, f"not a proxy: {plain!r:.120}") from None

    def _toxic(self, plain: Any) -> ToxicState:
        try:
            return ToxicState(
                str(plain["name"]),
                str(plain["type"]),
                str(plain["stream"]),
                float(plain["toxicity"]),
                dict(plain.get("attributes") or {}),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ProxyError(self.url, 200, f"not a toxic: {plain!r:.120}") from None


def _consumer_of(url: str) -> Any:
    """A consumer class of this server alone: the library reads host and port from its class."""
    from toxiproxy.api import APIConsumer

    cure = "write it as http://HOST:PORT"
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise UserError("Toxiproxy URL", f"{url!r} is no base URL of a Toxiproxy server", cure=cure)
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise UserError("Toxiproxy URL", f"{url!r} has no usable port", cure=cure) from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return type("Consumer", (APIConsumer,), {"host": host, "port": port})


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _said(content: bytes | str) -> str:
    """The server's words: the ``error`` of its JSON, else its text, shortened."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    try:
        plain = json.loads(text)
    except ValueError:
        plain = None
    if isinstance(plain, dict) and "error" in plain:
        text = str(plain["error"])
    return " ".join(text.split())[:300] or "no text"


def _cause(error: BaseException) -> str:
    """The innermost reason of a chain of wrapped transport errors."""
    seen: BaseException = error
    while True:
        deeper = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__
        if not isinstance(deeper, BaseException) or deeper is seen:
            break
        seen = deeper
    return str(getattr(seen, "strerror", None) or seen)[:200]


def _unreachable_cure(url: str) -> str:
    return f"start a Toxiproxy that listens at {url}, or unset TOXIPROXY_URL so that one is started for the environment"
