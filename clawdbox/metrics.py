"""What the box counts (document 05, section 5.5). Plain numbers; prometheus-client is loaded when someone first asks."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import HistogramMetricFamily, Metric

CONNECT_BUCKETS_MS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 15000.0)
REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Observations in buckets, each by its upper bound; the last bucket has none."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        names = [*(str(bound) for bound in self.bounds), "+Inf"]
        return list(zip(names, (float(count) for count in accumulate(self.counts)), strict=True))


class Metrics:
    """Label values come from the code (route templates, methods, states), never from a request."""

    def __init__(self) -> None:
        self._session_starts = 0
        self._session_errors = 0
        self._connects = Histogram(CONNECT_BUCKETS_MS)
        self._forward_connections: dict[tuple[str, str], int] = {}
        self._forward_in = self._forward_out = 0
        self._notified: dict[tuple[str, str], int] = {}
        self._requests: dict[tuple[str, str, int], int] = {}
        self._latencies: dict[tuple[str, str], Histogram] = {}

    def session_started(self) -> None:
        """A lease was asked for and its dialling began."""
        self._session_starts += 1

    def session_failed(self) -> None:
        """A lease ended in `error`."""
        self._session_errors += 1

    def ssh_connected(self, latency_ms: float) -> None:
        self._connects.observe(latency_ms)

    def forward_connected(self, kind: str, outcome: str) -> None:
        """A connection through a forward was `opened`, `refused` by the server, or there was no link (`lost`)."""
        counter = (kind, outcome)
        self._forward_connections[counter] = self._forward_connections.get(counter, 0) + 1

    def forward_carried(self, bytes_in: int, bytes_out: int) -> None:
        self._forward_in += bytes_in
        self._forward_out += bytes_out

    def notified(self, channel: str, state: str) -> None:
        """An attempt to send through a kind of channel, and the state in which it left the delivery."""
        counter = (str(channel), str(state))
        self._notified[counter] = self._notified.get(counter, 0) + 1

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        counter = (method, route, status)
        self._requests[counter] = self._requests.get(counter, 0) + 1
        histogram = self._latencies.get((method, route))
        if histogram is None:
            histogram = self._latencies[method, route] = Histogram(REQUEST_BUCKETS_S)
        histogram.observe(seconds)

    def render(self, active_sessions: int) -> bytes:
        """The Prometheus text format, from a registry of this box alone."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self, active_sessions))
        return generate_latest(registry)

    def families(self, active_sessions: int) -> "Iterator[Metric]":
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        yield GaugeMetricFamily("active_sessions", "Leases that are active now.", value=active_sessions)
        yield CounterMetricFamily("session_start", "Leases whose dialling began.", value=self._session_starts)
        yield CounterMetricFamily("session_error", "Leases that ended in error.", value=self._session_errors)
        yield _histogram(
            "ssh_connect_latency_ms", "Time until a server had let the box in.", {(): self._connects}
        )
        connections = CounterMetricFamily(
            "forward_connections", "Connections through forwarded ports.", labels=("kind", "outcome")
        )
        for (kind, outcome), count in self._forward_connections.items():
            connections.add_metric([kind, outcome], count)
        yield connections
        carried = CounterMetricFamily(
            "forward_bytes", "Bytes through forwarded ports.", labels=("direction",)
        )
        carried.add_metric(["in"], self._forward_in)
        carried.add_metric(["out"], self._forward_out)
        yield carried
        attempts = CounterMetricFamily(
            "notification_attempts", "Attempts to send a notification.", labels=("channel", "state")
        )
        for (channel, state), count in self._notified.items():
            attempts.add_metric([channel, state], count)
        yield attempts
        requests = CounterMetricFamily(
            "http_requests", "Requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in self._requests.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests
        yield _histogram(
            "http_request_seconds", "Time until a request was answered.", self._latencies, ("method", "route")
        )


class _Collector:
    def __init__(self, metrics: Metrics, active_sessions: int) -> None:
        self._metrics = metrics
        self._active = active_sessions

    def collect(self) -> "Iterator[Metric]":
        return self._metrics.families(self._active)


def _histogram(
    name: str,
    text: str,
    values: "dict[tuple[()], Histogram] | dict[tuple[str, str], Histogram]",
    labels: tuple[str, ...] = (),
) -> "HistogramMetricFamily":
    from prometheus_client.metrics_core import HistogramMetricFamily

    family = HistogramMetricFamily(name, text, labels=labels)
    for key, histogram in values.items():
        family.add_metric(list(key), histogram.cumulative(), histogram.total)
    return family
