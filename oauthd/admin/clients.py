"""Clients in the admin API: registered, listed, changed, given new secrets, deleted.

PUT changes the members that are sent and leaves the others as they are; a list is replaced as a whole. The type of a
client does not change. What is taken from a client ends its tokens: its being active, a scope, or a type of
authorization details. A client is neither deleted, deactivated nor robbed of `admin` or a grant type by a token of its
own, or a script could lock out everybody.

Which members a client has here is in `client_members`.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.admin import paging
from oauthd.admin.client_members import IN_A_PATH, OWN_NAMES, ClientMembers
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, created, operation
from oauthd.events import Events
from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.client_documents import as_segment
from oauthd.protocol.client_rules import flaws, flaws_here, loses_details, loses_scope
from oauthd.protocol.errors import CONFLICT, NOT_FOUND
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import Client, Scopes
from oauthd.protocol.schemas import Choice, Flag, Member, Members, Text, Whole
from oauthd.stores.clients import Clients
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.tokens import Tokens
from oauthd.stores.users import ADMINISTRATOR

YEAR = 365 * 86400
_ID = (
    Parameter("client_id", IN_A_PATH, "The id of the client; of one that is an address, ~ and its base64url form."),
)
_CONFIDENTIAL_GRANTS = "client_credentials is for confidential clients alone."


@frozen
class ClientsResource:
    """The clients.

    :ivar issuer: no client may own it as a resource, nor show its pages as a picture.
    """

    clients: Clients
    scopes: ScopeCatalogue
    tokens: Tokens
    events: Events
    members: ClientMembers
    issuer: str

    @operation(
        lambda self: Operation(
            "clients.create",
            "Register a client",
            {
                201: Answer(
                    "The client; `client_secret` for a confidential one.",
                    self.members.answer_with_secret("NewClient", always=False),
                    {"Location": "Where the client is."},
                )
            },
            body=self.members.new(),
            help=_CONFIDENTIAL_GRANTS,
            refusals=(409,),
        )
    )
    async def create(self, call: Call) -> Response:
        """Register a client; its secret is told this once."""
        body = dict(call.body)
        secret = body.pop("client_secret", None)
        client_id = body.pop("client_id", "")
        client_type = body.pop("client_type")
        client = self.members.changed(Client(client_id, 0, "", client_type, 0, 0), body)
        self._check(client, await self.scopes.all())
        client, secret = await self.clients.register(client, secret)
        self.events.tell("client.created", client_id=client.client_id, **call.caller.facts)
        told = self.members.shown(client) | ({} if secret is None else {"client_secret": secret})
        return created(told, f"{call.request.path}/{as_segment(client.client_id)}")

    @operation(
        lambda self: Operation(
            "clients.list",
            "List clients",
            {200: Answer("A page of clients.", paging.page_of("clients", self.members.answer()))},
            query=(
                *paging.PARAMETERS,
                Parameter("name", Text(metadata.LINE, "text", 1, 200), "A part of the name, in any case."),
                Parameter("client_type", Choice(metadata.CLIENT_TYPES), "Of this type."),
                Parameter("is_active", Flag(), "Active or not."),
            ),
        )
    )
    async def page(self, call: Call) -> Response:
        """A page of the clients that fit the filters."""
        query = call.query
        part = str(query.get("name", "")).casefold()

        def fits(client: Client) -> bool:
            return (
                part in client.name.casefold()
                and query.get("client_type", client.client_type) == client.client_type
                and query.get("is_active", client.is_active) == client.is_active
            )

        found, cursor = await paging.filtered(self.clients.page, fits, query)
        return json_response({"clients": [self.members.shown(client) for client in found], "next_cursor": cursor})

    @operation(
        lambda self: Operation(
            "clients.show", "Show a client", {200: Answer("The client.", self.members.answer())}, arguments=_ID
        )
    )
    async def show(self, call: Call) -> Response:
        """One client."""
        client = await self.clients.find(call.arguments["client_id"])
        if client is None:
            raise NOT_FOUND("there is no such client")
        return json_response(self.members.shown(client))

    @operation(
        lambda self: Operation(
            "clients.update",
            "Change a client",
            {200: Answer("The client as it is now.", self.members.answer())},
            help="Members that are left out stay as they are; lists are replaced as a whole. Deactivating a client, or "
            f"taking a scope from it, ends its tokens. {_CONFIDENTIAL_GRANTS}",
            arguments=_ID,
            body=self.members.changes(),
            refusals=(409,),
        )
    )
    async def update(self, call: Call) -> Response:
        """Change what is sent."""
        client_id = call.arguments["client_id"]
        known = await self.scopes.all()
        ends = False

        def change(client: Client) -> Client:
            nonlocal ends
            after = self.members.changed(client, call.body)
            self._check(after, known, client)
            ends = _loses(client, after, known)
            if not after.is_active or _administers(client) - _administers(after):
                self._refuse_own(call, client_id)
            return after

        before = await self.clients.find(client_id)
        if before is not None:
            change(before)
        if ends:
            await self.tokens.end_all_of_client(client_id)  # once more below: if that is lost, little is left alive
        client = await self.clients.update(client_id, change)
        if ends:
            await self.tokens.end_all_of_client(client_id)  # after the record: nothing issued in between survives
        self.events.tell("client.updated", client_id=client_id, **call.caller.facts)
        return json_response(self.members.shown(client))

    @operation(
        Operation(
            "clients.delete",
            "Delete a client",
            {204: Answer("It is gone, and its tokens are dead.")},
            arguments=_ID,
            refusals=(409,),
        )
    )
    async def delete(self, call: Call) -> Response:
        """End a client and all that was issued to it."""
        client_id = call.arguments["client_id"]
        self._refuse_own(call, client_id)
        await self.clients.delete(client_id)
        self.events.tell("client.deleted", client_id=client_id, **call.caller.facts)
        return NO_CONTENT

    @operation(
        lambda self: Operation(
            "clients.rotate_secret",
            "Give a client a new secret",
            {
                200: Answer(
                    "The client with its new `client_secret`.",
                    self.members.answer_with_secret("ClientWithSecret", always=True),
                )
            },
            help="The former secret works on for `overlap` seconds, so that it can be replaced without haste; older "
            "ones end at once. A secret that has leaked is rotated with 0.",
            arguments=_ID,
            body=Members(
                (
                    Member(
                        "overlap",
                        Whole(0, YEAR),
                        "Seconds that the former secret works on.",
                        default=self.clients.secret_overlap,
                    ),
                )
            ),
            body_required=False,
            refusals=(409,),
        )
    )
    async def rotate_secret(self, call: Call) -> Response:
        """A new secret, told this once."""
        client, secret = await self.clients.rotate_secret(call.arguments["client_id"], call.body["overlap"])
        self.events.tell("client.secret_rotated", client_id=client.client_id, **call.caller.facts)
        return json_response(self.members.shown(client) | {"client_secret": secret})

    def _check(self, client: Client, known: Scopes, before: Client | None = None) -> None:
        """Refuse what does not go together, or with what there is."""
        problems = {OWN_NAMES.get(name, name): why for name, why in flaws(client).items()}
        problems |= flaws_here(client, self.issuer)
        if self.issuer in client.resources:
            problems["resources"] = "the issuer belongs to no client"
        names = {scope.name for scope in known.scopes}
        if before is None or client.scopes != before.scopes:  # a scope that was deleted meanwhile does no harm
            problems |= _unknown("scopes", client.scopes or (), names)
        if before is None or client.default_scopes != before.default_scopes:
            problems |= _unknown("default_scopes", client.default_scopes, names)
        if client.scopes is not None and not set(client.default_scopes) <= set(client.scopes):
            problems.setdefault("default_scopes", "must be among its scopes")
        if problems:
            raise CONFLICT("this cannot be together with what is there; see errors", fields=problems)

    def _refuse_own(self, call: Call, client_id: str) -> None:
        if call.caller.token is not None and call.caller.token.client_id == client_id:
            raise CONFLICT("the access token of this request belongs to that client; use one of another client")


def _unknown(member: str, names: tuple[str, ...], known: set[str]) -> dict[str, str]:
    return {f"{member}.{number}": "there is no such scope" for number, name in enumerate(names) if name not in known}


def _administers(client: Client) -> set[str]:
    """What the client needs to administer the server."""
    return {*client.grant_types, *({ADMINISTRATOR} & set(client.scopes or ()))}


def _loses(before: Client, after: Client, known: Scopes) -> bool:
    """Is something taken from the client that its tokens may still carry?"""
    # Also if it was not active before: ending again costs nothing, and the last try may have failed.
    return not after.is_active or loses_scope(before, after, known) or loses_details(before, after)
