"""The table of all metrics: name, type, help, labels, and how each is read from the counts of a process.

Names and types are those of the Prometheus exposition format: a counter only grows and its name ends in `_total`, a
histogram counts in buckets, a gauge goes up and down. Times are in seconds. No label holds what a caller has chosen:
each comes from a table of ours (routes, statuses, events, grant types), so that nobody can make more of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from attrs import frozen

from oauthd.metrics.counts import ANSWER_BOUNDS, DELAY_BOUNDS, Counts, Histogram

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
Value = int | float | list[int | float]
"""A number; of a histogram the counts of its buckets, not added up, and then the sum of what was observed."""

INTROSPECTION = "/oauth2/introspect"
"""The endpoint that the fast lane answers from memory, as the route table calls it first."""

WORKER = "worker"
"""The label that every gauge has besides its own, and every counter that is told for each process: the number of the
process, `0` where there is only one, `parent` for the one that starts the others."""


@frozen
class Family:
    """One metric.

    :ivar read: gives the label values and the value of each of its series.
    :ivar apart: is it told for each process, not summed? Gauges always are.
    """

    name: str
    kind: Kind
    help: str
    read: Callable[[Counts], Iterable[tuple[Labels, Value]]]
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    apart: bool = False


def _counter(
    name: str,
    help: str,
    read: Callable[[Counts], Iterable[tuple[Labels, Value]]],
    *labels: str,
    apart: bool = False,
) -> Family:
    return Family(name, "counter", help, read, labels, apart=apart)


def _gauge(
    name: str, help: str, read: Callable[[Counts], Iterable[tuple[Labels, Value]]], *labels: str
) -> Family:
    return Family(name, "gauge", help, read, labels, apart=True)


def _delays(name: str, help: str, read: Callable[[Counts], Histogram]) -> Family:
    return Family(name, "histogram", help, lambda counts: one(_values(read(counts))), bounds=DELAY_BOUNDS)


def one(value: Value) -> Iterable[tuple[Labels, Value]]:
    """The only series of a metric without labels."""
    return (((), value),)


def by(values: Mapping[str, Value]) -> Iterable[tuple[Labels, Value]]:
    """The series of a metric with one label."""
    return (((name,), value) for name, value in values.items())


def named(**values: Value) -> Iterable[tuple[Labels, Value]]:
    """The same, where the values of the label are known."""
    return by(values)


def _values(histogram: Histogram) -> Value:
    return [*histogram.counts, histogram.total]


def _remembered(counts: Counts) -> int:
    """Requests that nobody was told of: introspections answered from memory by the fast lane."""
    return counts.lane.hits + counts.lane.inactive


def _requests(counts: Counts) -> Iterable[tuple[Labels, Value]]:
    found: dict[Labels, int] = {}
    for (method, route, status), histogram in counts.requests.answered.items():
        key = (counts.requests.advertised.get(route, route), method, str(status))
        found[key] = found.get(key, 0) + histogram.count
    if remembered := _remembered(counts):
        found[INTROSPECTION, "POST", "200"] = found.get((INTROSPECTION, "POST", "200"), 0) + remembered
    return found.items()


def _durations(counts: Counts) -> Iterable[tuple[Labels, Value]]:
    found: dict[Labels, list[int | float]] = {}
    nothing = [0] * (len(ANSWER_BOUNDS) + 2)
    for (_, route, status), histogram in counts.requests.answered.items():
        key = (counts.requests.advertised.get(route, route), str(status))
        before = found.get(key, nothing)
        found[key] = [a + b for a, b in zip(before, [*histogram.counts, histogram.total], strict=True)]
    if remembered := _remembered(counts):
        found.setdefault((INTROSPECTION, "200"), [*nothing])[0] += remembered
    return found.items()


def _introspections(counts: Counts) -> Iterable[tuple[Labels, Value]]:
    for path, of in (("lane", counts.lane), ("ordinary", counts.introspection)):
        yield (path, "hit"), of.hits
        yield (path, "inactive"), of.inactive
        yield (path, "miss"), of.misses


def _age(counts: Counts) -> Iterable[tuple[Labels, Value]]:
    age = counts.proof.age()
    return () if age is None else one(age)


def _process(name: str) -> Callable[[Counts], Iterable[tuple[Labels, Value]]]:
    def read(counts: Counts) -> Iterable[tuple[Labels, Value]]:
        value = counts.process.get(name)
        return () if value is None else one(value)

    return read


FAMILIES: tuple[Family, ...] = (
    # requests
    _counter(
        "oauthd_http_requests_total",
        "Requests answered, those of the fast lane included. endpoint is the first path of the route, - for a request "
        "that reached none; status 499 is a client that did not wait.",
        _requests, "endpoint", "method", "status",
    ),
    Family(
        "oauthd_http_request_seconds", "histogram",
        "From the arrival of a request to its answer. Those that the fast lane answered from memory are not timed: "
        "they stand in the first bucket and add nothing to the sum.",
        _durations, ("endpoint", "status"), ANSWER_BOUNDS,
    ),
    _gauge("oauthd_http_connections", "Open connections of clients.", lambda counts: one(counts.connections())),
    # introspection
    _counter(
        "oauthd_introspections_total",
        "Introspections answered: from memory that the token is active (hit) or not (inactive), or after a read of the "
        "store (miss), by the fast lane or the ordinary path.",
        _introspections, "path", "outcome",
    ),
    _counter(
        "oauthd_lane_issued_total",
        "Token requests that the fast lane has answered.",
        lambda counts: one(counts.lane.issued),
    ),
    _counter(
        "oauthd_lane_passed_total",
        "Requests that the fast lane has left to the ordinary path.",
        lambda counts: one(counts.lane.passed),
    ),
    _counter(
        "oauthd_lane_learned_total",
        "Header blocks that the fast lane has learned.",
        lambda counts: one(counts.lane.learned),
    ),
    _gauge("oauthd_lane_blocks", "Header blocks that the fast lane knows.", lambda counts: one(counts.lane.blocks)),
    # cache and proof
    _counter(
        "oauthd_cache_lookups_total",
        "Look-ups of what repeats: found in memory (hit), read from the store (miss), or answered by a read that was "
        "under way (shared).",
        lambda counts: named(hit=counts.cache.hits, miss=counts.cache.misses, shared=counts.cache.shared), "outcome",
    ),
    _counter(
        "oauthd_cache_unkept_total",
        "Reads of the store that were not kept in memory because something changed meanwhile.",
        lambda counts: one(counts.cache.unkept),
    ),
    _counter(
        "oauthd_cache_evictions_total",
        "Entries that made room for others; many of them ask for a larger cache.",
        lambda counts: one(counts.cache.evicted),
    ),
    _counter(
        "oauthd_cache_voids_total",
        "How often everything in memory was thrown away because its freshness could not be proven.",
        lambda counts: one(counts.cache.voids),
    ),
    _gauge("oauthd_cache_entries", "Entries in memory.", lambda counts: one(counts.cache.entries)),
    _gauge("oauthd_cache_bytes", "What they take, by estimate.", lambda counts: one(counts.cache.bytes)),
    _gauge(
        "oauthd_proof_age_seconds",
        "Since the last proof that memory is fresh was sent; absent where there was none yet.",
        _age,
    ),
    _gauge(
        "oauthd_proof_fresh",
        "1 while what is in memory may be used, 0 while every look-up goes to the store.",
        lambda counts: one(int(counts.proof.fresh)),
    ),
    # messages of change
    _counter(
        "oauthd_invalidations_total", "Messages of change that were heard.",
        lambda counts: one(counts.invalidation.heard),
    ),
    _delays(
        "oauthd_invalidation_seconds",
        "What a message of change takes through the store, measured by the heartbeats.",
        lambda counts: counts.invalidation.latency,
    ),
    _counter(
        "oauthd_subscriptions_lost_total",
        "Subscriptions to messages of change that ended.",
        lambda counts: one(counts.invalidation.lost),
    ),
    _counter(
        "oauthd_store_failovers_total",
        "How often the store turned out to be another one than before. Each process sees it for itself.",
        lambda counts: one(counts.invalidation.failovers), apart=True,
    ),
    _counter(
        "oauthd_revocations_reapplied_total",
        "Revocations that were written again after a failover.",
        lambda counts: one(counts.invalidation.reapplied),
    ),
    _counter(
        "oauthd_tokens_lost_total",
        "Access tokens, issued in the seconds before a failover, that the new primary does not have.",
        lambda counts: one(counts.invalidation.tokens_lost),
    ),
    _counter(
        "oauthd_unconfirmed_total",
        "Revocations and heartbeats that too few replicas, or not the disk, confirmed in time.",
        lambda counts: one(counts.invalidation.unconfirmed),
    ),
    # store
    _delays(
        "oauthd_store_seconds",
        "From sending commands to the store to their last reply.",
        lambda counts: counts.store.latency,
    ),
    _counter(
        "oauthd_store_failures_total",
        "Calls of the store that failed because it was away, silent, full or read-only (unavailable), commands that it "
        "found wrong (refused), and connections that ended (lost).",
        lambda counts: named(
            unavailable=counts.store.unavailable, refused=counts.store.refused, lost=counts.store.lost
        ), "reason",
    ),
    _gauge("oauthd_store_connections", "Connections to the store.", lambda counts: one(counts.store.connections)),
    # documents that clients name
    _counter(
        "oauthd_fetches_total",
        "Documents that clients name, each time one was needed: in memory (kept), on its way already (shared), "
        "fetched, asked for and not fetched (failed), not asked for since too many were on their way (busy).",
        lambda counts: named(
            kept=counts.fetches.kept, shared=counts.fetches.shared, fetched=counts.fetches.fetched,
            failed=counts.fetches.failed, busy=counts.fetches.busy,
        ), "outcome",
    ),
    _gauge("oauthd_fetches_under_way", "Such documents that are on their way.",
           lambda counts: one(counts.fetches.under_way)),
    # messages to clients
    _counter(
        "oauthd_messages_total",
        "Messages to clients, such as that somebody has signed out: received (sent), attempts that failed (failed), "
        "given up (dead), not wanted any more (dropped).",
        lambda counts: named(
            sent=counts.outbox.sent, failed=counts.outbox.failed, dead=counts.outbox.dead,
            dropped=counts.outbox.dropped,
        ), "outcome",
    ),
    _gauge("oauthd_messages_waiting", "Messages in the outbox, which all processes share; as each of them saw it last.",
           lambda counts: one(counts.outbox.waiting)),
    # status lists
    _counter(
        "oauthd_status_list_tokens_looked_at_total", "Listed tokens of which it was looked whether they had ended.",
        lambda counts: one(counts.status_lists.looked),
    ),
    _counter(
        "oauthd_status_lists_late_total", "Status lists that were looked at later than status_lists.ttl promises.",
        lambda counts: one(counts.status_lists.late),
    ),
    # threads and the event loop
    _gauge(
        "oauthd_pool_waiting", "Work that waits for a thread: password hashes and RSA signatures.",
        lambda counts: (((name,), pool.waiting()) for name, pool in counts.pools.items()), "pool",
    ),
    _gauge(
        "oauthd_pool_running", "Work in a thread.",
        lambda counts: (((name,), pool.running()) for name, pool in counts.pools.items()), "pool",
    ),
    _delays(
        "oauthd_loop_delay_seconds",
        "How late the event loop came to a timer that was due; looked at four times a second.",
        lambda counts: counts.loop.delay,
    ),
    _gauge(
        "oauthd_loop_delay_largest_seconds",
        "The largest of these delays in the last one to two minutes.",
        lambda counts: one(counts.loop.largest),
    ),
    # limits
    _counter(
        "oauthd_limited_total",
        "Requests answered 429, by whose limit it was: that of a client, of a caller of introspection, of a source "
        "address, or of requests that a client leaves unfinished.",
        lambda counts: by(counts.limits.limited), "scope",
    ),
    _counter(
        "oauthd_limited_clients_total",
        "The same for single clients: the first twenty that an operator made; (others) are all further ones, and those "
        "that registered themselves.",
        lambda counts: by(counts.limits.clients), "client_id",
    ),
    _counter(
        "oauthd_shed_total",
        "Requests that begin something, answered 503 since the store has little room left (store) or the event loop is "
        "late (loop).",
        lambda counts: by(counts.limits.shed), "reason",
    ),
    _gauge(
        "oauthd_store_memory_bytes",
        "What the store uses and what it may use (maxmemory, or limits.store_bytes), once that is known.",
        lambda counts: named(used=counts.limits.used, most=counts.limits.most), "what",
    ),
    # what happened
    _counter(
        "oauthd_tokens_issued_total", "Access tokens handed out.",
        lambda counts: by(counts.events.issued), "grant_type",
    ),
    _counter(
        "oauthd_events_total", "Events, by the names that the log has for them.",
        lambda counts: by(counts.events.told), "event",
    ),
    # processes
    _gauge("process_resident_memory_bytes", "Resident memory.", _process("process_resident_memory_bytes")),
    _gauge("process_virtual_memory_bytes", "Virtual memory.", _process("process_virtual_memory_bytes")),
    _gauge("process_start_time_seconds", "When it started, since the epoch.", _process("process_start_time_seconds")),
    _gauge("process_open_fds", "Open file descriptors.", _process("process_open_fds")),
    _gauge("process_max_fds", "The limit of open file descriptors.", _process("process_max_fds")),
    _counter(
        "process_cpu_seconds_total", "CPU time, user and system.", _process("process_cpu_seconds_total"), apart=True
    ),
)  # fmt: skip
"""Every metric that a process counts."""


def _nothing(_: Counts) -> Iterable[tuple[Labels, Value]]:
    return ()


WHOLE: tuple[Family, ...] = (
    Family("oauthd_workers", "gauge", "Processes that serve and have answered for these figures.", _nothing),
    _counter(
        "oauthd_workers_replaced_total",
        "Workers that ended though nobody told them to; others took their places.",
        _nothing,
    ),
    Family("oauthd_build_info", "gauge", "Always 1; the labels tell what runs.", _nothing, ("version", "python")),
)
"""What is told once, whatever the number of processes."""
