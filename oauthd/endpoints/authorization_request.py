"""Where an authorization request's parameters stand: in the request, in a request object (RFC 9101), pushed (RFC 9126).

Here is decided what a request is, for the authorization endpoint and for the one that it is pushed to; whether it is a
good one the grid says (`oauthd.protocol.authorization`). A pushed request, or a request object, is all there is: what
comes besides it and `client_id` is not looked at (RFC 9101 section 6.3), not even where it says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from oauthd.config import Settings
from oauthd.keys import Keys
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.proofs.request_object import RequestObjects
from oauthd.protocol import authorization, authorization_details, jose, profile
from oauthd.protocol.authorization import CHOSEN, Asked, Context
from oauthd.protocol.authorization_details import DetailsTypes
from oauthd.protocol.errors import INVALID_REQUEST, INVALID_REQUEST_URI
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client
from oauthd.protocol.redirects import RedirectUri, choose
from oauthd.protocol.request_object import BY_SECRET
from oauthd.stores.clients import Clients
from oauthd.stores.pushed_requests import URN, PushedRequests, named, noted
from oauthd.stores.scopes import ScopeCatalogue

LONGEST_KEPT = 8192  # octets that are kept of a request: anybody can send one, and leave it
KEPT = frozenset(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "response_mode", "nonce", "display", "prompt"}
    | {"max_age", "ui_locales", "login_hint", "acr_values", "code_challenge", "code_challenge_method", "resource"}
    | {"claims", "claims_locales", "dpop_jkt", authorization_details.PARAMETER}
)
"""What is kept of a request: not the id_token_hint, since no token is stored in clear."""
HINTED = "hinted_subject"
"""What is kept of that hint: whom it names. No parameter of a request is kept under this name."""
PUSHED = "pushed_request"
"""What is kept of a request_uri: which request it was that is to be spent. The same holds of this name."""
OBJECT = "request_object"
"""What is kept of a request object: its name and end, so that it counts once. The same holds of this name."""
REFUSED = "refused"
"""What is kept of an error that is told once somebody has signed in. The same holds of this name."""
NOTES = frozenset({HINTED, PUSHED, OBJECT, REFUSED, CHOSEN})
NOTHING: Mapping[str, str] = {}


@frozen
class Stated:
    """A request, wherever its parameters stood.

    :ivar notes: what else is known of it, by the names of `NOTES`.
    """

    parameters: Parameters
    notes: Mapping[str, str] = field(factory=dict)


@frozen
class AuthorizationRequests:
    """Reads authorization requests, and passes them through the grid."""

    clients: Clients
    scopes: ScopeCatalogue
    pushed: PushedRequests
    objects: RequestObjects
    keys: Keys
    hints: IdTokenHint
    details: DetailsTypes
    settings: Settings

    async def brought(self, sent: Parameters, client: Client) -> Stated:
        """The request that a browser brings.

        :raises OAuthError: `invalid_request`, `invalid_request_uri`, `invalid_request_object`.
        """
        request_uri, request = sent.one("request_uri"), sent.one("request")
        if request_uri is not None and request is not None:
            raise INVALID_REQUEST("request and request_uri exclude each other")  # RFC 9101 section 5
        if request_uri is not None and request_uri.startswith(URN):
            return await self._pushed(request_uri, client)
        if self._must_push(client):
            raise INVALID_REQUEST("this client must push its authorization requests")  # RFC 9126 section 4
        if request_uri is not None:
            request = await self.objects.fetched(client, request_uri)
        return await self._held(request, sent, client)

    async def posted(self, sent: Parameters, client: Client) -> Stated:
        """The request that an authenticated client pushes.

        :raises OAuthError: `invalid_request`, `invalid_request_object`.
        """
        if "request_uri" in sent:
            raise INVALID_REQUEST("a request_uri cannot be pushed")  # RFC 9126 section 2.1
        # A client that authenticates otherwise than in the form may have named itself there alone.
        named = [pair for pair in sent if pair[0] != "client_id"]
        return await self._held(sent.one("request"), Parameters((("client_id", client.client_id), *named)), client)

    async def count(self, notes: Mapping[str, str]) -> bool:
        """Count the request object that the request stood in; the last step before what it asks for.

        False when it was used before.
        """
        until, _, name = notes.get(OBJECT, "").partition(" ")
        return not name or await self.objects.spend(name, int(until))

    async def was_answered(self, notes: Mapping[str, str]) -> bool:
        """Has what counts once of this request been used? Nobody is to sign in, or to agree, for nothing."""
        if PUSHED in notes:
            return await self.pushed.is_spent(named(notes[PUSHED]))
        _, _, name = notes.get(OBJECT, "").partition(" ")
        return bool(name) and await self.objects.was_used(name)

    async def check(
        self, endpoint: str, parameters: Parameters, client: Client, redirect: RedirectUri
    ) -> Asked:
        """Pass a request through its endpoint's column of the grid.

        :raises OAuthError: of the first check that refuses it.
        """
        resources = await self.clients.resources() if "resource" in parameters else {}
        context = Context(
            parameters=parameters,
            client=client,
            scopes=await self.scopes.all(),
            resources=frozenset(resources),
            redirect=redirect,
            details=self.details,
            pkce_always=self.settings.clients.pkce_required,
            pkce_public=self.settings.clients.pkce_public,
            strict=self._is_strict(client),
            subject_of_hint=partial(self.hints.subject, client=client),
        )
        return authorization.check(endpoint, context)

    def metadata(self) -> Mapping[str, Any]:
        """What the metadata document says of requests (RFC 9126 section 5, OpenID Connect Discovery section 3)."""
        signing = profile.SIGNING if self._all_strict() else (*jose.ASYMMETRIC, *BY_SECRET)
        return {
            "require_pushed_authorization_requests": self._all_must_push(),
            "request_parameter_supported": True,
            "request_uri_parameter_supported": True,
            "require_request_uri_registration": True,
            "require_signed_request_object": self.settings.authorization.signed_required,
            "request_object_signing_alg_values_supported": list(signing),
            "request_object_encryption_alg_values_supported": list(self.keys.key_encryption),
            "request_object_encryption_enc_values_supported": list(jose.CONTENT_ENCRYPTION),
            **self.details.metadata(),
        }

    def _must_push(self, client: Client) -> bool:
        # FAPI 2.0 Security Profile section 5.3.2.2
        return self._all_must_push() or client.par_required or self._is_strict(client)

    def _all_must_push(self) -> bool:
        return self.settings.authorization.pushed_required or self._all_strict()

    def _all_strict(self) -> bool:
        return self.settings.server.profile == profile.FAPI2

    def _is_strict(self, client: Client) -> bool:
        return profile.is_strict(client, self.settings.server.profile)

    async def _held(self, request: str | None, sent: Parameters, client: Client) -> Stated:
        """What a request object holds, where there is one, and what was sent where there need be none."""
        must_sign = client.request_signed or self.settings.authorization.signed_required
        if request is not None:
            opened = await self.objects.open(client, request, self._is_strict(client), must_sign)
            return Stated(opened.parameters, {OBJECT: f"{opened.until} {opened.name}"} if opened.name else {})
        if must_sign:
            raise INVALID_REQUEST("this client must sign its authorization requests")  # RFC 9101 section 10.5
        return Stated(sent)

    async def _pushed(self, request_uri: str, client: Client) -> Stated:
        stored = await self.pushed.open(request_uri, client.client_id)
        if stored is None:
            raise INVALID_REQUEST_URI("the request_uri is unknown, used or expired, or of another client")
        record = stored.record
        parameters = kept(record.parameters)
        if record.jkt:  # RFC 9449 section 10.1: a proof at the push stands for the parameter
            parameters = Parameters((*(pair for pair in parameters if pair[0] != "dpop_jkt"), ("dpop_jkt", record.jkt)))
        return Stated(parameters, notes_of(record.parameters) | {PUSHED: noted(stored.ref)})


def hinted(asked: Asked, notes: Mapping[str, str]) -> Asked:
    """The request with the person whom its id_token_hint named, which is not kept itself."""
    return asked if asked.subject else evolve(asked, subject=notes.get(HINTED, ""))


def redirect_of(client: Client, parameters: Parameters) -> RedirectUri:
    """Where the response to a request goes.

    :raises OAuthError: `invalid_request`, never to be told by redirect.
    """
    presented = parameters.one("redirect_uri")
    if presented is None and "openid" in (parameters.one("scope") or "").split():
        raise INVALID_REQUEST("redirect_uri is missing")  # OpenID Connect Core section 3.1.2.1
    return choose(client.redirect_uris, presented, client.described)


def keep(parameters: Parameters, notes: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """The parameters that a later step needs, as they are stored, and what is known besides.

    :raises OAuthError: `invalid_request` when they are too long.
    """
    found = {name: value for name, value in parameters if name in KEPT and name != "resource"}
    resources = parameters.all("resource")
    found |= {"resource": " ".join(resources)} if resources else {}
    found |= {name: value for name, value in notes.items() if value}
    if sum(len(value.encode()) for value in found.values()) > LONGEST_KEPT:
        raise INVALID_REQUEST("the request is too long")
    return found


def kept(stored: Mapping[str, str]) -> Parameters:
    """The parameters again, as they were sent."""
    pairs = [(name, value) for name, value in stored.items() if name != "resource" and name not in NOTES]
    pairs += [("resource", uri) for uri in stored.get("resource", "").split()]
    return Parameters(tuple(pairs))


def notes_of(stored: Mapping[str, str]) -> dict[str, str]:
    """What is known besides."""
    return {name: value for name, value in stored.items() if name in NOTES}
