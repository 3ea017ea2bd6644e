"""An administrator's access token: scope `admin`, of a user who still is one, or of a client acting for itself.

Losing the role ends a user's tokens by the generation; the user is looked at here all the same, since a token must not
outlive a right by the length of a race. A setting may demand that the user has signed in not long ago (RFC 9470): a
token that somebody found, or a session that was left open, then runs the server for no longer than that. Clients that
act for themselves have not signed in, and are not asked to.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.proofs.bearer import Bearer
from oauthd.protocol.errors import INSUFFICIENT_SCOPE, INSUFFICIENT_USER_AUTHENTICATION
from oauthd.protocol.messages import Request
from oauthd.protocol.records import AccessToken
from oauthd.stores.users import ADMINISTRATOR, Users, is_administrator


@frozen
class Administrator:
    """Finds the administrator's token of a request.

    :ivar max_age: seconds since the user signed in; 0 for any.
    """

    bearer: Bearer
    users: Users
    clock: Callable[[], float]
    max_age: int = 0

    async def token(self, request: Request) -> AccessToken:
        """The token.

        :raises OAuthError: `invalid_token`, `insufficient_scope`, `insufficient_user_authentication`,
            `invalid_request`.
        """
        token = await self.bearer.token(request, ADMINISTRATOR)
        if token.user_id:
            user = await self.users.find(token.user_id)
            if user is None or not is_administrator(user):
                raise INSUFFICIENT_SCOPE("the user of the access token is no administrator", scope=ADMINISTRATOR)
            if self.max_age and int(self.clock()) - token.auth_time > self.max_age:
                raise INSUFFICIENT_USER_AUTHENTICATION(  # RFC 9470 section 3
                    "more recent authentication is required", challenge={"max_age": str(self.max_age)}
                )
        return token
