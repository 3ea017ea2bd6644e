"""How often clients, callers of introspection and source addresses may ask (RFC 6585 section 4), and who is refused.

Each has a bucket in memory (`oauthd.protocol.rates`); no request waits for the store. About once a second `tick` tells
what was given out and takes this process's share of what is left; while the store is away each process goes on with an
even share. A client is counted once it has proved who it is, or anybody could use up what is another's. One that proves
nothing is counted together with the address that it comes from; what a client with a proof of its own asks does not
count for its address, unless it registered itself and no administrator has let it introspect since.

What is refused is 429 `too_many_requests` with Retry-After: no error code of OAuth says this, and a client that knows
none of HTTP's statuses takes one that it does not know for a failure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from math import ceil
from typing import Any, Literal

from attrs import define, field
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.config import LimitSettings
from oauthd.events import Events
from oauthd.metrics import LimitCounts
from oauthd.protocol import lockout
from oauthd.protocol.errors import TOO_MANY_REQUESTS, OAuthError
from oauthd.protocol.messages import Connection, Lesson, Request, Response, TellingLesson, Told
from oauthd.protocol.rates import Bucket, Buckets, Limit, within
from oauthd.protocol.records import Client
from oauthd.protocol.seals import Seals
from oauthd.shedding import Overload, Room
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.shares import Settled, Shares, Spent

Scope = Literal["client", "caller", "source", "unfinished"]

MOST_TOLD = 256  # buckets of a limit that are told of at a time; the others keep their even shares
TELL_AGAIN = 60.0  # seconds between two events of the same name
MOST_TOLD_OF = 1000
UNMEASURED = 60.0  # seconds between two tries with a server that does not say how full it is
# What begins something and is dear: people's sign-ins, and what leads there.
DEAR = frozenset(
    ("authorize", "login", "par", "device_authorization", "backchannel_authentication", "register", "register_client")
)

_source = lru_cache(maxsize=4096)(lockout.canonical_source)
_log = Logger(namespace="oauthd")


@define(eq=False)
class Allowance:
    """What one name may still take.

    :ivar name: of its bucket.
    :ivar facts: whom it is, for the event.
    :ivar label: of a client that the operator made; "" for others.
    :ivar alone: is it nobody else's? Else whoever has used it up is judged by another one.
    """

    limits: Limits
    scope: Scope
    buckets: Buckets
    name: str
    facts: dict[str, str]
    label: str = ""
    alone: bool = True

    @property
    def bucket(self) -> Bucket:
        """Its bucket as it is now."""
        return self.buckets.of(self.name, self.limits.clock())

    def spend(self, cost: float = 1) -> Bucket:
        """Take from it; the bucket.

        :raises OAuthError: `too_many_requests` with Retry-After.
        """
        now = self.limits.clock()
        bucket = self.buckets.of(self.name, now)
        wait = bucket.take(cost, now)
        if wait:
            raise self.limits.refusal(self, wait)
        return bucket

    def spend_more(self, cost: float) -> None:
        """Take more for a request that one was taken for: all of it at once, or what costs more than a bucket holds
        would never find a full one.

        :raises OAuthError: `too_many_requests` with Retry-After; then nothing was taken.
        """
        if self.alone:  # else that one was taken from another
            self.bucket.give_back(1, self.limits.clock())
            cost += 1
        self.spend(cost)

    def limited(self, lesson: Lesson) -> Lesson:
        """The same lesson, which takes from it each time."""
        return LimitedLesson(self, lesson)


class LimitedLesson:
    """What an answered request taught, for one who may not ask as often as he likes.

    Of what is in memory an answer costs one plain integer. When there is no more of it the clock is looked at, and who
    asks too often is refused here, which costs less than to read such requests again.
    """

    __slots__ = ("_allowance", "_bucket", "_recall", "_tell", "lesson", "parameter")

    def __init__(self, allowance: Allowance, lesson: Lesson) -> None:
        self._allowance, self.lesson, self._bucket = allowance, lesson, allowance.bucket
        self.parameter = lesson.parameter
        self._recall = lesson.recall
        self._tell = lesson.tell if isinstance(lesson, TellingLesson) else None

    def holds(self) -> bool:
        """As the lesson; where others use the same allowance, only while there is something left of it."""
        if not self._allowance.alone:
            self._bucket = self._allowance.bucket
            if self._bucket.look(self._allowance.limits.clock()) < 1:
                return False
        return self.lesson.holds()

    def recall(self, value: bytes) -> bytes | None:
        """As the lesson, if there is something left."""
        bucket = self._bucket
        if bucket.left <= 0:
            return None
        answer = self._recall(value)
        if answer is not None:
            bucket.left -= 1
        return answer

    def tell(self, value: bytes, waiter: Told) -> bool:
        """As the lesson, unless it is too often; that is told at once."""
        bucket = self._bucket
        if bucket.listed and bucket.left > 0:
            bucket.left -= 1
        else:
            was_left = bucket.left > 0
            try:
                self._bucket = self._allowance.spend()
            except OAuthError:
                waiter(Failure())  # type: ignore[no-untyped-call]
                return True
            answer = None if was_left else self._recall(value)
            if answer is not None:
                waiter(answer)
                return True
        return self._tell is not None and self._tell(value, waiter)

    def ask(self, value: bytes) -> Awaitable[Response]:
        """As the lesson: what it costs was taken by `tell`."""
        return self.lesson.ask(value)


@define(eq=False)
class Limits:
    """All limits of a process.

    :ivar workers: how many processes there are, for all that is known before the first `tick`.
    :ivar clock: monotonic seconds.
    :ivar shares: how others are told; None where there are none.
    """

    settings: LimitSettings
    workers: int
    clock: Callable[[], float]
    seals: Seals
    events: Events
    counts: LimitCounts
    shares: Shares | None = None
    room: Room = field(init=False)
    overload: Overload = field(init=False)
    _tables: dict[str, Buckets] = field(factory=dict, init=False)
    _told: dict[str, float] = field(factory=dict, init=False)
    _measure_from: float = field(default=0.0, init=False)
    _processes: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        settings, self._processes = self.settings, self.workers
        self.room = Room(settings, self.events, self.counts)
        self.overload = Overload(settings.loop_delay, self.events, self.counts)
        self._add("client", Limit(settings.client_rate, settings.client_burst))
        self._add("caller", Limit(settings.caller_rate, settings.caller_burst)).all = True
        self._add("source", Limit(settings.source_rate, settings.source_burst))

    def _add(self, name: str, limit: Limit) -> Buckets:
        self._tables[name] = Buckets(limit, self._processes)
        return self._tables[name]

    # whom requests count for

    def admit(self, request: Request, endpoint: str) -> None:
        """Count a request for the address that it comes from, and refuse what is dear when there is too much to do.

        :param endpoint: its name in the table of routes.
        :raises OAuthError: `too_many_requests` or `temporarily_unavailable`, with Retry-After.
        """
        if endpoint in DEAR and self.overload.late and "interaction" not in request.query and _begins(request):
            self.overload.judge()
        allowance = self._of_source(request.connection)
        if allowance is not None and not endpoint.startswith("health."):
            allowance.spend()

    def authenticated(self, client: Client, connection: Connection, scope: Scope = "client") -> Allowance | None:
        """Count a request of a client that has authenticated; its allowance, None where there is no limit.

        :param scope: `caller` for one who introspects.
        :raises OAuthError: `too_many_requests` with Retry-After.
        """
        if client.confidential and not _is_unknown(client):
            source = self._of_source(connection)
            if source is not None:
                source.bucket.give_back(1, self.clock())
        buckets = self._tables[scope]
        if not buckets.limit:
            return None
        facts, label = {"client_id": client.client_id}, "" if _is_stranger(client) else client.client_id
        if client.confidential:
            allowance = Allowance(self, scope, buckets, client.client_id, facts, label)
            allowance.spend()
            return allowance
        # Anybody can name it: one who does so too often takes nothing from those who come from elsewhere.
        place = _source(connection.source)
        Allowance(self, scope, buckets, f"{client.client_id}\0{place}", {**facts, "source": place}, label).spend()
        return Allowance(self, scope, buckets, f"{client.client_id}\0", facts, label, alone=False)

    def is_lasting(self, client: Client) -> bool:
        """May what its requests teach be used without a look at where the next ones come from?"""
        return not (_is_unknown(client) and self._tables["source"].limit)

    def begin(self, what: str, client: Client, lifetime: float) -> None:
        """A client begins what may be left unfinished.

        :param what: its name: each has a limit of its own.
        :param lifetime: seconds after which it ends by itself.
        :raises OAuthError: `temporarily_unavailable` or `too_many_requests`, with Retry-After.
        """
        self.room.begin()
        if self.settings.unfinished and client.confidential:
            table = self._tables.get(what) or self._add(what, within(self.settings.unfinished, lifetime))
            facts, label = {"client_id": client.client_id}, "" if _is_stranger(client) else client.client_id
            Allowance(self, "unfinished", table, client.client_id, facts, label).spend()

    def _of_source(self, connection: Connection) -> Allowance | None:
        """Whoever sits at this machine, or comes without an address, is not counted."""
        buckets = self._tables["source"]
        if not buckets.limit or connection.local or not connection.source:
            return None
        name = _source(connection.source)
        return Allowance(self, "source", buckets, name, {"source": name})

    def refusal(self, allowance: Allowance, wait: float) -> OAuthError:
        """What is told to one who asks too often."""
        now, name = self.clock(), f"{allowance.scope} {allowance.name}"
        self.counts.limited[allowance.scope] += 1
        if "client_id" in allowance.facts:
            self.counts.client(allowance.label)
        if now >= self._told.get(name, now):
            if len(self._told) >= MOST_TOLD_OF:
                self._told.clear()
            self._told[name] = now + TELL_AGAIN
            self.events.tell("limited", scope=allowance.scope, **allowance.facts)
        # RFC 6585 section 4: what is wrong, and when to come back
        return TOO_MANY_REQUESTS(_WHAT[allowance.scope], headers={"Retry-After": str(max(1, ceil(wait)))})

    # what processes tell one another

    async def tick(self) -> None:
        """Tell what was given out, take our share, and see how full the store is; once a second.

        A failure of the store is no failure here.
        """
        if self.shares is None:
            return
        await self._measure(self.shares)
        told, now = [], self.clock()
        for scope, buckets in self._tables.items():
            for name, bucket in buckets.to_tell(now, MOST_TOLD) if buckets.limit else ():
                told.append((scope, name, bucket, bucket.telling()))
        alone = self._processes == 1
        spent = [self._spent(scope, name, tokens) for scope, name, _, tokens in told]
        try:
            if self.room.is_full:
                raise StoreUnavailable("the store is full")
            self._processes, settled = await self.shares.settle(() if alone else spent)
        except StoreUnavailable:
            for *_, bucket, tokens in told:
                bucket.spent += tokens
            told, settled = [], []
        self._settle(told if settled else [], settled)

    def _spent(self, scope: str, name: str, tokens: float) -> Spent:
        digest = self.seals.digest("limits", f"{scope}\0{name}".encode("utf-8", "surrogatepass"))[:16]
        return Spent(digest, self._tables[scope].limit, tokens)

    def _settle(self, told: list[tuple[str, str, Bucket, float]], settled: list[Settled]) -> None:
        found: dict[str, list[tuple[str, Bucket, float, int]]] = {scope: [] for scope in self._tables}
        for (scope, name, bucket, _), common in zip(told, settled, strict=True):
            found[scope].append((name, bucket, common.level, common.count))
        now = self.clock()
        for scope, buckets in self._tables.items():
            buckets.divide(self._processes)
            buckets.settle(found[scope], now)

    async def _measure(self, shares: Shares) -> None:
        now = self.clock()
        if now < self._measure_from:
            return
        try:
            memory = await shares.memory()
        except StoreUnavailable as error:
            if type(error) is not StoreUnavailable:  # it may not be asked: what is not known bounds nothing
                self._measure_from = now + UNMEASURED
                self.room.know(0, 0)
        else:
            self.room.know(memory.used, memory.most)


_WHAT: dict[Any, str] = {
    "client": "the client makes too many requests",
    "caller": "the client introspects too many tokens",
    "source": "too many requests come from this address",
    "unfinished": "the client leaves too many requests unfinished",
}


def _begins(request: Request) -> bool:
    """A page that is shown again, for a flow under way, is not what costs; its form may be."""
    return request.method == "POST" or not request.path.endswith("/login")


def _is_unknown(client: Client) -> bool:
    """Has nobody but itself had a say in it? To introspect is what an administrator alone lets it do."""
    return client.registered_itself and not client.introspects


def _is_stranger(client: Client) -> bool:
    """Did it name itself?"""
    return bool(client.registration) or ":" in client.client_id
