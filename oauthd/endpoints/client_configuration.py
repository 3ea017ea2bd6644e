"""The client configuration endpoint: a client reads, replaces or ends its own registration (RFC 7592 section 2).

It proves itself by its registration access token alone. Refused alike, as 401: an unknown client, one that did not
register itself, the token of another one. A change replaces all that was registered, gives a new registration access
token, and ends tokens that carry what the client no longer has: a scope, a type of authorization details.

What only an administrator says of a client (first party, resources, introspection) stays as it is, and so does what
else an administrator has decided for it since (`Client.held`). The limits of the initial access token that it was
registered with go on to hold, and the type of a client does not change.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from msgspec.structs import replace

from oauthd.config import RegistrationSettings
from oauthd.endpoints.register import Quota, configuration, policy_of, told_secret
from oauthd.endpoints.registration import STATEMENT, Registration, method_of
from oauthd.events import Events
from oauthd.protocol import basic, opaque
from oauthd.protocol.client_rules import loses_details, loses_scope, needs_secret, needs_secret_itself
from oauthd.protocol.errors import CONFLICT, INVALID_CLIENT_METADATA, INVALID_TOKEN, OAuthError
from oauthd.protocol.json_body import read_json
from oauthd.protocol.messages import NO_STORE, Request, Response, json_response
from oauthd.protocol.records import Client
from oauthd.protocol.seals import SealBroken
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.tokens import Tokens

OURS: Final = frozenset(
    {"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}
)
"""Members that a change must not hold (RFC 7592 section 2.2)."""


@frozen
class ClientConfiguration:
    """Reads, replaces and ends registrations.

    :ivar address: of the registration endpoint, absolute.
    """

    registration: Registration
    clients: Clients
    scopes: ScopeCatalogue
    tokens: Tokens
    quota: Quota
    events: Events
    settings: RegistrationSettings
    address: str
    entropy: Callable[[int], bytes]

    async def __call__(self, request: Request) -> Response:
        """Answer a GET, PUT or DELETE."""
        client, token = await self._client(request)
        request.query.refuse_repeats()
        if request.method == "PUT":
            return await self._replace(request, client)
        if request.method == "DELETE":
            await self.clients.delete(client.client_id)
            self.events.tell("client.deleted", client_id=client.client_id)
            return Response(204, NO_STORE)
        return json_response(self.registration.told(client) | configuration(self.address, client, token))

    async def _client(self, request: Request) -> tuple[Client, str]:
        """The client whose token this is, and the token.

        :raises OAuthError: `invalid_token`.
        """
        header = request.headers.one("authorization")
        if header is None:
            raise INVALID_TOKEN("a registration access token is needed")
        scheme, token = basic.access_token(header)
        presented = kinds.digest(token)
        client = await self.clients.find(request.arguments["client_id"])
        digest = client.registration if client is not None else b""
        good = hmac.compare_digest(digest or bytes(len(presented)), presented)
        if client is None or not digest or not good or scheme != basic.BEARER or not client.is_active:
            raise INVALID_TOKEN("the registration access token is not that of this client")  # RFC 7592 section 2.1
        return client, token

    async def _replace(self, request: Request, before: Client) -> Response:
        body = read_json(request)
        self._check(body, before)
        policy = policy_of(self.settings).under(before.limits).keeping(before, method_of(before))
        statement = await self.registration.statement(body, before)
        wanted = await self.registration.read(body, policy, before, statement)
        if wanted.client_type != before.client_type:
            raise _refused("token_endpoint_auth_method", "none and any other cannot take each other's place")
        if wanted.sector_identifier_uri or _called(wanted) - _called(before):
            await self.quota.count(request)  # or a client that is registered once makes this server call without end
        await self.registration.check_sector(wanted)
        await self.registration.statements.spend(statement)
        token = opaque.make(opaque.REGISTRATION, self.entropy)

        def change(client: Client) -> Client:
            if client.registration != before.registration:  # another change came first, and made this token void
                raise INVALID_TOKEN("the registration access token is not that of this client")
            if replace(client, unused_until=before.unused_until) != before:  # what was decided, was of another client
                raise CONFLICT("the client was changed by somebody else in this moment; try again")
            return replace(self.registration.changed(client, wanted), registration=kinds.digest(token))

        client = await self._changed(before, change)
        secret = None
        if self._lacks_secret(client):
            client, secret = await self.clients.rotate_secret(client.client_id, 0)  # RFC 7592 section 2.2 allows it
        self.events.tell("client.updated", client_id=client.client_id)
        answer = self.registration.told(client) | configuration(self.address, client, token) | told_secret(secret)
        if body.get(STATEMENT) is not None:
            answer[STATEMENT] = body[STATEMENT]
        return json_response(answer)

    async def _changed(self, before: Client, change: Callable[[Client], Client]) -> Client:
        """Change the record, and end the tokens that carry what it no longer has."""
        client_id, known, ends = before.client_id, await self.scopes.all(), False
        now = await self.clients.find(client_id)
        if now is not None:
            after = change(now)
            ends = loses_scope(now, after, known) or loses_details(now, after)
        if ends:
            await self.tokens.end_all_of_client(client_id)  # once more below: if that is lost, little is left alive
        client = await self.clients.update(client_id, change)
        if ends:
            await self.tokens.end_all_of_client(client_id)  # after the record: nothing issued in between survives
        return client

    def _lacks_secret(self, client: Client) -> bool:
        """Does it need a secret that it does not have, or have one that does not do?"""
        if not needs_secret(client):
            return False
        try:
            return not (self.clients.open_secrets(client) if needs_secret_itself(client) else client.secrets)
        except SealBroken:
            return True

    def _check(self, body: Mapping[str, Any], client: Client) -> None:
        """RFC 7592 section 2.2: what must and must not stand in a change."""
        for name in OURS & set(body):
            raise _refused(name, "cannot be changed")
        if body.get("client_id") != client.client_id:
            raise _refused("client_id", "must be that of this client")
        secret = body.get("client_secret")
        if secret is not None and not (isinstance(secret, str) and self.clients.knows_secret(client, secret)):
            raise _refused("client_secret", "is not that of this client, and cannot be chosen")


def _called(client: Client) -> set[str]:
    """The addresses that this server calls when anybody names the client."""
    return {client.jwks_uri, *client.request_uris} - {""}


def _refused(name: str, why: str) -> OAuthError:
    return INVALID_CLIENT_METADATA(f"{name} {why}", fields={name: why})
