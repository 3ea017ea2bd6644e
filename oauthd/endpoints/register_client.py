"""The simple registration of the API document: a name, a type, redirect URIs, and a client comes back.

Less than RFC 7591 (`register`), whose forms and errors it uses; members that it does not know are ignored, as section 2
of that says. The grants are those that the document shows, for confidential clients client_credentials too, with a
refresh token in its answer, against RFC 6749 section 4.4.3, as printed. Never password.

Open to whoever sits at this machine (issuer, listener and peer are loopback, nothing was forwarded, and no page in a
browser asks) if the settings say so, otherwise for administrators, or for nobody.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from oauthd.events import Events
from oauthd.proofs.administrator import Administrator
from oauthd.proofs.registrant import is_of_this_machine
from oauthd.protocol import client_metadata as metadata
from oauthd.protocol.errors import FORBIDDEN, INVALID_CLIENT_METADATA, INVALID_REDIRECT_URI
from oauthd.protocol.grant_types import DEVICE_CODE
from oauthd.protocol.json_body import read_json
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import Client
from oauthd.stores.clients import Clients

GRANT_TYPES: Final = ("authorization_code", "refresh_token", DEVICE_CODE)
CONFIDENTIAL_GRANT_TYPES: Final = (*GRANT_TYPES, "client_credentials")


@frozen
class RegisterClient:
    """Registers a client.

    :ivar registration: who may: `loopback`, `administrator` or `off`.
    :ivar issuer_is_loopback: whether the server is meant for this machine alone.
    """

    clients: Clients
    administrator: Administrator
    events: Events
    registration: str
    issuer_is_loopback: bool

    async def __call__(self, request: Request) -> Response:
        """Answer a registration request."""
        caller = await self._caller(request)
        request.query.refuse_repeats()
        body = read_json(request)
        client, secret = await self.clients.register(_client(body))
        self.events.tell("client.created", client_id=client.client_id, **caller)
        answer: dict[str, Any] = {
            "id": client.number,
            "client_id": client.client_id,
            "name": client.name,
            "client_type": client.client_type,
            "is_active": client.is_active,
            "redirect_uris": list(client.redirect_uris),
            "grant_types": list(client.grant_types),
        }
        if secret is not None:
            answer["client_secret"] = secret
        return json_response(answer, 201)

    async def _caller(self, request: Request) -> dict[str, str | None]:
        """Who registers, as events tell of it; refuses whoever may not."""
        if self.registration == "off":
            raise FORBIDDEN("clients are not registered here")
        if self.registration == "loopback" and self.issuer_is_loopback and is_of_this_machine(request):
            return {}
        token = await self.administrator.token(request)
        return {"by_client": token.client_id, "by_user": token.user_id or None}


def _client(body: dict[str, Any]) -> Client:
    name, client_type = body.get("name"), body.get("client_type", "confidential")
    if not isinstance(name, str) or not metadata.is_name(name):
        raise INVALID_CLIENT_METADATA(
            f"name must be one line of 1 to {metadata.LONGEST_NAME} characters without blanks at its ends"
        )
    if client_type not in metadata.CLIENT_TYPES:
        raise INVALID_CLIENT_METADATA("client_type must be confidential or public")
    confidential = client_type == "confidential"
    return Client(
        client_id="",
        number=0,
        name=name,
        client_type=client_type,
        created_at=0,
        updated_at=0,
        redirect_uris=metadata.redirect_uris(_uris(body.get("redirect_uris", ""))),
        grant_types=CONFIDENTIAL_GRANT_TYPES if confidential else GRANT_TYPES,
        machine_refresh=confidential,
    )


def _uris(value: object) -> tuple[str, ...]:
    """Redirect URIs as a string or as a list."""
    if isinstance(value, str):
        return metadata.split_uris(value)
    if not isinstance(value, list) or not all(isinstance(uri, str) for uri in value):
        raise INVALID_REDIRECT_URI("redirect_uris must be a string or a list of strings")
    return tuple(value)
