"""Values of the environment for an experiment's configuration: addresses, names of proxies, the Toxiproxy API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_finchaos.environments.placeholders import fill
from pytest_finchaos.experiments.spec import ExperimentSpec

if TYPE_CHECKING:
    from pytest_finchaos.environments.environment import Environment

_TOXIPROXY = ("toxiproxy_url", "toxiproxy_host", "toxiproxy_port")
_PACKAGE = "chaostoxi"  # the package of chaostoolkit-toxiproxy


def places(environment: Environment) -> dict[str, str]:
    """What placeholders stand for.

    Returns:
        ``url.COMPONENT`` and ``address.COMPONENT`` (as clients reach it), ``proxy.SOURCE.TARGET`` (its name in the
        Toxiproxy API), ``toxiproxy`` (the base URL of that API).
    """
    found = {"toxiproxy": environment.toxiproxy_url}
    for name, component in environment.spec.components.items():
        if component.kind == "postgres":
            found[f"address.{name}"] = environment.direct_address(name)
            continue
        url = environment.base_url(name)
        found[f"url.{name}"], found[f"address.{name}"] = url, urlsplit(url).netloc
    found.update({f"proxy.{edge.source}.{edge.target}": edge.proxy for edge in environment.edges()})
    return found


def place_names(components: Mapping[str, str], edges: list[tuple[str, str]]) -> list[str]:
    """The placeholders that an environment has, from its description alone: component → kind, (source, target)."""
    urls = [f"url.{name}" for name, kind in components.items() if kind != "postgres"]
    addresses = [f"address.{name}" for name in components]
    return ["toxiproxy", *urls, *addresses, *(f"proxy.{source}.{target}" for source, target in edges)]


def configuration(spec: ExperimentSpec, filled: Mapping[str, str], toxiproxy: str) -> dict[str, Any]:
    """Values that take the place of those in the file.

    Args:
        spec: The file.
        filled: Placeholder → value.
        toxiproxy: Base URL of the Toxiproxy that the experiment may use, or "".

    Raises:
        UserError: Unknown placeholder.
    """
    where = f"{spec.path.name}: extension finchaos: configuration"
    given: dict[str, Any] = {}
    if toxiproxy and wants_toxiproxy(spec):
        parts = urlsplit(toxiproxy)
        given = dict(zip(_TOXIPROXY, (toxiproxy, parts.hostname, parts.port), strict=True))
    for key, value in spec.extension.configuration.items():
        given[key] = fill(value, filled, f"{where}.{key}") if isinstance(value, str) else value
    return given


def wants_toxiproxy(spec: ExperimentSpec) -> bool:
    """True when the file configures a Toxiproxy, or uses the extension that needs one."""
    configured = spec.document.get("configuration") or {}
    if any(key in configured for key in _TOXIPROXY):
        return True
    providers = (activity.get("provider") for activity in spec.activities)
    modules = (str(provider.get("module", "")) for provider in providers if isinstance(provider, Mapping))
    return any(module.partition(".")[0] == _PACKAGE for module in modules)


def with_configuration(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the experiment with these values in its configuration."""
    done: dict[str, Any] = json.loads(json.dumps(document))
    if given:
        done["configuration"] = {**(done.get("configuration") or {}), **given}
    return done


def toxiproxy_variables(url: str) -> dict[str, str]:
    """Variables by which tools find a Toxiproxy."""
    if not url:
        return {}
    parts = urlsplit(url)
    return {"TOXIPROXY_URL": url, "TOXIPROXY_HOST": parts.hostname or "", "TOXIPROXY_PORT": str(parts.port or 8474)}
