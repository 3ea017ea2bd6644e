"""The global token revocation endpoint (draft-parecki-oauth-global-token-revocation-06): a monitoring tool or an
identity provider ends all that a user has, sessions and offline grants included; the user signs in anew.

The draft leaves authentication open and wants it narrow: an access token whose scope is for this alone. Users are named
by id (`opaque`, or `iss_sub` with our issuer) or, where usernames are email addresses, by `email` (RFC 9493 section
3.2). A pairwise subject names nobody here. Refused with 404 while the setting for it is off.

Section numbers are those of revision 06; read was its source as it stood after revision 05 was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from oauthd.events import Events
from oauthd.proofs.bearer import Bearer
from oauthd.protocol.errors import INVALID_REQUEST, NOT_FOUND
from oauthd.protocol.json_body import read_json
from oauthd.protocol.messages import NO_STORE, Request, Response
from oauthd.protocol.records import User
from oauthd.sign_out import SignOut
from oauthd.stores.users import Users

SCOPE: Final = "global_token_revocation"
MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {"opaque": ("id",), "iss_sub": ("iss", "sub"), "email": ("email",)}
"""The formats of subject identifiers, and what each must have (RFC 9493 section 3.2)."""


@frozen
class GlobalTokenRevocation:
    """Ends all tokens and sessions of a user.

    :ivar on: else there is no such endpoint.
    """

    on: bool
    bearer: Bearer
    sign_out: SignOut
    users: Users
    events: Events
    issuer: str

    async def __call__(self, request: Request) -> Response:
        """Answer a revocation request: 204 after the store has confirmed (section 3.4)."""
        if not self.on:
            raise NOT_FOUND("there is nothing here")
        token = await self.bearer.token(request, SCOPE)
        user = await self._user(_subject(read_json(request)))
        if user is None:
            raise NOT_FOUND("there is no such user")
        await self.users.end_vouchers(user.user_id)  # section 3.3: nor does a trusted issuer's older word bring it back
        await self.sign_out.everywhere(user.user_id)
        by = {"by_client": token.client_id, "by_user": token.user_id or None}
        self.events.tell("revoked.user", user_id=user.user_id, **by)
        return Response(204, NO_STORE)

    async def _user(self, subject: Mapping[str, str]) -> User | None:
        if subject["format"] == "email":
            return await self.users.find_by_name(subject["email"])
        if subject["format"] == "iss_sub":
            return await self.users.find(subject["sub"]) if subject["iss"] == self.issuer else None
        return await self.users.find(subject["id"])


def _subject(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The subject identifier of the body (section 3.2)."""
    subject = body.get("sub_id")
    if set(body) != {"sub_id"} or not isinstance(subject, dict):
        raise INVALID_REQUEST("the body must have one member, sub_id, with the identifier of a user")
    members = MEMBERS.get(subject["format"]) if isinstance(subject.get("format"), str) else None
    if members is None:
        raise INVALID_REQUEST(f"the format of sub_id must be one of {', '.join(MEMBERS)}")
    # RFC 9493 section 3: no other members than those of the format
    if set(subject) != {"format", *members} or not all(isinstance(subject[name], str) for name in members):
        raise INVALID_REQUEST(f"a sub_id of this format has {' and '.join(members)}, as text, and nothing else")
    return subject
