"""Telling a client something: one POST to an address that it registered, by the same way out as documents are fetched.

https only, public addresses only, no redirect followed, nothing of the answer but its status, and a time that covers
everything (OpenID Connect Back-Channel Logout section 2.5, CIBA Core section 10.2: both ends are asked not to wait for
more). What an answer means, and whether to try again, is for whoever sends it.

The bounds are those of fetches, counted apart: so many at once, so many to one host, and for addresses that strangers
name (clients that registered themselves) a half of these, and the few of one host for all hosts of a site.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import define, field
from treq.client import HTTPClient
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from oauthd.config import FetchSettings
from oauthd.fetcher.fetching import USER_AGENT, half, late, reason
from oauthd.fetcher.location import Location, location, site
from oauthd.fetcher.outward import Away, Outward, Uncoded
from oauthd.fetcher.refusal import BUSY, FetchRefused

NO_HEADERS: Mapping[str, str] = {}


@define(eq=False)
class Posting:
    """Sends to addresses that clients named.

    :ivar agent: the way out; it calls only whom we may call.
    """

    agent: IAgent
    reactor: IReactorTime
    settings: FetchSettings
    _places: Counter[tuple[bool, str]] = field(factory=Counter, init=False, repr=False)
    _strangers: int = field(default=0, init=False)
    under_way: int = field(default=0, init=False)

    async def post(
        self,
        url: str,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        stranger: bool = False,
    ) -> int:
        """Send it once.

        :param headers: more of them, such as `Authorization`.
        :param stranger: was the address named by somebody whom no administrator knows?
        :return: the status of the answer, whatever it is; also of a redirect.
        :raises FetchRefused: where there was no answer in time, or nobody may be called there. With `passing`, nothing
            was sent, since too many others are on their way.
        """
        place = location(url, self.settings.ports, self.settings.open_hosts)
        at = (stranger, site(place.host) if stranger else place.host)
        full = stranger and self._strangers >= half(self.settings.at_once)
        if full or self._places[at] >= self.settings.per_host or self.under_way >= self.settings.at_once:
            raise FetchRefused(BUSY, f"at {place.host}", passing=True)
        self._places[at] += 1
        self._strangers += stranger
        self.under_way += 1
        try:
            sent = ensureDeferred(self._send(place, body, content_type, headers, stranger))
            sent.addTimeout(self.settings.timeout, self.reactor, late)
            status: int = await sent.addErrback(_refused)
            return status
        finally:
            self.under_way -= 1
            self._strangers -= stranger
            self._places -= Counter([at])  # which leaves no zeros

    async def _send(
        self, place: Location, body: bytes, content_type: str, headers: Mapping[str, str], stranger: bool
    ) -> int:
        agent = self.agent
        if stranger and isinstance(agent, Outward):
            agent = agent.of_strangers
        said = {"Content-Type": [content_type], "User-Agent": [USER_AGENT]}
        response = await HTTPClient(Uncoded(agent)).post(
            place.target,
            data=body,
            headers=Headers(said | {name: [value] for name, value in headers.items()}),
            allow_redirects=False,  # CIBA Core section 10.2; it would be a host that nobody registered
            unbuffered=True,
        )
        response.deliverBody(Away())  # a connection whose body nobody takes would stay
        return int(response.code)


def _refused(failure: Failure) -> int:
    raise reason(failure)
