"""What Envoy is told: a fixed bootstrap, and routes in a file that is replaced whole. Pure.

A request goes by the hash of its arrival header, else of the idempotency key's header, else at random. The new version
stands first in the weights, whose sum stays the same: while its weight grows, what goes to it keeps going to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_finchaos.runtime import codec

HOST = "127.0.0.1"
ARRIVAL_HEADER = "X-Finchaos-Arrival"  # names the arrival in the load plan; taken off before the system sees it
ARRIVAL = "arrival"
SCOPE = "finchaos"  # namespace of our metadata in Envoy
TABLE = "versions"  # name of the route table
WHOLE = 10_000  # weights are hundredths of a percent
MOST = 1_000_000  # Envoy's own limits must not be what a drill finds
UPSTREAM_IDLE_S = 2  # common servers close idle connections after 5 s; older ones are not used again
_TYPE = "type.googleapis.com/envoy"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A version that can be routed to.

    Args:
        version: Its name.
        port: Where it listens on 127.0.0.1.
        digest: Its component digest.
    """

    version: str
    port: int
    digest: str


@dataclass(frozen=True, slots=True)
class Weights:
    """Who gets how much.

    Args:
        number: 1, 2, 3, … in the order of the changes of one environment.
        stable: The version that gets the rest.
        canary: The version that gets ``share``, or "".
        share: 0 to 1, in steps of one hundredth of a percent.
    """

    number: int
    stable: str
    canary: str = ""
    share: float = 0.0

    @property
    def parts(self) -> int:
        """The canary's weight, of `WHOLE`."""
        return round(self.share * WHOLE) if self.canary else 0

    @property
    def label(self) -> str:
        """As it stands in every line of the router's log: number and the canary's weight."""
        return f"{self.number}/{self.parts}"

    def of(self, version: str) -> float:
        """The share of one version."""
        if version == self.canary:
            return self.parts / WHOLE
        return 1.0 - self.parts / WHOLE if version == self.stable else 0.0


def share_of_label(label: str) -> float | None:
    """The canary's share that a log line's route label states, or None when it states none."""
    number, slash, parts = label.partition("/")
    return int(parts) / WHOLE if slash and number.isdigit() and parts.isdigit() else None


def routes(weights: Weights, key_headers: Sequence[str] = ()) -> str:
    """The file of routes for some weights.

    Args:
        weights: Who gets how much.
        key_headers: Headers that carry the idempotency key as the clients send it.
    """
    shares = [(weights.canary, weights.parts), (weights.stable, WHOLE - weights.parts)]
    table = {
        "@type": f"{_TYPE}.config.route.v3.RouteConfiguration",
        "name": TABLE,
        "request_headers_to_remove": [ARRIVAL_HEADER.lower()],
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {
                        "name": weights.label,
                        "match": {"prefix": "/"},
                        "route": {
                            "weighted_clusters": {
                                "clusters": [{"name": name, "weight": weight} for name, weight in shares if weight],
                                "use_hash_policy": True,
                            },
                            "hash_policy": [
                                {"header": {"header_name": name.lower()}, "terminal": True}
                                for name in (ARRIVAL_HEADER, *key_headers)
                            ],
                            "timeout": "0s",  # deadlines are the clients'
                        },
                    }
                ],
            }
        ],
    }
    return codec.dumps({"version_info": str(weights.number), "resources": [table]})


def bootstrap(*, entry_port: int, admin_port: int, upstreams: Sequence[Upstream], routes_file: str, log: str) -> str:
    """What Envoy is started with.

    Args:
        entry_port: Where clients reach the component.
        admin_port: Where the harness asks Envoy.
        upstreams: Every version that may ever be routed to.
        routes_file: File of `routes`; it must exist when Envoy starts.
        log: File of its access log.
    """
    return codec.dumps(
        {
            "node": {"id": "finchaos", "cluster": "finchaos"},
            "admin": {"address": _address(admin_port)},
            "static_resources": {
                "listeners": [
                    {
                        "name": "entry",
                        "address": _address(entry_port),
                        "filter_chains": [{"filters": [_manager(routes_file, log)]}],
                    }
                ],
                "clusters": [_cluster(upstream) for upstream in upstreams],
            },
            "overload_manager": {
                "resource_monitors": [
                    {
                        "name": "envoy.resource_monitors.global_downstream_max_connections",
                        "typed_config": {
                            "@type": f"{_TYPE}.extensions.resource_monitors"
                            ".downstream_connections.v3.DownstreamConnectionsConfig",
                            "max_active_downstream_connections": MOST,
                        },
                    }
                ]
            },
        }
    )


def _address(port: int) -> Mapping[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _manager(routes_file: str, log: str) -> Mapping[str, Any]:
    http = f"{_TYPE}.extensions.filters.http"
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "entry",
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "stream_idle_timeout": "0s",
            "rds": {
                "route_config_name": TABLE,
                "config_source": {"path_config_source": {"path": routes_file}, "resource_api_version": "V3"},
            },
            "http_filters": [
                {
                    "name": "envoy.filters.http.header_to_metadata",
                    "typed_config": {
                        "@type": f"{http}.header_to_metadata.v3.Config",
                        "request_rules": [
                            {
                                "header": ARRIVAL_HEADER.lower(),
                                "on_header_present": {"metadata_namespace": SCOPE, "key": ARRIVAL},
                            }
                        ],
                    },
                },
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{http}.router.v3.Router", "suppress_envoy_headers": True},
                },
            ],
            "access_log": [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {
                        "@type": f"{_TYPE}.extensions.access_loggers.file.v3.FileAccessLog",
                        "path": log,
                        "log_format": {"json_format": LINE},
                    },
                }
            ],
        },
    }


LINE: Mapping[str, str] = {  # no key, no token: an arrival is named by its place in the plan
    "started": "%START_TIME(%s.%9f)%",
    "duration_ms": "%DURATION%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "arrival": f"%DYNAMIC_METADATA({SCOPE}:{ARRIVAL})%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "version": "%UPSTREAM_CLUSTER_RAW%",
    "digest": f"%UPSTREAM_METADATA({SCOPE}:digest)%",
    "host": "%UPSTREAM_HOST%",
    "weights": "%ROUTE_NAME%",
}


def _cluster(upstream: Upstream) -> Mapping[str, Any]:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), MOST)
    endpoint = {
        "endpoint": {"address": _address(upstream.port)},
        "metadata": {"filter_metadata": {SCOPE: {"digest": upstream.digest}}},
    }
    return {
        "name": upstream.version,
        "type": "STATIC",
        "connect_timeout": "1s",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_S}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": upstream.version,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }
