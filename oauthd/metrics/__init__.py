"""Layer 1: what is counted (`counts`), how it is called and shown (`families`), and how processes add up (`merging`).

Parts count in plain numbers that they are handed; nothing is computed before somebody asks. Knows neither the reactor
nor any metrics library: `oauthd.runtime` reads, merges and writes the page.
"""

from oauthd.metrics.counts import (
    CacheCounts,
    Counts,
    EventCounts,
    Histogram,
    IntrospectionCounts,
    InvalidationCounts,
    LaneCounts,
    LimitCounts,
    LoopCounts,
    PoolFacts,
    ProofFacts,
    RequestCounts,
    StatusListCounts,
    StoreCounts,
)

__all__ = [
    "CacheCounts",
    "Counts",
    "EventCounts",
    "Histogram",
    "IntrospectionCounts",
    "InvalidationCounts",
    "LaneCounts",
    "LimitCounts",
    "LoopCounts",
    "PoolFacts",
    "ProofFacts",
    "RequestCounts",
    "StatusListCounts",
    "StoreCounts",
]
