"""Merged figures as the page that is collected, in the text format of Prometheus or in OpenMetrics."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from itertools import accumulate

from attrs import frozen
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from oauthd import __version__
from oauthd.metrics.families import FAMILIES, WHOLE, WORKER, Family
from oauthd.metrics.merging import Samples, Series


def page(samples: Samples, workers: int, accept: str = "") -> tuple[bytes, str]:
    """The page and its media type.

    :param workers: how many processes serve.
    :param accept: what the collector says it can read.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(samples, workers))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


@frozen(eq=False)
class _Merged(Collector):
    """Figures as the library takes them."""

    samples: Samples
    workers: int

    def collect(self) -> Iterable[Metric]:
        """One family after the other."""
        whole: Samples = {
            "oauthd_workers": {(): self.workers},
            "oauthd_workers_replaced_total": {(): 0},  # nobody takes the place of one that serves alone
            "oauthd_build_info": {(__version__, platform.python_version()): 1},
        }
        for family in (*FAMILIES, *WHOLE):
            yield _metric(family, {**whole, **self.samples}.get(family.name, {}))


def _metric(family: Family, series: Series) -> Metric:
    labels = (*family.labels, WORKER) if family.apart else family.labels
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=labels)
        for values, counts in series.items():
            assert isinstance(counts, list)  # noqa: S101 - so are the values of histograms
            histogram.add_metric(values, list(_buckets(family.bounds, counts[:-1])), counts[-1])
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=labels)
    for values, value in series.items():
        metric.add_metric(values, value)  # type: ignore[arg-type]
    return metric


def _buckets(bounds: Iterable[float], counts: Iterable[float]) -> Iterator[tuple[str, float]]:
    """Upper bounds as text, and how many there were up to each."""
    return zip((*map(floatToGoString, bounds), "+Inf"), accumulate(counts), strict=True)
