"""Tokens in the admin API: active ones are listed, one or many are ended, never looked up by their value.

An access token ends itself, a refresh token its grant with all that came of it. Ending all of a user, of a client, for
a resource or of everybody costs one write, however many there are. Revocation by value (RFC 7009) is answered here for
administrators, for any token; a client's own revocation is the revocation endpoint's, in JSON as well as as a form.

Without a filter the list walks over the clients, so its pages may be short or empty; `next_cursor` says whether there
is more. Tokens of a client that was deleted are dead, so none is left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from oauthd.admin import paging
from oauthd.admin.client_members import CLIENT_ID
from oauthd.admin.declarations import NO_CONTENT, Access, Answer, Call, Operation, Parameter, Who, operation
from oauthd.admin.users import USER_ID
from oauthd.events import Events
from oauthd.protocol import basic
from oauthd.protocol.client_metadata import LONGEST_URI, RESOURCE
from oauthd.protocol.errors import INVALID_CLIENT, NOT_FOUND
from oauthd.protocol.messages import NO_STORE, Parameters, Request, Response, json_response
from oauthd.protocol.schemas import Choice, Flag, Listing, Member, Members, Nullable, Text, Whole
from oauthd.sign_out import SignOut
from oauthd.stores.clients import LONGEST_ID, Clients
from oauthd.stores.resources import ResourceGenerations
from oauthd.stores.tokens import Listed, Tokens
from oauthd.stores.users import Users

END: Final = "-"
CLIENTS_A_PAGE: Final = 100
"""How many clients one page of the unfiltered list walks over at most."""

Facts = Mapping[str, str | None]
"""Who does it, for the event."""

_VISIBLE = r"[\x21-\x7e]+"
_when = Whole(0, 2**53)
_SHOWN: Final = Members(
    (
        Member("token_id", Text(), "Names the token, and tells nothing of its value.", required=True),
        Member("kind", Choice(("access", "refresh")), required=True),
        Member("grant_id", Nullable(Text()), "The grant that it dies with; null for one without.", required=True),
        Member("client_id", Text(), required=True),
        Member("user_id", Nullable(Text()), "null for a client's own token.", required=True),
        Member("username", Nullable(Text()), "null for a client's own token.", required=True),
        Member("scope", Text(), required=True),
        Member("audience", Listing(Text()), "Resources; empty for the issuer alone.", required=True),
        Member("issued_at", _when, "Seconds since 1970.", required=True),
        Member("expires_at", _when, "Seconds since 1970.", required=True),
    ),
    name="Token",
)
_CLIENT = Parameter("client_id", CLIENT_ID, "Of this client.")
_USER = Parameter("user_id", USER_ID, "Of this user.")
_GRANT = Parameter("grant_id", Text("[A-Za-z0-9]+", "the id of a grant", 1, 32), "Of this grant; it ends.")
_RESOURCE = Parameter(
    "resource",
    Text(RESOURCE, "an absolute URI without fragment", 1, LONGEST_URI),
    "Every access token for this resource; grants go on.",
)
_REVOCATION: Final = Members(
    (
        Member("token", Text(_VISIBLE, "a token", 1, 16384), "An access or refresh token.", required=True),
        Member("token_type_hint", Text(_VISIBLE, "a word", 1, 64), "Not needed, and not relied on."),
        Member("client_id", Text(_VISIBLE, "the id of a client", 1, 255), "Client authentication."),
        Member("client_secret", Text(_VISIBLE, "a secret", 1, 1024), "Client authentication."),
    )
)


@frozen
class Place:
    """A place in the unfiltered list.

    :ivar after: the cursor among the clients; `END` after the last one, "" before the first.
    :ivar client_id: the client whose tokens come next, "" for the next client's.
    :ivar within: the cursor among its tokens, "" for the first ones.
    """

    after: str = ""
    client_id: str = ""
    within: str = ""

    @property
    def ended(self) -> bool:
        """Is there nothing more?"""
        return self.after == END and not self.client_id

    def written(self) -> str:
        """The cursor of the place."""
        parts = [self.after, self.client_id, self.within]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()

    @classmethod
    def read(cls, cursor: str) -> Place:
        """The place of a cursor.

        :raises ValueError: when it is none.
        """
        try:
            parts = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        except RecursionError:
            raise ValueError("not a cursor") from None
        if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str) for part in parts):
            raise ValueError("not a cursor")
        place = cls(*parts)
        if place.written() != cursor or place.ended or not place.after or len(place.client_id) > LONGEST_ID:
            raise ValueError("not a cursor")
        return place


@frozen
class TokensResource:
    """The issued tokens.

    :ivar end: ends a token by its value: of that client, or for None of any.
    :ivar revocation: the revocation endpoint, for clients.
    """

    tokens: Tokens
    sign_out: SignOut
    resources: ResourceGenerations
    clients: Clients
    users: Users
    events: Events
    access: Access
    end: Callable[[str, str | None], Awaitable[bool]]
    revocation: Callable[[Request], Awaitable[Response]]

    @operation(
        Operation(
            "tokens.list",
            "List active tokens",
            {200: Answer("A page of tokens.", paging.page_of("tokens", _SHOWN))},
            query=(
                *paging.PARAMETERS,
                _CLIENT,
                _USER,
                Parameter("kind", Choice(("access", "refresh")), "Of this kind."),
            ),
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of the live tokens that fit the filters."""
        query = call.query
        try:
            if "client_id" in query or "user_id" in query:
                found, cursor = await self._filtered(query)
            else:
                found, cursor = await self._walk(query)
        except ValueError:
            raise paging.no_such_page() from None
        names = {one.token.user_id: getattr(one.token, "username", "") for one in found}
        for user_id in names:
            if user_id and not names[user_id]:  # a refresh token does not say
                user = await self.users.find(user_id)
                names[user_id] = user.username if user else ""
        return json_response({"tokens": [_shown(one, names) for one in found], "next_cursor": cursor})

    async def _filtered(self, query: Mapping[str, Any]) -> tuple[list[Listed], str | None]:
        found: list[Listed] = []
        cursor, limit = query.get("cursor"), query.get("limit", paging.USUAL)
        looked_at = 0
        while len(found) < limit and looked_at < paging.READ:
            wanted = limit - len(found)
            more, cursor = await self._page(query.get("client_id", ""), query, cursor, wanted)
            found += more
            looked_at += wanted
            if cursor is None:
                break
        return found, cursor

    async def _walk(self, query: Mapping[str, Any]) -> tuple[list[Listed], str | None]:
        """Client by client."""
        found: list[Listed] = []
        limit = query.get("limit", paging.USUAL)
        place = Place.read(query["cursor"]) if "cursor" in query else Place()
        for _ in range(CLIENTS_A_PAGE):
            if not place.client_id:
                place = await self._next_client(place)
            if place.client_id:
                more, within = await self._page(place.client_id, query, place.within or None, limit - len(found))
                found += more
                place = Place(place.after, place.client_id if within else "", within or "")
            if place.ended:
                return found, None
            if len(found) >= limit:
                break
        return found, place.written()

    async def _next_client(self, place: Place) -> Place:
        page = await self.clients.page(place.after or None, 1)
        client_id = page.items[0].record.client_id if page.items else ""  # a listed client may be gone
        return Place(page.cursor or END, client_id)

    async def _page(
        self, client_id: str, query: Mapping[str, Any], cursor: str | None, limit: int
    ) -> tuple[list[Listed], str | None]:
        return await self.tokens.page(client_id, query.get("user_id", ""), query.get("kind", ""), cursor, limit)

    @operation(
        Operation(
            "tokens.delete",
            "End a token",
            {204: Answer("It is dead; of a refresh token, the whole grant.")},
            arguments=(
                Parameter(
                    "token_id",
                    Text(r"[ar][A-Za-z0-9]{0,32}\.[A-Za-z0-9_-]{43}", "the id of a token"),
                    "The `token_id` of a listed token.",
                ),
            ),
        )
    )
    async def delete(self, call: Call) -> Response:
        """End the token of that id."""
        ended = await self.tokens.end_by_id(call.arguments["token_id"])
        if ended is None:
            raise NOT_FOUND("there is no active token of this id")
        self.events.tell(
            "token.revoked" if ended.kind == "access" else "grant.ended",
            client_id=ended.token.client_id,
            user_id=ended.token.user_id or None,
            **call.caller.facts,
        )
        return NO_CONTENT

    @operation(
        Operation(
            "tokens.revoke_all",
            "End many tokens",
            {204: Answer("They are dead, and of a user every session too.")},
            help="All of a client, of a user, of a grant, for a resource, or all that there are. Each is one write, "
            "however many tokens there are. Those of `all` include the one that this request is made with.",
            one_of=(_CLIENT, _USER, _GRANT, _RESOURCE, Parameter("all", Flag(only=True), "Every token of everybody.")),
            refusals=(404,),
        )
    )
    async def revoke_all(self, call: Call) -> Response:
        """End all of a client, of a user, of a grant, for a resource, or everything."""
        ways: Mapping[str, Callable[[Any, Facts], Awaitable[None]]] = {
            "client_id": self._revoke_client,
            "user_id": self._revoke_user,
            "grant_id": self._revoke_grant,
            "resource": self._revoke_resource,
            "all": self._revoke_everything,
        }
        ((name, value),) = call.query.items()
        await ways[name](value, call.caller.facts)
        return NO_CONTENT

    async def _revoke_client(self, client_id: str, by: Facts) -> None:
        if await self.clients.find(client_id) is None:
            raise NOT_FOUND("there is no such client")
        await self.tokens.end_all_of_client(client_id)
        self.events.tell("revoked.client", client_id=client_id, **by)

    async def _revoke_user(self, user_id: str, by: Facts) -> None:
        if await self.users.find(user_id) is None:
            raise NOT_FOUND("there is no such user")
        await self.users.end_vouchers(user_id)
        await self.sign_out.everywhere(user_id)
        self.events.tell("revoked.user", user_id=user_id, **by)

    async def _revoke_grant(self, grant_id: str, by: Facts) -> None:
        grant = await self.tokens.find_grant(grant_id)
        if grant is None:
            raise NOT_FOUND("there is no such grant")
        await self.tokens.end_grant(grant_id)
        self.events.tell("grant.ended", client_id=grant.client_id, user_id=grant.user_id or None, **by)

    async def _revoke_resource(self, resource: str, by: Facts) -> None:
        if resource not in await self.clients.resources():
            raise NOT_FOUND("there is no such resource")
        await self.resources.revoke(resource)
        self.events.tell("revoked.resource", resource=resource, **by)

    async def _revoke_everything(self, _: bool, by: Facts) -> None:
        await self.tokens.end_everything()
        self.events.tell("revoked.everything", **by)

    @operation(
        Operation(
            "tokens.revoke",
            "Revoke a token by its value",
            {200: Answer("It is dead, or was none (RFC 7009 section 2.2).")},
            help="A client authenticates itself, by Basic or by `client_id` and `client_secret`, and revokes its own "
            "tokens. An administrator's access token revokes any. In JSON or as a form.",
            who=Who.ANYBODY,
            body=_REVOCATION,
            form=evolve(_REVOCATION, open=True),
            refusals=(401, 403),
        )
    )
    async def revoke(self, call: Call) -> Response:
        """End a token by its value."""
        request = call.request
        if basic.scheme(request.headers.one("authorization") or "") not in (basic.BEARER, basic.DPOP):
            return await self.revocation(_as_form(request, call.body))
        await self.access.caller(request, Who.ADMINISTRATOR)
        if "client_secret" in call.body or "client_id" in call.body:  # RFC 6749 section 2.3
            raise INVALID_CLIENT("there are an access token and client credentials in one request")
        await self.end(call.body["token"], None)
        return Response(200, NO_STORE)


def _shown(listed: Listed, names: Mapping[str, str]) -> dict[str, Any]:
    """A token as lists show it, with the names of users."""
    token = listed.token
    return {
        "token_id": listed.token_id,
        "kind": listed.kind,
        "grant_id": listed.grant_id or None,
        "client_id": token.client_id,
        "user_id": token.user_id or None,
        "username": names.get(token.user_id) or None,
        "scope": " ".join(token.scope),
        "audience": list(token.audience),
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
    }


def _as_form(request: Request, body: Mapping[str, Any]) -> Request:
    """The request as the revocation endpoint reads it."""
    if request.content_type != "application/json":
        return request
    return evolve(request, form=Parameters(tuple(body.items())), content_type="application/x-www-form-urlencoded")
