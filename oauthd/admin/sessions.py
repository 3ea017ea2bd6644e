"""Sessions in the admin API: the browsers in which a user is signed in, and their end.

Ending one by its id ends every grant that was given in it, with all tokens, those for use without the person too; its
clients are told by the back channel as at any sign-out.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from oauthd.admin import paging
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, operation
from oauthd.admin.users import USER_ID
from oauthd.events import Events
from oauthd.protocol.errors import NOT_FOUND
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import Session
from oauthd.protocol.schemas import Listing, Member, Members, Text, Whole
from oauthd.sign_out import SignOut
from oauthd.stores.interface import Stored
from oauthd.stores.sessions import Sessions, session_id
from oauthd.stores.users import Users

_when: Final = Whole(0, 2**53)
_SHOWN: Final = Members(
    (
        Member("session_id", Text(), "Names the session, and opens nothing.", required=True),
        Member("user_id", Text(), required=True),
        Member("signed_in_at", _when, "Seconds since 1970.", required=True),
        Member("expires_at", _when, "When it ends if nobody uses it; seconds since 1970.", required=True),
        Member("clients", Listing(Text()), "Those that got something in it, the latest hundred.", required=True),
    ),
    name="Session",
)


@frozen
class SessionsResource:
    """The sessions of users."""

    sessions: Sessions
    sign_out: SignOut
    users: Users
    events: Events

    @operation(
        Operation(
            "sessions.list",
            "List sessions of a user",
            {200: Answer("A page of sessions.", paging.page_of("sessions", _SHOWN))},
            arguments=(Parameter("user_id", USER_ID, "The id of the user."),),
            query=paging.PARAMETERS,
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of the live sessions of a user."""
        user_id, query = call.arguments["user_id"], call.query
        if await self.users.find(user_id) is None:
            raise NOT_FOUND("there is no such user")
        try:
            page = await self.sessions.page(user_id, query.get("cursor"), query.get("limit", paging.USUAL))
        except ValueError:
            raise paging.no_such_page() from None
        return json_response({"sessions": list(map(_shown, page.items)), "next_cursor": page.cursor})

    @operation(
        Operation(
            "sessions.end",
            "End a session",
            {204: Answer("It is over, and every token that was given in it is dead.")},
            arguments=(
                Parameter("session_id", Text("[A-Za-z0-9_-]{43}", "the id of a session"), "The id of the session."),
            ),
        )
    )
    async def end(self, call: Call) -> Response:
        """End the session of that id, and all that came of it."""
        session = await self.sign_out.revoke(call.arguments["session_id"])
        if session is None:
            raise NOT_FOUND("there is no such session")
        self.events.tell("revoked.session", user_id=session.user_id, **call.caller.facts)
        return NO_CONTENT


def _shown(stored: Stored[Session]) -> dict[str, Any]:
    """A session as lists show it."""
    session = stored.record
    return {
        "session_id": session_id(stored.ref),
        "user_id": session.user_id,
        "signed_in_at": session.auth_time,
        "expires_at": session.expires_at,
        "clients": list(session.clients),
    }
