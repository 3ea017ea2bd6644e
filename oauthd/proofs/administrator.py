"""An administrator's access token: scope `admin`, of a user who still is one, or of a client acting for itself.

Losing the role ends a user's tokens by the generation; the user is looked at here all the same, since a token must not
outlive a right by the length of a race.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.proofs.bearer import Bearer
from oauthd.protocol.errors import INSUFFICIENT_SCOPE
from oauthd.protocol.messages import Request
from oauthd.protocol.records import AccessToken
from oauthd.stores.users import ADMINISTRATOR, Users, is_administrator


@frozen
class Administrator:
    """Finds the administrator's token of a request."""

    bearer: Bearer
    users: Users

    async def token(self, request: Request) -> AccessToken:
        """The token.

        :raises OAuthError: `invalid_token`, `insufficient_scope`, `invalid_request`.
        """
        token = await self.bearer.token(request, ADMINISTRATOR)
        if token.user_id:
            user = await self.users.find(token.user_id)
            if user is None or not is_administrator(user):
                raise INSUFFICIENT_SCOPE("the user of the access token is no administrator", scope=ADMINISTRATOR)
        return token
