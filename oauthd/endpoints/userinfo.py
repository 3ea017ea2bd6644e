"""The userinfo endpoint (OpenID Connect Core section 5.3): claims of the granted scopes (section 5.4) and those that
the `claims` parameter asked for (section 5.5), as JSON, or signed and encrypted as the client is registered.

`username` and `email` go out for `openid` alone while the setting for it is on, as the API document prints them; not
to a client that is to know people by pairwise subjects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from attrs import evolve, frozen

from oauthd.config import UserinfoSettings
from oauthd.events import Events
from oauthd.nested_jwt import NestedJwts
from oauthd.proofs.bearer import Bearer
from oauthd.protocol import profile
from oauthd.protocol.claims import identity, released
from oauthd.protocol.claims_request import requested
from oauthd.protocol.errors import INVALID_TOKEN, OAuthError
from oauthd.protocol.json_text import text
from oauthd.protocol.messages import NO_STORE, Request, Response, json_response
from oauthd.protocol.records import AccessToken, Client, User
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.interface import IStore
from oauthd.stores.users import Users

_INTERACTION = "x-fapi-interaction-id"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@frozen
class Userinfo:
    """Tells a client who the user is.

    :ivar profile: what the server holds all clients to.
    """

    bearer: Bearer
    store: IStore
    clients: Clients
    users: Users
    nested: NestedJwts
    settings: UserinfoSettings
    issuer: str
    profile: str
    events: Events
    entropy: Callable[[int], bytes]

    async def __call__(self, request: Request) -> Response:
        """Answer a userinfo request.

        Both sides find it in their logs by one id: the caller's, or one that is made here, which the answer tells (FAPI
        1.0 Baseline section 6.2.1 items 11 and 12). What is no UUID is not told back, and not logged.
        """
        given = [value for name, value in request.headers.pairs if name == _INTERACTION]
        known = len(given) == 1 and _UUID.fullmatch(given[0])
        interaction = given[0] if known else str(UUID(bytes=self.entropy(16), version=4))
        try:
            return (await self._answer(request, interaction)).adding((_INTERACTION, interaction))
        except OAuthError as error:
            raise evolve(error, headers={**error.headers, _INTERACTION: interaction}) from None

    async def _answer(self, request: Request, interaction: str) -> Response:
        token = await self.bearer.token(request, "openid")
        user = await self.users.find(token.user_id) if token.user_id else None
        client = await self.clients.find(token.client_id)
        if user is None or not user.is_active or client is None:
            raise INVALID_TOKEN("the access token is not a user's")
        claims = await self._claims(token, user, client)
        facts = {"client_id": client.client_id, "user_id": user.user_id, "interaction_id": interaction}
        self.events.tell("userinfo.told", **facts)
        if not (client.userinfo_algorithm or client.userinfo_encryption):
            return json_response(claims)
        return Response(200, (("Content-Type", "application/jwt"), *NO_STORE), await self._jwt(client, claims))

    async def _claims(self, token: AccessToken, user: User, client: Client) -> dict[str, Any]:
        (stored,) = await self.store.get(kinds.grant(token.grant)) if token.grant else (None,)
        asked = stored.record.claims.get("userinfo", {}) if stored else {}
        signed_in = {"acr": token.acr, "auth_time": token.auth_time}
        return {
            **(identity(user, client) if self.settings.identity_with_openid else {}),
            **released(user, token.scope),
            **requested(user, asked),
            **{name: value for name, value in signed_in.items() if name in asked and value},
            "sub": token.subject or user.user_id,  # section 5.3.2: that of the id token
        }

    async def _jwt(self, client: Client, claims: dict[str, Any]) -> bytes:
        """The claims as a token (section 5.3.2): signed, encrypted, or signed and then encrypted (section 16.14)."""
        if not client.userinfo_algorithm:
            return (await self.nested.encrypted(client, text(claims), client.userinfo_encryption)).encode()
        said = {**claims, "iss": self.issuer, "aud": client.client_id}
        algorithm = profile.signs(client, client.userinfo_algorithm, self.nested.keys.algorithms, self.profile)
        return (await self.nested.signed(client, said, algorithm, client.userinfo_encryption)).encode()
