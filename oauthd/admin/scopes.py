"""Scopes in the admin API: created, listed, changed, deleted.

A name stays what it is, since tokens carry it. Of the scopes that there are from the first start only the description
changes, and they are not deleted: the server itself knows them (409). Deleting another one leaves it in the tokens
that carry it until they end; nothing new is granted for it.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen
from msgspec.structs import replace

from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, created, operation
from oauthd.events import Events
from oauthd.protocol.client_metadata import LINE, SCOPE
from oauthd.protocol.errors import CONFLICT
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import Scope
from oauthd.protocol.schemas import Flag, Listing, Member, Members, Text, Whole
from oauthd.stores.scopes import FIRST_SCOPES, ScopeCatalogue

BUILT_IN: Final = frozenset(name for name, *_ in FIRST_SCOPES)
_BUILT: Final = {name: {"reserved": kept, "administrators_only": only} for name, _, kept, only in FIRST_SCOPES}

_ID = (Parameter("scope_id", Whole(1, 2**53), "The number of the scope."),)
_NAME = Member(
    "name",
    Text(SCOPE, "visible ASCII without blanks, quotes and backslashes", 1, 128, example="read_write"),
    "As requests and tokens name it (RFC 6749 section 3.3).",
    required=True,
)
_RULES = (
    Member("description", Text(LINE, "one line of text", longest=300), "What people read at consent.", default=""),
    Member("reserved", Flag(), "Only for clients whose scopes name it.", default=False),
    Member("administrators_only", Flag(), "Only for users who are administrators.", default=False),
)
_NEW = Members((_NAME, *_RULES))
_SHOWN = Members(
    (
        Member("scope_id", Whole(1, 2**53), "The number of the scope.", required=True),
        *_NEW.answered().members,
        Member("built_in", Flag(), "There from the first start: only its description can change.", required=True),
    ),
    name="Scope",
)


@frozen
class ScopesResource:
    """The scopes."""

    scopes: ScopeCatalogue
    events: Events

    @operation(
        Operation(
            "scopes.create",
            "Create a scope",
            {201: Answer("The scope.", _SHOWN, {"Location": "Where the scope is."})},
            body=_NEW,
            refusals=(409,),
        )
    )
    async def create(self, call: Call) -> Response:
        """Add a scope."""
        # One that the server itself knows is missing where the store was founded by an older version.
        scope = await self.scopes.create(Scope(scope_id=0, **{**call.body, **_BUILT.get(call.body["name"], {})}))
        self.events.tell("scope.created", scope=scope.name, **call.caller.facts)
        return created(shown(scope), f"{call.request.path}/{scope.scope_id}")

    @operation(
        Operation(
            "scopes.list",
            "List scopes",
            {
                200: Answer(
                    "Every scope, in the order they were made.",
                    Members((Member("scopes", Listing(_SHOWN), required=True),)),
                )
            },
        )
    )
    async def page(self, call: Call) -> Response:
        """Every scope."""
        return json_response({"scopes": [shown(scope) for scope in (await self.scopes.all()).scopes]})

    @operation(Operation("scopes.show", "Show a scope", {200: Answer("The scope.", _SHOWN)}, arguments=_ID))
    async def show(self, call: Call) -> Response:
        """One scope."""
        return json_response(shown(await self.scopes.find(call.arguments["scope_id"])))

    @operation(
        Operation(
            "scopes.update",
            "Change a scope",
            {200: Answer("The scope as it is now.", _SHOWN)},
            help="Members that are left out stay as they are. The name cannot change.",
            arguments=_ID,
            body=Members(_RULES).given_only(),
            refusals=(409,),
        )
    )
    async def update(self, call: Call) -> Response:
        """Change what is sent."""
        changes = dict(call.body)

        def change(scope: Scope) -> Scope:
            after = replace(scope, **changes)
            rules = {name: "cannot change" for name in changes if getattr(after, name) != getattr(scope, name)}
            rules.pop("description", None)
            if rules and scope.name in BUILT_IN:
                raise CONFLICT("of this scope only the description can change", fields=rules)
            return after

        scope = await self.scopes.update(call.arguments["scope_id"], change)
        self.events.tell("scope.updated", scope=scope.name, **call.caller.facts)
        return json_response(shown(scope))

    @operation(
        Operation(
            "scopes.delete",
            "Delete a scope",
            {204: Answer("Nothing new is granted for it.")},
            arguments=_ID,
            refusals=(409,),
        )
    )
    async def delete(self, call: Call) -> Response:
        """Remove a scope."""
        scope = await self.scopes.find(call.arguments["scope_id"])
        if scope.name in BUILT_IN:
            raise CONFLICT("the server itself knows this scope; it cannot be deleted")
        await self.scopes.delete(scope.scope_id)
        self.events.tell("scope.deleted", scope=scope.name, **call.caller.facts)
        return NO_CONTENT


def shown(scope: Scope) -> dict[str, Any]:
    """A scope as answers show it."""
    return {
        "scope_id": scope.scope_id,
        "name": scope.name,
        "description": scope.description,
        "reserved": scope.reserved,
        "administrators_only": scope.administrators_only,
        "built_in": scope.name in BUILT_IN,
    }
