"""Messages to clients that were given up, in the admin API: seen, sent again, forgotten.

Given up is what a client has refused, or not received for too long: a logout token, a notification of CIBA. It is kept
for a while (`outbox.keep_dead`). What a message says is not told: there may be a token in it.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from oauthd.admin import paging
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, operation
from oauthd.events import Events
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import Outgoing
from oauthd.protocol.schemas import Member, Members, Nullable, Text, Whole
from oauthd.stores.outbox import Outbox

_when: Final = Whole(0, 2**53)
_MESSAGE_ID: Final = Text("[0-9A-Za-z]{22}", "the id of a message", 22, 22)
_ID: Final = (Parameter("message_id", _MESSAGE_ID, "The id of the message."),)
_SHOWN: Final = Members(
    (
        Member("message_id", Text(), required=True),
        Member("sort", Text(), "`logout`, `ciba_ping`, `ciba_push`; `lost`: nothing is left of it.", required=True),
        Member("client_id", Nullable(Text()), "Whom it was for; null where that is not known.", required=True),
        Member("reason", Text(), "Why the last attempt failed.", required=True),
        Member("tries", Whole(0, 2**53), "Attempts that failed.", required=True),
        Member("created_at", _when, "Seconds since 1970.", required=True),
        Member("given_up_at", _when, "Seconds since 1970.", required=True),
        Member("expires_at", _when, "When it is forgotten; seconds since 1970.", required=True),
    ),
    name="DeadMessage",
)


@frozen
class MessagesResource:
    """The messages that were given up."""

    outbox: Outbox
    events: Events

    @operation(
        Operation(
            "messages.list",
            "List messages that were given up",
            {200: Answer("A page of messages.", paging.page_of("messages", _SHOWN))},
            help="Those that will be forgotten first come first.",
            query=paging.PARAMETERS,
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of them."""
        try:
            page = await self.outbox.page(call.query.get("cursor"), call.query.get("limit", paging.USUAL))
        except ValueError:
            raise paging.no_such_page() from None
        told = [_shown(stored.record) for stored in page.items]
        return json_response({"messages": told, "next_cursor": page.cursor})

    @operation(
        Operation(
            "messages.send",
            "Send a message again",
            {204: Answer("It waits to be sent, with as many attempts as a new one.")},
            help="What it says is made anew, for the client as it is now.",
            arguments=_ID,
            refusals=(409,),
        )
    )
    async def send(self, call: Call) -> Response:
        """Send one again."""
        record = await self.outbox.revive(call.arguments["message_id"])
        self.events.tell("message.revived", **_named(record), **call.caller.facts)
        return NO_CONTENT

    @operation(
        Operation(
            "messages.drop", "Forget a message", {204: Answer("It is gone, and will not be sent.")}, arguments=_ID
        )
    )
    async def drop(self, call: Call) -> Response:
        """Forget one."""
        record = await self.outbox.drop(call.arguments["message_id"])
        self.events.tell("message.dropped", **_named(record), **call.caller.facts)
        return NO_CONTENT


def _named(record: Outgoing) -> dict[str, str | None]:
    return {"message_id": record.message_id, "sort": record.sort, "client_id": record.client_id or None}


def _shown(record: Outgoing) -> dict[str, Any]:
    return {
        "message_id": record.message_id,
        "sort": record.sort,
        "client_id": record.client_id or None,
        "reason": record.reason,
        "tries": record.tries,
        "created_at": record.created_at,
        "given_up_at": record.dead_at,
        "expires_at": record.expires_at,
    }
