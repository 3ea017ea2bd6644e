"""Access tokens that are not written down (of clients that are registered for that): what they say more, and reading.

Such a token is a JWT (RFC 9068) that we find nowhere: its signature vouches for it, by a key of ours that is published
still. Nobody but us needs to read what it says more; what it would tell of a person is sealed with the master key.

Cheap to refuse, in this order: whatever is too long, does not begin with the very header that one of our keys signs
under, or is not spelled canonically; then whatever the signature does not fit, is from another issuer, or has no
generations. A token is not known by its string: a signature (r, s) can be written as (r, n - s), too. It is revoked by
its `jti`. Whether it is alive (its end, generations, grant, revocation) is for `oauthd.stores`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from oauthd.keys import Keys
from oauthd.protocol import jose, stateless
from oauthd.protocol.json_text import text
from oauthd.protocol.records import AccessToken
from oauthd.protocol.seals import SealBroken, Seals

TYPE: Final = "at+jwt"
"""RFC 9068 section 2.1."""
_PURPOSE: Final = "token that is not written down"


@define(eq=False)
class StatelessTokens:
    """Knows them.

    :ivar clock: wall-clock seconds.
    """

    keys: Keys
    seals: Seals
    issuer: str
    clock: Callable[[], float]
    _heads: dict[bytes, tuple[Mapping[str, Any], str, int | None]] | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.keys.changed.append(self._forget)

    def completed(self, record: AccessToken, claims: Mapping[str, Any]) -> dict[str, Any]:
        """The claims of such a token, so that they tell us the whole record."""
        said = {**claims, stateless.GENERATIONS: stateless.generations(record)}
        rest = stateless.rest(record, said)
        if rest:
            said[stateless.SEALED] = jose.encode(self.seals.seal(_PURPOSE, text(rest).encode()))
        return said

    def read(self, token: bytes) -> AccessToken | None:
        """The record of such a token, expired or revoked as it may be; None for every other string."""
        known = self._known().get(token.partition(b".")[0]) if len(token) <= jose.LONGEST else None
        if known is None:
            return None
        jwk, algorithm, retires_at = known
        if retires_at is not None and retires_at <= self.clock():
            return None
        try:
            said = jose.verify(token.decode("ascii"), (jwk,), (algorithm,), issuer=self.issuer, typ=TYPE, now=None)
            if stateless.GENERATIONS not in said:
                return None  # it was written down: then it is alive only where it still stands
            return stateless.record(said, self._opened(said))
        except (jose.TokenRefused, SealBroken, TypeError, ValueError):
            return None

    def _opened(self, claims: Mapping[str, Any]) -> stateless.Rest:
        sealed = claims.get(stateless.SEALED)
        if sealed is None:
            return {}
        rest: stateless.Rest = json.loads(self.seals.open(_PURPOSE, jose.decode(sealed)))
        return rest

    def _known(self) -> dict[bytes, tuple[Mapping[str, Any], str, int | None]]:
        """By their headers, the keys that verify."""
        heads = self._heads
        if heads is None:
            heads = self._heads = {
                jose.head(key.algorithm, TYPE, key.kid): (key.public, key.algorithm, key.retires_at)
                for key in self.keys.states()
                if key.algorithm in jose.ASYMMETRIC
            }
        return heads

    def _forget(self) -> None:
        self._heads = None
