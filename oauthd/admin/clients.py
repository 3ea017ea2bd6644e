"""Clients in the admin API: registered, listed, changed, given new secrets, deleted.

PUT changes the members that are sent and leaves the others as they are; a list is replaced as a whole. The type of a
client does not change. What is taken from a client ends its tokens: its being active, or a scope. A client is neither
deleted, deactivated nor robbed of `admin` or a grant type by a token of its own, or a script could lock out everybody.

What may be registered at all is in `oauthd.protocol.client_metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from oauthd.admin import paging
from oauthd.admin.declarations import NO_CONTENT, Answer, Call, Operation, Parameter, created, operation
from oauthd.admin.schemas import (
    Choice,
    Flag,
    Listing,
    Member,
    Members,
    Nullable,
    Text,
    Variants,
    Whole,
)
from oauthd.events import Events
from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.errors import CONFLICT, NOT_FOUND, OAuthError
from oauthd.protocol.messages import Response, json_response
from oauthd.protocol.records import Client, Scopes
from oauthd.protocol.redirects import validate_registered
from oauthd.stores.clients import Clients
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.tokens import Tokens
from oauthd.stores.users import ADMINISTRATOR

YEAR = 365 * 86400
CLIENT_ID = Text(r"[A-Za-z0-9._~!$&'()*+,=:@-]{1,128}", "the id of a client", 1, 128)
"""Any client id, also one that was preset in the settings."""

_ID = (Parameter("client_id", CLIENT_ID, "The id of the client."),)
_CONFIDENTIAL_GRANTS = "client_credentials is for confidential clients alone."


def _reason(uri: str) -> str:
    try:
        validate_registered(uri)
    except OAuthError as error:
        return error.description
    return "this form of redirect URI is not supported"


_redirects = Listing(
    Text(
        metadata.REDIRECT_URI,
        "a redirect URI",
        1,
        metadata.LONGEST_URI,
        explain=_reason,
        example="https://app.example.com/callback",
    ),
    metadata.MOST_URIS,
    distinct=True,
)
_scopes = Listing(Text(metadata.SCOPE, "the name of a scope", 1, 128), 200, distinct=True)
_name = Text(metadata.NAME, "one line of text without blanks at its ends", 1, metadata.LONGEST_NAME, example="Example")
_web = Text(metadata.WEB_URI, "an http or https address", 1, metadata.LONGEST_URI)
_resource = Text(metadata.RESOURCE, "an absolute URI without fragment", 1, metadata.LONGEST_URI)
_TAKES = "false ends its tokens."
_ROTATES = "Refresh tokens are replaced at use; those of public clients always are."

_SECRET = Member(
    "client_secret",
    Text(metadata.CLIENT_SECRET, "32 to 256 visible ASCII characters, made at random", 32, 256),
    "Chosen here, or made when left out. It is told in this answer and never again.",
)


@frozen
class ClientsResource:
    """The clients.

    :ivar grant_types: those that are on.
    :ivar id_token_algorithms: those that there are keys for.
    :ivar issuer: no client may own it as a resource.
    :ivar machine_refresh: what a new client gets when it is not said.
    """

    clients: Clients
    scopes: ScopeCatalogue
    tokens: Tokens
    events: Events
    grant_types: tuple[str, ...]
    id_token_algorithms: tuple[str, ...]
    issuer: str
    machine_refresh: bool

    def _members(self, grant_types: tuple[str, ...]) -> Members:
        """What an administrator says of a client."""
        formats = "Of access tokens; null for the server's setting."
        return Members(
            (
                Member("name", _name, "What people see at consent.", required=True),
                Member("redirect_uris", _redirects, "Compared character by character (RFC 9700).", default=[]),
                Member("post_logout_redirect_uris", _redirects, "Where a logout may lead.", default=[]),
                Member(
                    "grant_types",
                    Listing(Choice(grant_types), len(grant_types), distinct=True),
                    "What it may use at the token endpoint.",
                    default=[one for one in metadata.DEFAULT_GRANT_TYPES if one in grant_types],
                ),
                Member("scopes", Nullable(_scopes), "What it may ask for; null: all but reserved ones.", default=None),
                Member("default_scopes", _scopes, "What a request without scope gets.", default=[]),
                Member(
                    "resources",
                    Listing(_resource, metadata.MOST_URIS, distinct=True),
                    "Resource indicators it owns (RFC 8707): tokens for them are active for their owners alone.",
                    default=[],
                ),
                Member("access_format", Nullable(Choice(("jwt", "opaque"))), formats, default=None),
                Member(
                    "id_token_algorithm",
                    Nullable(Choice(self.id_token_algorithms)),
                    "What signs its id tokens; null for the server's setting.",
                    default=None,
                ),
                Member("introspects", Flag(), "It may introspect tokens (confidential clients).", default=True),
                Member(
                    "machine_refresh",
                    Flag(),
                    "client_credentials answers carry a refresh token, against RFC 6749 section 4.4.3.",
                    default=self.machine_refresh,
                ),
                Member("first_party", Flag(), "People are not asked for consent.", default=False),
                Member("pkce_required", Flag(), "PKCE also for a confidential client.", default=False),
                Member("rotates_refresh", Flag(), _ROTATES, default=True),
                Member("client_uri", Nullable(_web), "Its own page, shown at consent.", default=None),
                Member("is_active", Flag(), f"Whether it may use the server at all. {_TAKES}", default=True),
            )
        )

    def _new(self) -> Variants:
        chosen = Member(
            "client_id",
            Text(metadata.CLIENT_ID, "letters, digits and . _ ~ -, a letter or digit first", 1, 128),
            "Chosen here, or made when left out.",
        )
        public = tuple(one for one in self.grant_types if one not in metadata.CONFIDENTIAL_ONLY)
        confidential = self._members(self.grant_types).members
        return Variants(
            "client_type",
            "confidential",
            {
                "confidential": Members((chosen, _SECRET, *confidential)),
                "public": Members((chosen, *self._members(public).members)),
            },
        )

    def _shown(self, name: str = "Client", *more: Member) -> Members:
        """A client in an answer."""
        when = Whole(0, 2**53)
        secrets = Listing(
            Members(
                (
                    Member("created_at", when, required=True),
                    Member("expires_at", Nullable(when), "null for the newest one.", required=True),
                )
            )
        )
        own = self._members(self.grant_types).answered().members
        return Members(
            (
                Member("client_id", Text(), required=True),
                *more,
                Member("id", Whole(0, 2**53), "A number of its own.", required=True),
                Member("client_type", Choice(metadata.CLIENT_TYPES), required=True),
                *own,
                Member("secrets", secrets, "Its live secrets, without their values.", required=True),
                Member("created_at", when, "Seconds since 1970.", required=True),
                Member("updated_at", when, "Seconds since 1970.", required=True),
            ),
            name=name,
        )

    @operation(
        lambda self: Operation(
            "clients.create",
            "Register a client",
            {
                201: Answer(
                    "The client; `client_secret` for a confidential one.",
                    self._shown("NewClient", evolve(_SECRET, schema=Text(), required=False)),
                    {"Location": "Where the client is."},
                )
            },
            body=self._new(),
            help=_CONFIDENTIAL_GRANTS,
            refusals=(409,),
        )
    )
    async def create(self, call: Call) -> Response:
        """Register a client; its secret is told this once."""
        body = dict(call.body)
        secret = body.pop("client_secret", None)
        client_id = body.pop("client_id", "")
        client = Client(client_id=client_id, number=0, created_at=0, updated_at=0, **_fields(body))
        self._check(client, await self.scopes.all())
        client, secret = await self.clients.register(client, secret)
        self.events.tell("client.created", client_id=client.client_id, **call.caller.facts)
        told = shown(client) | ({} if secret is None else {"client_secret": secret})
        return created(told, f"{call.request.path}/{client.client_id}")

    @operation(
        lambda self: Operation(
            "clients.list",
            "List clients",
            {200: Answer("A page of clients.", paging.page_of("clients", self._shown()))},
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
        return json_response({"clients": [shown(client) for client in found], "next_cursor": cursor})

    @operation(
        lambda self: Operation(
            "clients.show", "Show a client", {200: Answer("The client.", self._shown())}, arguments=_ID
        )
    )
    async def show(self, call: Call) -> Response:
        """One client."""
        client = await self.clients.find(call.arguments["client_id"])
        if client is None:
            raise NOT_FOUND("there is no such client")
        return json_response(shown(client))

    @operation(
        lambda self: Operation(
            "clients.update",
            "Change a client",
            {200: Answer("The client as it is now.", self._shown())},
            help="Members that are left out stay as they are; lists are replaced as a whole. Deactivating a client, or "
            f"taking a scope from it, ends its tokens. {_CONFIDENTIAL_GRANTS}",
            arguments=_ID,
            body=self._members(self.grant_types).given_only(),
            refusals=(409,),
        )
    )
    async def update(self, call: Call) -> Response:
        """Change what is sent."""
        client_id = call.arguments["client_id"]
        known = await self.scopes.all()
        changes = _fields(call.body)
        ends = False

        def change(client: Client) -> Client:
            nonlocal ends
            after = evolve(client, **changes)
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
        return json_response(shown(client))

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
                    self._shown("ClientWithSecret", evolve(_SECRET, schema=Text(), required=True)),
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
        return json_response(shown(client) | {"client_secret": secret})

    def _check(self, client: Client, known: Scopes, before: Client | None = None) -> None:
        """Refuse what does not go together, or with what there is."""
        problems: dict[str, str] = {}
        if not client.confidential and metadata.CONFIDENTIAL_ONLY & set(client.grant_types):
            problems["grant_types"] = "client_credentials is for confidential clients"
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


def shown(client: Client) -> dict[str, Any]:
    """A client as answers show it: never a secret."""
    return {
        "client_id": client.client_id,
        "id": client.number,
        "client_type": client.client_type,
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "grant_types": list(client.grant_types),
        "scopes": None if client.scopes is None else list(client.scopes),
        "default_scopes": list(client.default_scopes),
        "resources": list(client.resources),
        "access_format": client.access_format or None,
        "id_token_algorithm": client.id_token_algorithm or None,
        "introspects": client.introspects,
        "machine_refresh": client.machine_refresh,
        "first_party": client.first_party,
        "pkce_required": client.pkce_required,
        "rotates_refresh": client.rotates_refresh,
        "client_uri": client.client_uri or None,
        "is_active": client.is_active,
        "secrets": [{"created_at": one.created_at, "expires_at": one.expires_at} for one in client.secrets],
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    }


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was read as the record's fields, where "" stands for none; `scopes` alone knows None."""
    return {name: "" if value is None and name != "scopes" else value for name, value in body.items()}


def _unknown(member: str, names: tuple[str, ...], known: set[str]) -> dict[str, str]:
    return {f"{member}.{number}": "there is no such scope" for number, name in enumerate(names) if name not in known}


def _administers(client: Client) -> set[str]:
    """What the client needs to administer the server."""
    return {*client.grant_types, *({ADMINISTRATOR} & set(client.scopes or ()))}


def _loses(before: Client, after: Client, known: Scopes) -> bool:
    """Is something taken from the client that its tokens may still carry?"""
    if not after.is_active:
        return True  # also if it was not active before: ending again costs nothing, and the last try may have failed
    everything = {scope.name for scope in known.scopes if not scope.reserved}
    had = everything if before.scopes is None else set(before.scopes)
    return not had <= (everything if after.scopes is None else set(after.scopes))
