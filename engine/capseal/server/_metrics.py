"""Prometheus metrics, in a registry of their own."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))


class Metrics:
    """The server's counters; labels come from routes and classes only, never from what a client wrote."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "capseal_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "capseal_request_seconds",
            "Time from a request's head to the end of its response.",
            ("route",),
            buckets=(0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600),
            registry=self.registry,
        )
        self.sent = Counter("capseal_sent_bytes", "Payload bytes sent.", registry=self.registry)
        self.received = Counter("capseal_received_bytes", "Payload bytes received.", registry=self.registry)
        self.rejected = Counter("capseal_rejected", "Bundles rejected.", ("error",), registry=self.registry)
        self.aborted = Counter(
            "capseal_aborted_reads", "Responses aborted because the storage failed.", ("error",), registry=self.registry
        )
        self.refused = Counter(
            "capseal_refused",
            "Connections and requests that there was no room for.",
            ("limit",),
            registry=self.registry,
        )
        self.uploading = Gauge("capseal_uploading", "Requests that are sending payload.", registry=self.registry)
        self.stored = Gauge(
            "capseal_stored_bytes", "Payloads in the storage, when it was listed last.", registry=self.registry
        )
        self.writable = Gauge(
            "capseal_storage_writable",
            "0 from a failed write of the storage to the next good one.",
            registry=self.registry,
        )
        self.writable.set(1)
        self.storage_seconds = Histogram(
            "capseal_storage_seconds",
            "Time that a call of the storage took, failed ones too.",
            ("call",),
            buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 30),
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.releases = Gauge("capseal_releases", "Releases that are published.", registry=self.registry)
        # To find what the same labels count costs more than to count. There are as many as the registry has anyway.
        self._requests_of = cache(self.requests.labels)
        self._seconds_of = cache(self.seconds.labels)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. method: as the client wrote it, which may be anything; route: the path of a route."""
        self._requests_of(method if method in _METHODS else "other", route, status).inc()
        self._seconds_of(route).observe(seconds)

    def storage_answered(self, call: str, seconds: float) -> None:
        """Measure a call of the storage."""
        self.storage_seconds.labels(call.lstrip("_")).observe(seconds)

    def no_room(self, limit: str) -> None:
        """Count a client that was refused. limit: the setting that leaves no room."""
        self.refused.labels(limit).inc()

    def text(self) -> bytes:
        """Return the metrics in the text format."""
        return generate_latest(self.registry)
