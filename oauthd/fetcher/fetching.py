"""Fetching a document: the rules of the exchange, and the bounds on how many there are.

One GET, no redirect followed, no cookie, no credentials, no compression, one answer of status 200 with a content type
that was asked for, so long and no longer, within a time that covers everything. Whoever asks for a document that is on
its way waits for the same answer, and one who goes away takes it from nobody.

What strangers name (clients that registered themselves) has bounds of its own within those of all: a half of the
fetches and of the memory, and a few fetches of one site. However slow the hosts are that strangers name, the other half
is free for whom an administrator has made; and neither finds in memory what the other has left there.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from attrs import define, field, frozen
from OpenSSL.SSL import Error as TlsError
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from oauthd.config import FetchSettings
from oauthd.fetcher.keeping import Answer, Kept, lifetime
from oauthd.fetcher.location import Location, location, site
from oauthd.fetcher.outward import Outward, Uncoded
from oauthd.fetcher.refusal import BUSY, NOBODY, FetchRefused
from oauthd.metrics.counts import FetchCounts

log = Logger()

USER_AGENT = "oauthd"
_MEDIA_TYPE = re.compile(r"[ \t]*([A-Za-z0-9!#$%&'*+.^_`|~-]+/[A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*(?:;.*)?")
"""RFC 9110 section 8.3.1; the parameters are nothing to us."""


def half(number: int) -> int:
    """What strangers have of a bound, and at least one."""
    return (number + 1) // 2


@frozen
class _Key:
    """What tells documents apart: the URL with its fragment, what they may be, and for whom they are."""

    url: str
    types: frozenset[str]
    stranger: bool


@define(eq=False)
class Fetcher:
    """Fetches documents that clients name.

    :ivar agent: the way out; it calls only whom we may call.
    """

    agent: IAgent
    reactor: IReactorTime
    settings: FetchSettings
    counts: FetchCounts = field(factory=FetchCounts)
    _kept: Kept = field(init=False, repr=False)
    _kept_of_strangers: Kept = field(init=False, repr=False)
    _strangers: int = field(default=0, init=False)
    _waiting: dict[_Key, list[Deferred[Answer]]] = field(factory=dict, init=False, repr=False)
    _places: Counter[tuple[bool, str]] = field(factory=Counter, init=False, repr=False)

    @_kept.default
    def _make_kept(self) -> Kept:
        return Kept(half(self.settings.entries), half(self.settings.bytes))

    @_kept_of_strangers.default
    def _make_kept_of_strangers(self) -> Kept:
        return self._make_kept()

    async def get(
        self,
        url: str,
        types: Collection[str],
        *,
        oldest: float | None = None,
        stranger: bool = False,
        failures: bool = True,
        asking: Callable[[], Awaitable[None]] | None = None,
    ) -> bytes:
        """The document at a URL.

        :param types: the media types that it may have, lower-case, such as `application/json`; `application/*+json` is
            every one of that suffix (RFC 6839 section 3.1).
        :param oldest: seconds; a document kept from before is not used when it was asked for longer ago. With 60, what
            is not found in it may be looked for again once a minute. None: it is used as long as it counts.
        :param stranger: was it named by somebody whom no administrator knows?
        :param failures: is a URL left alone for a while after a call that failed? Whoever says no bounds the calls.
        :param asking: is waited for before somebody is called, and may forbid it. What is at hand is had without.
        :raises FetchRefused: with a text for the client's developer; without any call where one failed before.
        """
        place = location(url, self.settings.ports, self.settings.open_hosts)
        key = _Key(place.target + place.fragment, frozenset(types), stranger)
        answer = self._memory(key).find(key, self.reactor.seconds(), oldest)
        if answer is not None and (failures or answer.refused is None):
            self.counts.kept += 1
        else:
            if asking is not None:
                await asking()
            answer = await self._on_its_way(key, place)
        return answer.document()

    def _memory(self, key: _Key) -> Kept:
        return self._kept_of_strangers if key.stranger else self._kept

    def _on_its_way(self, key: _Key, place: Location) -> Deferred[Answer]:
        """The answer to come, of a fetch that is under way or begins now."""
        waiters = self._waiting.get(key)
        # The waiter's own: that it is cancelled means that it goes away, not that the others do.
        mine: Deferred[Answer] = Deferred()
        if waiters is not None:
            self.counts.shared += 1
            waiters.append(mine)
            return mine
        at = _counted(key, place)
        full = key.stranger and self._strangers >= half(self.settings.at_once)
        if full or self._places[at] >= self.settings.per_host or len(self._waiting) >= self.settings.at_once:
            self.counts.busy += 1
            raise FetchRefused(BUSY, f"at {place.host}", passing=True)
        self._places[at] += 1
        self._strangers += key.stranger
        self._waiting[key] = [mine]
        self.counts.under_way += 1
        began = self.reactor.seconds()
        fetch = ensureDeferred(self._fetch(place, key))
        fetch.addTimeout(self.settings.timeout, self.reactor, late)
        fetch.addErrback(self._refused, place, began)
        fetch.addCallback(self._arrived, key, place)
        return mine

    def _arrived(self, answer: Answer, key: _Key, place: Location) -> None:
        self.counts.under_way -= 1
        self._strangers -= key.stranger
        self._places -= Counter([_counted(key, place)])  # which leaves no zeros
        if answer.until:
            self._memory(key).keep(key, answer)
        for waiter in self._waiting.pop(key):
            waiter.callback(answer)  # has no effect on one that has gone away

    def _refused(self, failure: Failure, place: Location, began: float) -> Answer:
        refused = reason(failure)
        self.counts.failed += 1
        log.info(
            "a document was not fetched from {host}: it {reason} ({log})",
            host=place.host, reason=refused.description, log=refused.log,
        )  # fmt: skip
        return Answer(None, refused, began, 0 if refused.passing else self.reactor.seconds() + self.settings.failure)

    async def _fetch(self, place: Location, key: _Key) -> Answer:
        began = self.reactor.seconds()
        agent = self.agent
        if key.stranger and isinstance(agent, Outward):
            agent = agent.of_strangers
        response = await HTTPClient(Uncoded(agent)).get(
            place.target,
            headers=Headers({"Accept": [_acceptable(key.types)], "User-Agent": [USER_AGENT]}),
            allow_redirects=False,  # OpenID Connect Registration section 5 leaves it open; each hop would be a new host
            unbuffered=True,
        )
        arrived: Deferred[bytes] = Deferred()
        body = _Body(self.settings.limit, arrived)
        try:
            self._judge(response, key.types)
        except FetchRefused:
            body.refuse()
            raise
        finally:
            response.deliverBody(body)  # a connection whose body nobody takes would stay
        content = await arrived
        self.counts.fetched += 1
        said = response.headers.getRawHeaders("cache-control", [])
        lives = lifetime(said, self.settings.shortest, self.settings.longest)
        return Answer(content, None, began, began + lives)

    def _judge(self, response: IResponse, types: Collection[str]) -> None:
        """Refuse an answer by its head."""
        if 300 <= response.code < 400:
            raise FetchRefused(f"was answered with a redirect ({response.code}), which is not followed")
        if response.code != 200:
            raise FetchRefused(f"was answered with status {response.code}")
        values = response.headers.getRawHeaders("content-type", [])
        found = _MEDIA_TYPE.fullmatch(values[0]) if len(values) == 1 else None
        if found is None or not _is_of(found[1].lower(), types):
            raise FetchRefused(f"must have the content type {' or '.join(sorted(types))}")
        if isinstance(response.length, int) and response.length > self.settings.limit:
            raise FetchRefused(_too_long(self.settings.limit))


def _counted(key: _Key, place: Location) -> tuple[bool, str]:
    """What a fetch counts under: its host; for strangers, who can have any number of hosts, its site."""
    return key.stranger, site(place.host) if key.stranger else place.host


JSON_SUFFIX = "application/*+json"


def _is_of(media_type: str, types: Collection[str]) -> bool:
    if media_type in types:
        return True
    return JSON_SUFFIX in types and media_type.startswith("application/") and media_type.endswith("+json")


def _acceptable(types: Collection[str]) -> str:
    """The field Accept, whose language has no word for a suffix (RFC 9110 section 12.5.1)."""
    return ", ".join(sorted("application/*;q=0.5" if one == JSON_SUFFIX else one for one in types))


def _too_long(limit: int) -> str:
    return f"is longer than {limit} bytes"


class _Body(Protocol):
    """Takes the body of a response, so much and no more."""

    transport: Any = None

    def __init__(self, limit: int, content: Deferred[bytes]) -> None:
        self.limit = limit
        self.parts: list[bytes] = []
        self.length = 0
        self.content: Deferred[bytes] | None = content

    def refuse(self) -> None:
        """Take nothing."""
        self.content = None

    def connectionMade(self) -> None:  # noqa: N802
        """Hang up where nothing is wanted."""
        if self.content is None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take a part."""
        if self.content is None:
            return
        self.parts.append(data)
        self.length += len(data)
        if self.length > self.limit:
            content, self.content, self.parts = self.content, None, []
            self.transport.loseConnection()
            content.errback(FetchRefused(_too_long(self.limit)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """The end, good or bad."""
        content, self.content = self.content, None
        if content is None:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            content.callback(b"".join(self.parts))
        else:
            content.errback(reason)


def late(result: Any, seconds: float) -> Any:
    """What becomes of a fetch whose time is over: each step has its own way to say that it was cancelled."""
    if isinstance(result, Failure):
        raise FetchRefused(f"was not answered within {seconds:g} seconds", type(result.value).__name__)
    return result


def reason(failure: Failure) -> FetchRefused:
    """What a failed fetch is called."""
    error = failure.value
    inner = [each.value for each in getattr(error, "reasons", ()) if isinstance(each, Failure)]
    name = type(error).__name__
    for each in (error, *inner):
        if isinstance(each, FetchRefused):
            return each
    for each in (error, *inner):
        name = type(each).__name__
        if isinstance(each, VerificationError | TlsError):
            return FetchRefused("is at a host whose certificate does not hold, or with which TLS fails", name)
        if isinstance(each, UnicodeError):
            return FetchRefused("has a malformed URL", name)  # a host that is no internationalized name (RFC 5891)
        if isinstance(each, DNSLookupError):
            return FetchRefused(NOBODY, name)
    if isinstance(error, ConnectError):
        return FetchRefused("is at a host that cannot be reached", name)
    if not inner and not isinstance(error, ConnectionClosed):
        log.failure("fetching a document failed", failure)
    return FetchRefused("was not answered as HTTP says", name)
