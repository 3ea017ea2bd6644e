"""Initial access tokens in the admin API (RFC 7591 section 3): issued, listed, taken back.

A token is told once, in the answer that issues it. It lets its holder register so many clients, as what the settings of
registration say, or as what is said here: that may be more.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from oauthd.admin import paging
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, operation
from oauthd.events import Events
from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.errors import CONFLICT
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import InitialAccess
from oauthd.protocol.schemas import Choice, Listing, Member, Members, Nullable, Schema, Text, Whole
from oauthd.stores.initial_access import InitialAccessTokens
from oauthd.stores.scopes import ScopeCatalogue

DAY, YEAR = 86400, 365 * 86400  # seconds
MOST_USES = 1_000_000
_TOKEN_ID = Text("[0-9a-f]{32}", "the id of an initial access token", 32, 32)
_ID = (Parameter("token_id", _TOKEN_ID, "The id of the token."),)
_scopes = Listing(Text(metadata.SCOPE, "the name of a scope", 1, 128), 200, distinct=True)
_NOTE = Text(metadata.LINE, "one line of text", 0, 200)


@frozen
class InitialAccessResource:
    """The initial access tokens."""

    tokens: InitialAccessTokens
    scopes: ScopeCatalogue
    events: Events
    offered: metadata.Offered

    def _limits(self) -> tuple[Member, ...]:
        def limit(name: str, schema: Schema, what: str) -> Member:
            return Member(name, Nullable(schema), f"{what}; null for what the settings say.", default=None)

        grants = Listing(Choice(self.offered.grant_types), 20, distinct=True)
        methods = Listing(Choice(self.offered.auth_methods), 20, distinct=True)
        return (
            limit("scopes", _scopes, "What its clients may ask for"),
            limit("grant_types", grants, "The grant types that its clients may have"),
            limit("auth_methods", methods, "How its clients may authenticate"),
        )

    def _answer(self, name: str, *more: Member) -> Members:
        when = Whole(0, 2**53)
        sent = Members((Member("note", _NOTE), *self._limits())).answered().members
        return Members(
            (
                Member("token_id", Text(), "What it is called here.", required=True),
                *more,
                Member("uses", Whole(0, MOST_USES), "How many clients it may still register.", required=True),
                Member("created_at", when, "Seconds since 1970.", required=True),
                Member("expires_at", when, "Seconds since 1970.", required=True),
                Member("by", Text(), "The user or client that issued it.", required=True),
                *sent,
            ),
            name=name,
        )

    @operation(
        lambda self: Operation(
            "initial_access.create",
            "Issue an initial access token",
            {
                201: Answer(
                    "The token.",
                    self._answer("NewInitialAccessToken", Member("token", Text(), "Told this once.", required=True)),
                )
            },
            body=Members(
                (
                    Member("uses", Whole(1, MOST_USES), "How many clients it may register.", default=1),
                    Member("lifetime", Whole(1, YEAR), "How long it may, in seconds.", default=DAY),
                    Member("note", _NOTE, "What it is for.", default=""),
                    *self._limits(),
                )
            ),
            body_required=False,
            refusals=(409,),
        )
    )
    async def create(self, call: Call) -> Response:
        """Issue a token."""
        body = dict(call.body)
        known = {scope.name for scope in (await self.scopes.all()).scopes}
        wrong = [number for number, name in enumerate(body["scopes"] or ()) if name not in known]
        if wrong:
            fields = {f"scopes.{number}": "there is no such scope" for number in wrong}
            raise CONFLICT("this cannot be together with what is there; see errors", fields=fields)
        ends = int(self.tokens.clock()) + body.pop("lifetime")
        by = next((one for one in reversed(list(call.caller.facts.values())) if one), "")
        record, token = await self.tokens.issue(InitialAccess("", created_at=0, expires_at=ends, by=by, **body))
        self.events.tell("initial_access.issued", initial_access=record.token_id, **call.caller.facts)
        return json_response(_shown(record) | {"token": token}, 201)

    @operation(
        lambda self: Operation(
            "initial_access.list",
            "List initial access tokens",
            {200: Answer("A page of those that can be used.", paging.page_of("tokens", self._answer("InitialAccess")))},
            query=paging.PARAMETERS,
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of the tokens, by when they end."""
        found, cursor = await paging.filtered(self.tokens.page, lambda record: True, call.query)
        return json_response({"tokens": [_shown(record) for record in found], "next_cursor": cursor})

    @operation(
        Operation(
            "initial_access.revoke",
            "Take an initial access token back",
            {204: Answer("It is no good any more. Clients that it registered stay.")},
            arguments=_ID,
        )
    )
    async def revoke(self, call: Call) -> Response:
        """Take a token back."""
        token_id = call.arguments["token_id"]
        await self.tokens.revoke(token_id)
        self.events.tell("initial_access.revoked", initial_access=token_id, **call.caller.facts)
        return NO_CONTENT


def _shown(record: InitialAccess) -> dict[str, Any]:
    def listed(value: tuple[str, ...] | None) -> list[str] | None:
        return None if value is None else list(value)

    return {
        "token_id": record.token_id,
        "uses": record.uses,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "by": record.by,
        "note": record.note,
        "scopes": listed(record.scopes),
        "grant_types": listed(record.grant_types),
        "auth_methods": listed(record.auth_methods),
    }
