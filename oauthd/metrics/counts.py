"""What one process counts: plain numbers, one holder for each part that counts, filled by that part alone.

A count is an attribute that its owner adds to, so that counting costs what an addition costs. What is a state and not a
count (entries, ages, queues) is either such a number or a callable, asked when somebody wants to know.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping

from attrs import define, field, frozen

from oauthd.events import EVENTS, Event

ANSWER_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Seconds, for what a caller waits for."""

DELAY_BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Seconds, for what should take no time: replies of the store, messages, turns of the event loop."""


class Histogram:
    """How many durations fell between which bounds; `observe` costs a fraction of a microsecond.

    :ivar bounds: upper bounds of the buckets in seconds, each included in its bucket.
    :ivar counts: one number for each bucket and one for what is beyond the last; not added up.
    :ivar total: the sum of all durations, seconds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = ANSWER_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)


def _delays() -> Histogram:
    return Histogram(DELAY_BOUNDS)


@define(eq=False)
class RequestCounts:
    """Requests, each when it is answered; those that the fast lane answers from memory stand in `LaneCounts` alone.

    :ivar answered: durations by method, path of the route and status; both words `-` where there was none.
    :ivar advertised: the first path of a route, by its others.
    """

    answered: dict[tuple[str, str, int], Histogram] = field(factory=dict)
    advertised: Mapping[str, str] = field(factory=dict)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self.answered.get((method, route, status))
        if found is None:
            found = self.answered[method, route, status] = Histogram()
        found.observe(seconds)


@define(eq=False)
class LaneCounts:
    """What the fast lane did. Each request that it answered 200 is in exactly one of the first four.

    :ivar hits: introspections answered active, from memory.
    :ivar inactive: introspections answered inactive, from memory.
    :ivar misses: introspections answered after a read of the store; these are in `RequestCounts`, too.
    :ivar issued: token requests answered; these are in `RequestCounts`, too, and their event is told.
    :ivar passed: requests left to the ordinary path.
    :ivar learned: header blocks learned.
    :ivar blocks: header blocks remembered at the moment.
    """

    hits: int = 0
    inactive: int = 0
    misses: int = 0
    issued: int = 0
    passed: int = 0
    learned: int = 0
    blocks: int = 0


@define(eq=False)
class IntrospectionCounts:
    """Introspections that the ordinary path answered 200; each is in exactly one of the three."""

    hits: int = 0
    inactive: int = 0
    misses: int = 0


@define(eq=False)
class CacheCounts:
    """The cache of what was read from the store.

    :ivar hits: look-ups answered from memory.
    :ivar misses: look-ups that had to ask the store.
    :ivar shared: look-ups that waited for a read already under way.
    :ivar unkept: reads that were used once because something changed meanwhile.
    :ivar evicted: entries that made room for others.
    :ivar voids: how often everything was thrown away.
    :ivar entries: entries held at the moment.
    :ivar bytes: octets they take, by estimate.
    """

    hits: int = 0
    misses: int = 0
    shared: int = 0
    unkept: int = 0
    evicted: int = 0
    voids: int = 0
    entries: int = 0
    bytes: int = 0


@define(eq=False)
class InvalidationCounts:
    """Messages of change, and the subscription that they come by.

    :ivar heard: messages, without heartbeats.
    :ivar latency: seconds from a heartbeat's sending to its return, which is what any message takes.
    :ivar lost: subscriptions that ended.
    :ivar failovers: how often the store turned out to be another one than before.
    :ivar reapplied: revocations written again after that.
    :ivar tokens_lost: access tokens issued shortly before that, which the other one does not have.
    :ivar unconfirmed: revocations and heartbeats that replicas, or the disk, did not confirm in time.
    """

    heard: int = 0
    latency: Histogram = field(factory=_delays)
    lost: int = 0
    failovers: int = 0
    reapplied: int = 0
    tokens_lost: int = 0
    unconfirmed: int = 0


def _unknown() -> None:
    """There is no proof yet."""


@define(eq=False)
class ProofFacts:
    """How fresh what is remembered is known to be.

    :ivar age: gives the seconds since the last proof was sent, None where there was none yet.
    :ivar longest: seconds up to which a proof counts.
    """

    age: Callable[[], float | None] = _unknown
    longest: float = 2.0

    @property
    def fresh(self) -> bool:
        """Does the last proof still count?"""
        age = self.age()
        return age is not None and age < self.longest


@define(eq=False)
class StoreCounts:
    """Exchanges with the store.

    :ivar latency: seconds from sending commands to their last reply.
    :ivar unavailable: calls that failed because the store was away, silent, full or read-only.
    :ivar refused: commands that the store found wrong, which is a bug.
    :ivar lost: connections that ended.
    :ivar connections: connections that stand at the moment.
    """

    latency: Histogram = field(factory=_delays)
    unavailable: int = 0
    refused: int = 0
    lost: int = 0
    connections: int = 0


