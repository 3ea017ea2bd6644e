"""A client's public keys, as it registered them: in its record, or at its `jwks_uri` (RFC 7591 section 2).

Keys that are there are used without waiting for anybody. A document whose time is over is fetched again while the keys
of before are used once more, for a while; a key that is not among them makes us look again, once a minute at most
(OpenID Connect Core section 10.1.1: its name tells of a rotation). Whoever asks for one that is not there waits for the
fetcher, no longer than it allows.

Refused is a document that is no JWK Set (RFC 7517 section 5), or has too many keys. Keys of kinds that mean nothing
here are passed over by whoever reads them; members that do are not kept.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from oauthd.fetcher import Fetcher, FetchRefused
from oauthd.proofs.interface import Unproven
from oauthd.protocol import key_sets
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE
from oauthd.protocol.records import Client

Key = Mapping[str, Any]
Keys = Sequence[Key]
_Place = tuple[bool, str]
"""Was it named by a stranger, and the address."""

TYPES: Final = ("application/json", "application/jwk-set+json")  # RFC 7517 section 8.5.2
AGAIN: Final = 60.0
"""Seconds after which a document may be fetched again for a key that is not in it."""
STALE: Final = 600.0
"""Seconds for which keys are used whose document cannot be had again, or is on its way."""
MOST_KEYS: Final = 50
MOST_SETS: Final = 256  # that are kept as read; others are read each time
_WORDS: Final = ("kty", "kid", "alg", "use", "crv", "x", "y", "n", "e", "pub", *key_sets.PRIVATE)
_LISTS: Final = (("key_ops", 10), ("x5c", 1))  # RFC 7517 section 4.7: the first certificate is the key's own

_log = Logger(namespace="oauthd.proofs")


@frozen
class _Set:
    """Keys that were read from a document, and when (monotonic) it was last had."""

    body: bytes = field(repr=False)
    keys: Keys = field(repr=False)
    since: float


@define(eq=False)
class ClientKeys:
    """Finds the keys of clients.

    :ivar monotonic: seconds that never go back.
    """

    fetcher: Fetcher
    monotonic: Callable[[], float]
    _sets: OrderedDict[_Place, _Set] = field(factory=OrderedDict, init=False, repr=False)

    async def of(self, client: Client, kid: str | None = None) -> Keys:
        """The client's keys, as JWKs.

        :param kid: the key that is looked for; None for any.
        :raises FetchRefused: when they cannot be had, with a text for the client's developer that follows "the document
            at its jwks_uri".
        """
        return await self.holding(client, (lambda key: key.get("kid") == kid) if kid is not None else _any)

    async def holding(self, client: Client, wanted: Callable[[Key], bool]) -> Keys:
        """The same, where it is a certificate that is looked for, or whatever else a key is known by."""
        if not client.jwks_uri:
            keys: Keys = client.jwks.get("keys", ())
            return keys
        kept = self._sets.get(_place(client))
        here = kept is not None and self.monotonic() - kept.since < STALE and any(map(wanted, kept.keys))
        fetching = Deferred.fromCoroutine(self._fetched(client))
        if kept is not None and here and (not fetching.called or isinstance(fetching.result, Failure)):
            fetching.addErrback(_not_waited_for)
            return kept.keys
        keys = await fetching
        if any(map(wanted, keys)):
            return keys
        try:
            return await self._fetched(client, AGAIN)
        except FetchRefused:
            return keys

    async def _fetched(self, client: Client, oldest: float | None = None) -> Keys:
        place = stranger, uri = _place(client)
        body = await self.fetcher.get(uri, TYPES, oldest=oldest, stranger=stranger)
        kept = self._sets.get(place)
        keys = _read(body) if kept is None or kept.body is not body else kept.keys
        self._sets[place] = _Set(body, keys, self.monotonic())
        self._sets.move_to_end(place)
        if len(self._sets) > MOST_SETS:  # what strangers name takes nothing from whom an administrator has made
            del self._sets[next((one for one in self._sets if one[0]), next(iter(self._sets)))]
        return keys


def _place(client: Client) -> _Place:
    return client.registered_itself, client.jwks_uri


def missing(error: FetchRefused) -> Exception:
    """What it means for a client that its keys cannot be had.

    Whoever names a client is not that client yet: he is told what he would be told of one that nobody knows, and the
    reason stands in our log. Only where it is our server that has too much to do is it no answer that the client is not
    itself; that there is such a client, which the status then shows, is no secret (RFC 6749 section 2.2).
    """
    why = f"the document at the client's jwks_uri {error.description} ({error.log})"
    if error.passing:
        return TEMPORARILY_UNAVAILABLE("client authentication cannot be judged at the moment; try again", log=why)
    return Unproven(log=why)


def _any(key: Key) -> bool:
    return True


def _not_waited_for(failure: Failure) -> None:
    if not isinstance(failure.value, FetchRefused):
        _log.failure("fetching a client's keys failed", failure)


def _read(body: bytes) -> Keys:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise FetchRefused("is not JSON") from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise FetchRefused("is not a JWK Set")
    if len(keys) > MOST_KEYS:
        raise FetchRefused(f"has more than {MOST_KEYS} keys")
    return [_known(key) for key in keys if isinstance(key, dict)]


def _known(key: Key) -> Key:
    """What anybody here looks at, of a key that may be whatever its host likes, and is kept.

    A member that is not of its type stays, and fits nothing.
    """
    words = {name: key[name] if isinstance(key[name], str) else None for name in _WORDS if name in key}
    lists = {name: key[name][:most] if isinstance(key[name], list) else [] for name, most in _LISTS if name in key}
    return words | {name: [one for one in found if isinstance(one, str)] for name, found in lists.items()}
