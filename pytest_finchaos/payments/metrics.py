"""Counters, gauges and histograms in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from .clock import processor_s

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What one process counts; rendered on request.

    Args:
        prefix: First part of every name.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._counts: dict[tuple[str, str], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}
        self._gauges: dict[str, Callable[[], float]] = {"process_cpu_seconds_total": processor_s}

    def count(self, name: str, labels: str = "", by: int = 1) -> None:
        """Add ``by`` to the counter ``name`` with ``labels`` (already in the form ``a="b"``)."""
        self._counts[name, labels] = self._counts.get((name, labels), 0) + by

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Show what ``read`` returns at the time of asking."""
        self._gauges[f"{self._prefix}_{name}"] = read

    def observe_request(self, endpoint: str, status: int, duration_s: float) -> None:
        """Count one answered request and its duration in seconds."""
        self.count("http_requests_total", f'endpoint="{endpoint}",status="{status}"')
        buckets = self._buckets.setdefault(endpoint, [0] * (len(BOUNDS_S) + 1))
        buckets[bisect_left(BOUNDS_S, duration_s)] += 1
        self._sums_s[endpoint] = self._sums_s.get(endpoint, 0.0) + duration_s

    def render(self) -> str:
        """All of it as text."""
        lines: list[str] = []
        for name in sorted({name for name, _ in self._counts}):
            lines.append(f"# TYPE {self._prefix}_{name} counter")
            for (of, labels), value in sorted(self._counts.items()):
                if of == name:
                    lines.append(
                        f"{self._prefix}_{name}{{{labels}}} {value}" if labels else f"{self._prefix}_{name} {value}"
                    )
        lines.extend(self._histogram())
        for name, read in sorted(self._gauges.items()):
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE {name} {kind}", f"{name} {read():g}"]
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[str]:
        name = f"{self._prefix}_http_request_duration_seconds"
        lines = [f"# TYPE {name} histogram"] if self._buckets else []
        for endpoint, buckets in sorted(self._buckets.items()):
            running = 0
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), buckets, strict=True):
                running += count
                lines.append(f'{name}_bucket{{endpoint="{endpoint}",le="{bound}"}} {running}')
            lines.append(f'{name}_sum{{endpoint="{endpoint}"}} {self._sums_s[endpoint]:.6f}')
            lines.append(f'{name}_count{{endpoint="{endpoint}"}} {running}')
        return lines
