"""A token that a client has already, in place of another one like it: for clients that ask for one at every request.

Only a client's own tokens (client_credentials without a refresh token) of clients that are registered for it
(`reuses_tokens`), and only for the same request: the same scope, resources, authorization details and proof of
possession, and a token that would be made in the same manner now, whatever has a say in that. It is handed out again
while at least half of its life is left, with what is left of it as `expires_in` (RFC 6749 section 5.1), and only while
it is alive, as introspection would say at that moment: a revoked one is never handed out.

The finished answer lies in the store, so that all nodes hand out the same one, and in memory; in both sealed with the
master key, under a keyed digest of the request. Several requests at the moment when there is none may each get a token
of their own; the last one is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from oauthd.endpoints.token_answer import TokenAnswer
from oauthd.grants.interface import Ask, Redemption
from oauthd.minting import Minting
from oauthd.protocol.confirmation import confirmation
from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.json_text import text
from oauthd.protocol.records import Reused
from oauthd.protocol.seals import SealBroken, Seals
from oauthd.stores import kinds
from oauthd.stores.answers import Answers
from oauthd.stores.interface import IStore, Ref, Write

MOST: Final = 1000
"""How many are kept in memory."""
_PURPOSE: Final = "token to be reused"


@define(eq=False)
class TokenReuse:
    """Finds tokens to be handed out again, and keeps them.

    :ivar answers: tells which are alive.
    :ivar minting: says in which manner a token would be made.
    :ivar clock: wall-clock seconds.
    """

    store: IStore
    seals: Seals
    answers: Answers
    minting: Minting
    clock: Callable[[], float]
    _kept: dict[bytes, Reused] = field(factory=dict, init=False, repr=False)

    def suits(self, ask: Ask, redemption: Redemption) -> bool:
        """May the answer be one that was given before?"""
        return (
            ask.client.reuses_tokens
            and ask.parameters.one("grant_type") == "client_credentials"
            and redemption.grant is None
        )

    async def find(self, ask: Ask, redemption: Redemption) -> bytes | None:
        """The answer with a live token of this request; None where there is none that lives long enough."""
        ref = self._ref(ask, redemption)
        kept = self._kept.get(ref.ident)
        found = None if kept is None else await self._good(kept)
        if found is None:
            (stored,) = await self.store.get(ref)
            if stored is not None and stored.record != kept:
                found = await self._good(stored.record)
                if found is not None:
                    self._keep(ref.ident, stored.record)
        return found

    async def keep(self, ask: Ask, redemption: Redemption, answer: TokenAnswer) -> None:
        """Keep an answer for the next request like this one."""
        ref, token = self._ref(ask, redemption), answer.access.record
        reused = Reused(self.seals.seal(_PURPOSE, answer.body), token.issued_at, token.expires_at)
        self._keep(ref.ident, reused)
        await self.store.put(Write(ref, reused))

    def _keep(self, ident: bytes, reused: Reused) -> None:
        self._kept.pop(ident, None)
        self._kept[ident] = reused
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    async def _good(self, reused: Reused) -> bytes | None:
        now = int(self.clock())
        if 2 * (reused.expires_at - now) < reused.expires_at - reused.issued_at:
            return None
        try:
            answer: dict[str, Any] = json.loads(self.seals.open(_PURPOSE, reused.sealed))
        except (SealBroken, ValueError):  # its master key is gone
            return None
        token: str = answer["access_token"]
        entry = await self.answers.find(kinds.digest(token), token.encode())
        if entry.value == INACTIVE:
            return None
        return text({**answer, "expires_in": reused.expires_at - now}).encode()

    def _ref(self, ask: Ask, redemption: Redemption) -> Ref[Reused]:
        like: list[Any] = [
            ask.client.client_id, sorted(redemption.scope), sorted(redemption.audience), list(redemption.details),
            confirmation(ask.binding), repr(self.minting.manner(ask.client, redemption.audience)),
        ]  # fmt: skip
        return kinds.REUSED.at(self.seals.digest(_PURPOSE, text(like).encode("utf-8", "surrogatepass")))
