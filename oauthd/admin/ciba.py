"""Backchannel authentication requests in the API: for the operator's own application on people's devices (CIBA Core).

Such an application is a client with the scope `backchannel`, which acts for itself. It learns what waits, shows it to
the person, authenticates the person by its own means, and says what the person has decided. What it says is believed:
whoever has its credentials can sign in as everybody, so the scope is given to that one client alone.

Told is what a person must see to decide; never an auth_req_id, which is the client's. A decision is said by whom it was
made, and is refused where the request is about somebody else. Said twice it does no harm; said otherwise it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from oauthd.admin import paging
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, Who, operation
from oauthd.admin.users import USER_ID
from oauthd.ciba import CibaRequests, Waiting, request_id
from oauthd.protocol import acr
from oauthd.protocol.beginning import SignedIn
from oauthd.protocol.errors import CONFLICT, NOT_FOUND, OAuthError
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.schemas import AnyObject, Listing, Member, Members, Nullable, Text, Whole
from oauthd.stores.users import Users

AHEAD: Final = 60  # seconds by which the clock of such an application may differ
_when = Whole(0, 2**53)
_CALLED = (
    Parameter(
        "request_id",
        Text(r"[0-9A-Za-z]{14}\.[A-Za-z0-9_-]{43}", "the id of a request", 58, 58),
        "The `request_id` of a listed request.",
    ),
)
_SHOWN: Final = Members(
    (
        Member("request_id", Text(), "What it is called here; the client does not know it.", required=True),
        Member("user_id", Text(), "Whom it is about.", required=True),
        Member("client_id", Text(), required=True),
        Member("client_name", Nullable(Text()), "null for a client that is gone.", required=True),
        Member("binding_message", Nullable(Text()), "What the client shows, too; null for none.", required=True),
        Member("scope", Text(), required=True),
        Member("audience", Listing(Text()), "Resources; empty for the issuer alone.", required=True),
        Member("authorization_details", Listing(AnyObject()), "What else it asks for.", required=True),
        Member("acr_values", Listing(Text()), "What it wishes of the sign-in.", required=True),
        Member("issued_at", _when, "Seconds since 1970.", required=True),
        Member("expires_at", _when, "Seconds since 1970.", required=True),
    ),
    name="AuthenticationRequest",
)
_WHO = Member("user_id", USER_ID, "Who has decided: whom the request is about.", required=True)
_HOW = (
    Member(
        "acr",
        Text(r"[\x21\x23-\x5b\x5d-\x7e]+", "visible ASCII", 1, 256),
        "How the person was authenticated, as id tokens are to say it.",
        default=acr.ELSEWHERE,
    ),
    Member("auth_time", Nullable(_when), "When, in seconds since 1970; null for now.", default=None),
)


@frozen
class CibaResource:
    """The requests that wait for a person."""

    ciba: CibaRequests
    users: Users
    clock: Callable[[], float]

    @operation(
        Operation(
            "backchannel.list",
            "List authentication requests that wait",
            {200: Answer("A page of requests.", paging.page_of("requests", _SHOWN))},
            help="Those that end first come first.",
            who=Who.DEVICES,
            query=(*paging.PARAMETERS, Parameter("user_id", USER_ID, "About this user.")),
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of them."""
        cursor, limit = call.query.get("cursor"), call.query.get("limit", paging.USUAL)
        try:
            page = await self.ciba.waiting(call.query.get("user_id", ""), cursor, limit)
        except ValueError:
            raise paging.no_such_page() from None
        told = [await self._shown(one) for one in page.items]
        return json_response({"requests": told, "next_cursor": page.cursor})

    @operation(
        Operation(
            "backchannel.show",
            "Show an authentication request that waits",
            {200: Answer("The request.", _SHOWN)},
            who=Who.DEVICES,
            arguments=_CALLED,
        )
    )
    async def show(self, call: Call) -> Response:
        """One of them."""
        found = await self._found(call)
        if found.record.status != "pending":
            raise _over()
        return json_response(await self._shown(found))

    @operation(
        Operation(
            "backchannel.approve",
            "Approve an authentication request",
            {204: Answer("The person has approved it.")},
            who=Who.DEVICES,
            arguments=_CALLED,
            body=Members((_WHO, *_HOW)),
            refusals=(409,),
        )
    )
    async def approve(self, call: Call) -> Response:
        """Say that the person has approved a request."""
        found = await self._found(call)
        # Before the user: a deactivation in between makes dead tokens.
        today = await self.ciba.store.generations("", found.record.user_id)
        user = await self.users.find(found.record.user_id)
        if user is None or not user.is_active or today.user is None:
            raise CONFLICT("this user cannot sign in", fields={"user_id": "is not active"})
        now = int(self.clock())
        auth_time = now if call.body["auth_time"] is None else call.body["auth_time"]
        if auth_time > now + AHEAD:
            raise CONFLICT("the sign-in lies in the future", fields={"auth_time": "is later than now"})
        by = SignedIn(user, today.user, min(auth_time, now), call.body["acr"])
        try:
            done = await self.ciba.approve(found, by, b"", **call.caller.facts)
        except OAuthError as error:
            raise CONFLICT(f"what the client asks for cannot be given: {error.description}") from None
        return NO_CONTENT if done else await self._as_before(call, "approved")

    @operation(
        Operation(
            "backchannel.deny",
            "Deny an authentication request",
            {204: Answer("The person has denied it.")},
            who=Who.DEVICES,
            arguments=_CALLED,
            body=Members((_WHO,)),
            refusals=(409,),
        )
    )
    async def deny(self, call: Call) -> Response:
        """Say that the person has denied a request."""
        done = await self.ciba.deny(await self._found(call), b"", **call.caller.facts)
        return NO_CONTENT if done else await self._as_before(call, "denied")

    async def _as_before(self, call: Call, status: str) -> Response:
        """The same answer for who says the same again, as after a lost reply."""
        found = await self._found(call)
        if found.record.status != status:
            raise CONFLICT(f"the request was {found.record.status} before")
        await self.ciba.tell(found.ref, found.record)  # the first time may have ended before that
        return NO_CONTENT

    async def _found(self, call: Call) -> Waiting:
        found = await self.ciba.find(call.arguments["request_id"])
        about = call.body.get("user_id")
        if found is None or not found.record.user_id or about not in (None, found.record.user_id):
            raise _over()
        return found

    async def _shown(self, stored: Waiting) -> dict[str, Any]:
        request = stored.record
        client = await self.ciba.clients.find(request.client_id)
        return {
            "request_id": request_id(stored.ref),
            "user_id": request.user_id,
            "client_id": request.client_id,
            "client_name": client.name if client else None,
            "binding_message": request.message or None,
            "scope": " ".join(request.scope),
            "audience": list(request.audience),
            "authorization_details": list(request.details),
            "acr_values": list(request.acr_values),
            "issued_at": request.asked_at,
            "expires_at": request.usable_until,
        }


def _over() -> OAuthError:
    return NOT_FOUND("no request of this id waits for this user")
