"""Status lists (draft-ietf-oauth-status-list-20): one of them as a signed token (section 8.1), and where all are (9).

A list is signed here, with the key that signs access tokens (section 11.3), when somebody asks for it, and kept until
it changes. `iat` is when its bits were looked at. While the store is away the last one is told on: until `exp`, which
is its end wherever it lies, and with a `Cache-Control` that lets nobody keep it beyond `ttl`. Then it is 503.

What a list was at another time is told to nobody (section 12.6): 501. In another form than a JWT there is none: 406.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field, frozen

from oauthd.config.status_lists import StatusListSettings
from oauthd.keys import Keys
from oauthd.protocol import status_list
from oauthd.protocol.errors import NOT_ACCEPTABLE, NOT_FOUND, NOT_IMPLEMENTED, TEMPORARILY_UNAVAILABLE
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import StatusList as Listed
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.status_lists import StatusLists

MOST_KEPT = 64  # signed lists, of at most 30 kB; one that was not signed for long is signed again
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}")


@frozen
class _Signed:
    """A list that was signed.

    :ivar of: what it tells, and the key that signed.
    """

    of: tuple[Listed, str]
    token: bytes
    tag: str
    fresh_until: int
    ends_at: int


@define(eq=False)
class StatusList:
    """Answers with one list.

    :ivar algorithm: what signs.
    :ivar in_thread: calls its first argument with the others, outside the reactor's thread.
    """

    lists: StatusLists
    keys: Keys
    settings: StatusListSettings
    algorithm: str
    issuer: str
    clock: Callable[[], float]
    in_thread: Callable[..., Awaitable[Any]]
    _kept: dict[int, _Signed] = field(factory=dict, init=False, repr=False)

    async def __call__(self, request: Request) -> Response:
        """The list of that number (sections 8.1 and 8.2)."""
        if "time" in request.query:
            raise NOT_IMPLEMENTED("what a list said at another time is not told")  # section 8.4
        accept = ",".join(value for name, value in request.headers.pairs if name == "accept")
        if not status_list.accepted(accept):
            raise NOT_ACCEPTABLE(f"a status list is of the type {status_list.MEDIA_TYPE}")
        name = request.arguments["number"]
        signed = await self._of(int(name)) if _NUMBER.fullmatch(name) else None
        if signed is None:
            raise NOT_FOUND("there is no status list of that number")
        now = self.clock()
        if now >= signed.ends_at:
            raise TEMPORARILY_UNAVAILABLE("the status list is too old", headers={"Retry-After": "5"})
        # It may be kept for no longer than it is fresh, however late somebody fetches it (section 13.7).
        left = signed.fresh_until - int(now)
        headers = (
            ("Cache-Control", f"public, max-age={left}" if left > 0 else "no-cache"),
            ("ETag", signed.tag),
            ("Vary", "Accept"),
        )
        if _matches(request.headers.one("if-none-match"), signed.tag):
            return Response(304, headers)
        return Response(200, (("Content-Type", status_list.MEDIA_TYPE), *headers), signed.token)

    async def _of(self, number: int) -> _Signed | None:
        try:
            stored = await self.lists.find(number)
        except StoreUnavailable:
            if number not in self._kept:
                raise
            return self._kept[number]
        if stored is None:
            self._kept.pop(number, None)
            return None
        return await self._signed(number, stored.record)

    async def _signed(self, number: int, told: Listed) -> _Signed:
        signer = self.keys.signer(self.algorithm, status_list.TYPE)
        kept, of = self._kept.get(number), (told, signer.kid)
        if kept is not None and kept.of == of:
            return kept
        ttl, lifetime = self.settings.ttl, self.settings.lifetime
        array = told.array or status_list.NOBODY
        said = status_list.claims(self.lists.uri(number), self.issuer, array, told.checked_at, ttl, lifetime)
        data = signer.unsigned(said)
        signature = await self.in_thread(signer.signature, data) if signer.slow else signer.signature(data)
        # Each process signs with other random numbers: weak, for the same list and not the same octets.
        tag = f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'
        token = signer.signed(data, signature).encode("ascii")
        made = _Signed(of, token, tag, told.checked_at + ttl, told.checked_at + lifetime)
        self._kept.pop(number, None)  # the newest stand at the end
        self._kept[number] = made
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return made


@frozen
class StatusListAggregation:
    """Answers where all lists are (section 9.3), where that is told."""

    lists: StatusLists
    settings: StatusListSettings

    async def __call__(self, request: Request) -> Response:
        """The document."""
        if not self.settings.aggregation:
            raise NOT_FOUND("where the status lists are is not told")
        uris = [self.lists.uri(number) for number in await self.lists.numbers()]
        age = ("Cache-Control", f"public, max-age={self.settings.ttl}")
        return json_response({"status_lists": uris}, headers=(age,))


def _matches(none_match: str | None, tag: str) -> bool:
    """RFC 9110 section 13.1.2: by the weak comparison."""
    if none_match is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in none_match.split(",")]
    return none_match.strip() == "*" or tag.removeprefix("W/") in tags
