"""What clients are told of backchannel authentication (CIBA Core sections 9, 10.2, 10.3 and 12): made when it is sent.

By ping a client learns that there is something to ask for, and no more. What is pushed is the answer itself: minted,
and the request spent, in one step that keeps the answer sealed for as long as it is sent; so what is sent again is the
same. Bodies of the client's answers are not read, and redirects not followed (10.2, 10.3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.ciba import CibaRequests, Waiting, ref_of
from oauthd.deliveries import Post
from oauthd.endpoints.token_answer import TokenAnswers
from oauthd.grants.interface import MINTED_LATER, Redemption, lives
from oauthd.protocol import opaque
from oauthd.protocol.ciba import PING, PUSH, check_mode
from oauthd.protocol.errors import ACCESS_DENIED, TEMPORARILY_UNAVAILABLE, TRANSACTION_FAILED, OAuthError
from oauthd.protocol.grant_types import CIBA
from oauthd.protocol.json_text import text
from oauthd.protocol.records import Client, Grant, Spent
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, Write
from oauthd.stores.tokens import Tokens, extended

MEDIA_TYPE = "application/json"


def _post(client: Client, token: str, body: bytes) -> Post:
    """Section 9: to the registered endpoint, with the token that the client has given for it."""
    return Post(client.ciba_notification_uri, body, MEDIA_TYPE, {"Authorization": f"Bearer {token}"})


def _refusal(client: Client, token: str, auth_req_id: str, error: OAuthError) -> Post:
    """Section 12."""
    told = {"auth_req_id": auth_req_id, "error": error.kind.code, "error_description": error.description}
    return _post(client, token, text(told).encode())


@frozen
class Ping:
    """Tells a client that a request was answered (section 10.2)."""

    ciba: CibaRequests

    async def __call__(self, client: Client, facts: Mapping[str, Any]) -> Post | None:
        """The message; None where there is nothing to be asked for any more."""
        found = await self.ciba.read(ref_of(facts))
        if found is None or found.record.spent is not None or client.ciba_mode != PING:
            return None
        auth_req_id, token = self.ciba.opened(found.record)
        return _post(client, token, text({"auth_req_id": auth_req_id}).encode())


@frozen
class Push:
    """Brings a client the outcome itself (sections 10.3 and 12).

    :ivar profile: what the server holds every client to.
    """

    ciba: CibaRequests
    answers: TokenAnswers
    tokens: Tokens
    access_lifetime: int
    profile: str
    clock: Callable[[], float]

    async def __call__(self, client: Client, facts: Mapping[str, Any]) -> Post | None:
        """The message; None where there is nothing to bring any more.

        :raises OAuthError: when it cannot be made now.
        """
        found = await self.ciba.read(ref_of(facts))
        if found is None or not self._may_still(client):
            return None
        auth_req_id, token = self.ciba.opened(found.record)
        if found.record.status == "denied":
            return _refusal(client, token, auth_req_id, ACCESS_DENIED("the person denied the request"))
        body = await self._answer(client, found, auth_req_id)
        if body is None:
            return _refusal(client, token, auth_req_id, TRANSACTION_FAILED("the authorization has been withdrawn"))
        return _post(client, token, body)

    def _may_still(self, client: Client) -> bool:
        """May tokens be pushed to this client, which may have changed since it asked?"""
        try:
            check_mode(client, self.profile)
        except OAuthError:
            return False
        return client.ciba_mode == PUSH and CIBA in client.grant_types

    async def _answer(self, client: Client, found: Waiting, auth_req_id: str) -> bytes | None:
        """The tokens, minted once; None where they were taken back."""
        if found.record.spent is not None:
            return self.ciba.kept(found.record)
        grant_id = found.ref.slot
        _, generations = await self.ciba.clients.find_with_generations(client.client_id)
        (stored,) = await self.ciba.store.get(kinds.grant(grant_id))
        if stored is None or not await self.tokens.covers(stored.record, generations):
            return None
        grant: Grant = stored.record
        now, refresh = int(self.clock()), "refresh_token" in client.grant_types
        until = grant.ends_at if refresh else now + lives(client, self.access_lifetime) + MINTED_LATER
        spent = Spent(opaque.new_identifier(self.ciba.entropy), now)

        def keeps(body: bytes) -> Write[Any]:
            return Write(found.ref, self.ciba.keeping(replace(found.record, spent=spent), body))

        redemption = Redemption(
            scope=grant.scope,
            generations=grant.generations,
            grant_id=grant_id,
            grant=extended(grant, until),
            audience=grant.audience,
            commit=Commit(expected=(found,), alive=(kinds.grant(grant_id),)),
            refresh=refresh,
            refresh_scope=grant.scope,
            refresh_audience=grant.audience,
            details=grant.details,
            auth_req_id=auth_req_id,
            keeps=keeps,
        )
        answer = await self.answers.make(client, redemption, found.record.binding)
        if answer.step is None or not await self.ciba.store.commit(answer.step):
            raise TEMPORARILY_UNAVAILABLE("it was pushed by another process, or is taken back just now")
        return answer.body