@define(eq=False)
class FetchCounts:
    """Documents that clients name, each time somebody needs one.

    :ivar kept: it was in memory, or the reason why it is not to be had was.
    :ivar shared: it was on its way already.
    :ivar fetched: it was fetched.
    :ivar failed: it was asked for and not fetched.
    :ivar busy: it was not asked for, since too many others were on their way.
    :ivar under_way: on their way at the moment.
    """

    kept: int = 0
    shared: int = 0
    fetched: int = 0
    failed: int = 0
    busy: int = 0
    under_way: int = 0


@define(eq=False)
class OutboxCounts:
    """Messages to clients.

    :ivar sent: they were received.
    :ivar failed: attempts that failed.
    :ivar dead: messages that were given up.
    :ivar dropped: messages that nobody wants any more: their client is gone, or its address is.
    :ivar waiting: messages of all processes in the outbox, as of the last look into it.
    """

    sent: int = 0
    failed: int = 0
    dead: int = 0
    dropped: int = 0
    waiting: int = 0


@define(eq=False)
class EventCounts:
    """How often each event was told, and tokens by grant type."""

    told: dict[str, int] = field(factory=lambda: dict.fromkeys(EVENTS, 0))
    issued: dict[str, int] = field(factory=dict)

    def count(self, event: Event) -> None:
        """Count an event: an observer of `Events`."""
        name = event.name
        self.told[name] += 1
        if name == "token.issued":
            grant_type = str(event.facts.get("grant_type"))
            self.issued[grant_type] = self.issued.get(grant_type, 0) + 1


@define(eq=False)
class LoopCounts:
    """How late the event loop came to a timer that was due."""

    delay: Histogram = field(factory=_delays)
    largest: float = 0.0


@define(eq=False)
class StatusListCounts:
    """What looks at the tokens in status lists, in the process that does it for all.

    :ivar looked: tokens that were looked at.
    :ivar late: lists that nobody had looked at for longer than `status_lists.ttl` when their turn came.
    """

    looked: int = 0
    late: int = 0


@frozen
class PoolFacts:
    """A pool of threads: callables that give the work items waiting for a thread, and those in one."""

    waiting: Callable[[], int]
    running: Callable[[], int]


SCOPES = ("client", "caller", "source", "unfinished")
"""For whom there are limits."""
SHED = ("store", "loop")
"""Why what begins is refused."""
MOST_NAMED = 20
OTHERS = "(others)"


@define(eq=False)
class LimitCounts:
    """Requests that were refused for their number, or since the server has too much to do.

    :ivar limited: 429, by the scope of the limit.
    :ivar clients: the same by client, for the first of those that the operator has made; all others under one name.
    :ivar shed: 503, by what there is too much of.
    :ivar used: bytes that the store uses; 0 for unknown.
    :ivar most: bytes that it may use; 0 for unknown, or no bound.
    """

    limited: dict[str, int] = field(factory=lambda: dict.fromkeys(SCOPES, 0))
    clients: dict[str, int] = field(factory=lambda: {OTHERS: 0})
    shed: dict[str, int] = field(factory=lambda: dict.fromkeys(SHED, 0))
    used: int = 0
    most: int = 0

    def client(self, client_id: str) -> None:
        """Count a request of a client; "" for one that is not named."""
        known = client_id in self.clients or (client_id and len(self.clients) <= MOST_NAMED)
        name = client_id if known else OTHERS
        self.clients[name] = self.clients.get(name, 0) + 1


def _none() -> int:
    return 0


@define(eq=False)
class Counts:
    """Everything that one process counts.

    :ivar connections: gives the number of open connections of clients.
    :ivar pools: by name.
    :ivar process: what the system tells of this process, by the names of its metrics; set when somebody asks.
    """

    requests: RequestCounts = field(factory=RequestCounts)
    lane: LaneCounts = field(factory=LaneCounts)
    introspection: IntrospectionCounts = field(factory=IntrospectionCounts)
    cache: CacheCounts = field(factory=CacheCounts)
    invalidation: InvalidationCounts = field(factory=InvalidationCounts)
    proof: ProofFacts = field(factory=ProofFacts)
    store: StoreCounts = field(factory=StoreCounts)
    fetches: FetchCounts = field(factory=FetchCounts)
    outbox: OutboxCounts = field(factory=OutboxCounts)
    events: EventCounts = field(factory=EventCounts)
    loop: LoopCounts = field(factory=LoopCounts)
    limits: LimitCounts = field(factory=LimitCounts)
    status_lists: StatusListCounts = field(factory=StatusListCounts)
    connections: Callable[[], int] = _none
    pools: dict[str, PoolFacts] = field(factory=dict)
    process: Mapping[str, float] = field(factory=dict)
