"""Metrics in the format of Prometheus: requests by route, flows and nodes by status.

Names and labels of requests are the reference's (``metrics/define.go``).  Flows and
nodes are gauges, what there is now: the reference's ``work_flow_total`` and
``work_flow_node_total`` count changes of status, some of them twice.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wfsim.http.live import FlowCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NO_ROUTE = "none"
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends in real seconds: those of Prometheus's client for Go."""

Request: TypeAlias = tuple[str, str, str]
"""Handler (a route's path), method, HTTP status."""


class RequestMetrics:
    """The requests that were answered, by route, method and HTTP status.

    A route is named by its path as the application has it, so that ids make no series
    of their own; an answer without a route is under ``none``, an unusual method under
    ``other``.
    """

    def __init__(self) -> None:
        self._answered: Counter[Request] = Counter()
        self._seconds: dict[Request, float] = {}
        self._buckets: dict[Request, list[int]] = {}

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer that took so many real *seconds*."""
        request = (route, method if method in METHODS else "other", str(status))
        self._answered[request] += 1
        self._seconds[request] = self._seconds.get(request, 0.0) + seconds
        buckets = self._buckets.setdefault(request, [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, seconds)] += 1

    def text(self, counts: FlowCounts) -> bytes:
        """Return all metrics, with *counts* of the flows as they are now."""
        registry = CollectorRegistry()
        registry.register(_Families([*self.families(), *_flow_families(counts)]))
        return generate_latest(registry)

    def families(self) -> Iterator[Metric]:
        """Yield the counts of requests, those of errors, and the seconds."""
        labels = ["service", "handler", "method", "code"]
        requests = CounterMetricFamily(
            "em_http_requests_total", "Requests that were answered.", labels=labels
        )
        errors = CounterMetricFamily(
            "em_http_errors_total",
            "Requests that were answered with 400 or above.",
            labels=labels,
        )
        seconds = HistogramMetricFamily(
            "em_http_request_duration_seconds",
            "Real seconds from a request's head to the end of its answer.",
            labels=labels,
        )
        for request, number in sorted(self._answered.items()):
            values = ("openapi-server", *request)
            requests.add_metric(values, number)
            if request[2] >= "400":
                errors.add_metric(values, number)
            buckets, total = [], 0
            ends = (*map(str, BUCKETS), "+Inf")
            for end, count in zip(ends, self._buckets[request], strict=True):
                total += count
                buckets.append((end, total))
            seconds.add_metric(values, buckets, self._seconds[request])
        yield from (requests, errors, seconds)


class CountedAnswers:
    """Counts in *metrics* what *app* answers, by the clock of the event loop."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        start = clock()
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            # Without an answer the client left before its request was whole.
            if status:
                seconds = clock() - start
                self._metrics.count(_route(scope), scope["method"], status, seconds)


def _route(scope: Scope) -> str:
    """Return the path of the request with its parameters by their names."""
    if "route" not in scope:
        return NO_ROUTE
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}")
    return path


def _flow_families(counts: FlowCounts) -> Iterator[Metric]:
    about = ["service", "biz_type", "flow_name"]
    flows = GaugeMetricFamily(
        "em_work_flows", "Flows by status.", labels=[*about, "flow_status"]
    )
    nodes = GaugeMetricFamily(
        "em_work_flow_nodes",
        "Nodes that were begun, by status.",
        labels=[*about, "flow_node", "flow_node_status"],
    )
    for flow, number in sorted(counts.flows.items()):
        flows.add_metric(("cluster-server", *flow), number)
    for node, number in sorted(counts.nodes.items()):
        nodes.add_metric(("cluster-server", *node), number)
    yield from (flows, nodes)


class _Families:
    """What a registry collects from."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)
