"""The userinfo endpoint (OpenID Connect Core section 5.3): claims of the granted scopes (section 5.4).

`username` and `email` go out for `openid` alone while the setting for it is on, as the API document prints them.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from oauthd.config import UserinfoSettings
from oauthd.proofs.bearer import Bearer
from oauthd.protocol.claims import released
from oauthd.protocol.errors import INVALID_TOKEN
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.stores.users import Users


@frozen
class Userinfo:
    """Tells a client who the user is."""

    bearer: Bearer
    users: Users
    settings: UserinfoSettings

    async def __call__(self, request: Request) -> Response:
        """Answer a userinfo request."""
        token = await self.bearer.token(request, "openid")
        user = await self.users.find(token.user_id) if token.user_id else None
        if user is None or not user.is_active:
            raise INVALID_TOKEN("the access token is not a user's")
        answer: dict[str, Any] = {"sub": user.user_id}
        if self.settings.identity_with_openid:
            answer["username"] = user.username
            if "email" in user.claims:
                answer["email"] = user.claims["email"]
        return json_response(answer | released(user, token.scope))
