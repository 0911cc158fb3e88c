"""One Prometheus registry for the process, and the names every metric begins with.

Labels are from small closed sets, never user text, ids or addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

PREFIX = "palabre_"
REGISTRY = CollectorRegistry()


def counter(name: str, help_text: str, labels: Iterable[str] = ()) -> Counter:
    """`palabre_<name>_total`."""
    return Counter(PREFIX + name, help_text, tuple(labels), registry=REGISTRY)


def gauge(name: str, help_text: str, labels: Iterable[str] = ()) -> Gauge:
    return Gauge(PREFIX + name, help_text, tuple(labels), registry=REGISTRY)


def histogram(name: str, help_text: str, buckets: Iterable[float]) -> Histogram:
    return Histogram(PREFIX + name, help_text, buckets=tuple(buckets), registry=REGISTRY)


class _Counts(Collector):
    def __init__(self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._help, self._label, self._read = name, help_text, label, read

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(PREFIX + self._name, self._help, labels=[self._label])
        for value, count in self._read().items():
            family.add_metric([value], count)
        return [family]


def expose_counts(name: str, help_text: str, label: str, read: Callable[[], Mapping[str, int]]) -> Callable[[], None]:
    """Expose counters that live elsewhere, such as the packet path's drops by reason. Returns how to take them back."""
    collector = _Counts(name, help_text, label, read)
    REGISTRY.register(collector)
    return lambda: REGISTRY.unregister(collector)


def exposition() -> bytes:
    """The text format that Prometheus scrapes."""
    return generate_latest(REGISTRY)
